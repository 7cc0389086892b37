"""Plain WebDataset shards, ``KEY.jpg`` with ``KEY.txt`` or ``KEY.json``, read at random through webdataset's decoders.

They hold no features: everything is encoded in every step, which suits a first try and a set that is read once. The
order, its resuming and the drawn views are those of prepared shards.
"""

import io
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset

from lit_outpaint.canvas.masks import window_mask
from lit_outpaint.data.plain_index import IMAGE_ENDINGS, PlainIndex
from lit_outpaint.data.reader import SampleRef, ViewChoice, counted
from lit_outpaint.data.schema import MAX_IMAGE_PX, ShardError, Split

CAPTION: Final = "caption"
GLOBAL_CAPTION: Final = "global_caption"
"""Names in ``KEY.json``."""


class PlainBatch(NamedTuple):
    """Windows and their captions, of which nothing is encoded yet; see ``conditions.encode_plain``."""

    keys: tuple[str, ...]
    """Sample keys."""
    directions: tuple[str, ...]
    """What grows, per sample."""
    mask: Tensor
    """(B, 1, H, W): 1 = generate, 0 = keep."""
    pixel_values: Tensor
    """(B, 3, H, W) in [-1, 1]."""
    local_captions: tuple[str, ...]
    """Of the windows."""
    global_captions: tuple[str, ...]
    """Of the scenes; the window's own where the shards have no other."""
    counts: Tensor | None = None
    """Which samples count, as in ``OutpaintBatch``; None where all do."""


class PlainDataset(Dataset[PlainBatch]):
    """Samples of plain shards, addressed by lists of ``SampleRef``; each list becomes a batch."""

    def __init__(self, index: PlainIndex, window_px: int, choice: ViewChoice, seed: int) -> None:
        """Choose samples and views; nothing is read yet.

        Raises:
            ShardError: webdataset is not installed.
        """
        _decoder()
        self.entries, self.window_px, self.choice, self.seed = index, window_px, choice, seed

    def __len__(self) -> int:
        return len(self.entries)

    def __getitems__(self, refs: Sequence[SampleRef]) -> PlainBatch:
        """Load samples, each with the view that its epoch gives it."""
        samples = [self._sample(ref.position) for ref in refs]
        keys = tuple(key for key, *_ in samples)
        views = [self.choice.draw(self.seed, ref.epoch, key) for ref, key in zip(refs, keys, strict=True)]
        return PlainBatch(
            keys=keys,
            directions=tuple(view.kind for view in views),
            mask=torch.stack(
                [window_mask(view.kind, view.ratio, self.window_px, self.window_px, view.place) for view in views]
            ),
            pixel_values=torch.stack([window for _, window, *_ in samples]),
            local_captions=tuple(local for _, _, local, _ in samples),
            global_captions=tuple(scene for *_, scene in samples),
            counts=counted(refs),
        )

    def unpack(self, batch: PlainBatch, pinned: bool = False) -> PlainBatch:
        """The batch as the training process gets it, in pinned memory if it goes to a GPU."""
        return batch._replace(pixel_values=batch.pixel_values.pin_memory()) if pinned else batch

    def _sample(self, place: int) -> tuple[str, Float[Tensor, "3 h w"], str, str]:
        """Key, window, local and global caption.

        Raises:
            ShardError: it cannot be read or decoded, or has no caption.
        """
        index = self.entries
        path, key = index.paths[index.shards[place]], index.keys[place].decode()
        endings = (IMAGE_ENDINGS[index.endings[place]], "txt", "json")
        spans = zip(endings, index.spans[place].tolist(), strict=True)
        try:
            with open(path, "rb", buffering=0) as file:
                data = {ending: os.pread(file.fileno(), size, offset) for ending, (offset, size) in spans if size}
            _check_header(data[endings[0]])
            sample: dict[str, Any] = _decoder()({"__key__": key, **data})
        except Exception as error:
            # webdataset wraps whatever a decoder raises.
            cause = error if isinstance(error, ShardError) else error.__cause__ or error
            raise ShardError(f"{key} in {path} cannot be decoded: {str(cause).splitlines()[0]}") from error
        parsed = sample.get("json")
        facts: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
        local = str(sample.get("txt") or facts.get(CAPTION) or "").strip()
        if not local:
            raise ShardError(f"{key} in {path} needs a caption, in {key}.txt or as {CAPTION!r} in {key}.json")
        scene = str(facts.get(GLOBAL_CAPTION) or local).strip()
        return key, to_window(sample[endings[0]], self.window_px), local, scene


def plain_shards(directory: Path) -> dict[Split, list[Path]]:
    """The tars of a directory; those whose names begin with ``val`` are held out.

    Raises:
        ShardError: there are none to train on.
    """
    tars = sorted(directory.glob("*.tar"))
    held_out = [path for path in tars if path.name.startswith("val")]
    train = [path for path in tars if path not in held_out]
    if not train:
        raise ShardError(f"{directory} must hold WebDataset shards (*.tar) to train on, and holds none")
    return {"train": train, "val": held_out}


def to_window(image: Image.Image, window_px: int) -> Float[Tensor, "3 {window_px} {window_px}"]:
    """The largest square in the middle of a picture, resized; [-1, 1]."""
    square = ImageOps.fit(image.convert("RGB"), (window_px, window_px), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).float().div_(127.5).sub_(1.0)


@cache
def _decoder() -> Any:
    """What webdataset decodes pictures and texts with; one in each process.

    Raises:
        ShardError: webdataset is not installed.
    """
    try:
        from webdataset.autodecode import Decoder, basichandlers, imagehandler
    except ImportError as error:
        raise ShardError(
            "plain shards are decoded by webdataset, which is not installed; install lit-outpaint[prep]"
        ) from error
    # It would also unpickle members with other endings; only pictures and texts come here.
    return Decoder([imagehandler("pil")], pre=[], post=[basichandlers])


def _check_header(data: bytes) -> None:
    """Refuse a decompression bomb before its pixels are made."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if max(image.size) > MAX_IMAGE_PX:
                raise ShardError(f"pictures must be at most {MAX_IMAGE_PX} px a side, got {image.size}")
    except (UnidentifiedImageError, OSError) as error:
        raise ShardError("it is no picture") from error
