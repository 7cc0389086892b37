"""Plain WebDataset shards, ``KEY.jpg`` with ``KEY.txt`` or ``KEY.json``, read at random.

They hold no features: everything is encoded in every step, which suits a first try and a set that is read once. The
order, its resuming, the drawn views and the windows are those of prepared shards.
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from lit_outpaint.canvas.decoding import PictureError, decode
from lit_outpaint.canvas.image_io import cut_square
from lit_outpaint.canvas.masks import window_mask
from lit_outpaint.data.augment import Augment
from lit_outpaint.data.damaged import DamagedSample, Loaded, load_whole
from lit_outpaint.data.order import SampleRef
from lit_outpaint.data.plain_index import IMAGE_ENDINGS, PlainIndex
from lit_outpaint.data.reader import ViewChoice, counted
from lit_outpaint.data.schema import ShardError, Split
from lit_outpaint.system.one_line import one_line

CAPTION: Final = "caption"
CAPTIONS: Final = "captions"
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


class PlainDataset(Dataset[Loaded]):
    """Samples of plain shards, addressed by lists of ``SampleRef``; each list becomes a batch."""

    def __init__(
        self, index: PlainIndex, window_px: int, choice: ViewChoice, seed: int, augment: Augment = Augment()
    ) -> None:
        """Choose samples and views; nothing is read yet."""
        self.entries, self.window_px, self.choice, self.seed = index, window_px, choice, seed
        self.augment = augment

    def __len__(self) -> int:
        return len(self.entries)

    def __getitems__(self, refs: Sequence[SampleRef]) -> Loaded | ShardError:
        """Load samples, each with the view that its epoch gives it."""
        return load_whole(self._load, refs, self.seed, self.entries.shards, self._name)

    def _name(self, position: int) -> str:
        index = self.entries
        return f"sample {index.keys[position].decode()} in {index.paths[index.shards[position]]}"

    def _load(self, refs: Sequence[SampleRef]) -> PlainBatch:
        """Read a batch.

        Raises:
            DamagedSample: one of them cannot be read.
            ShardError: a shard vanished.
        """
        samples = [self._sample(row, ref.position, ref.epoch) for row, ref in enumerate(refs)]
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

    def _sample(self, row: int, place: int, epoch: int) -> tuple[str, Float[Tensor, "3 h w"], str, str]:
        """Key, window, local and global caption.

        Raises:
            DamagedSample: it cannot be decoded, or has no caption.
            ShardError: its shard cannot be read.
        """
        index = self.entries
        path, key = index.paths[index.shards[place]], index.keys[place].decode()
        ending = IMAGE_ENDINGS[index.endings[place]]
        spans = dict(zip((ending, "txt", "json"), index.spans[place].tolist(), strict=True))
        try:
            with open(path, "rb", buffering=0) as file:
                data = {name: os.pread(file.fileno(), size, offset) for name, (offset, size) in spans.items() if size}
        except OSError as error:
            raise ShardError(f"cannot read {path}: {error.strerror}") from error
        try:
            captions, scene = captions_of(data)
            image = decode(data[ending], f"{key}.{ending}").image
        except PictureError as error:
            raise DamagedSample(row, str(error)) from error
        except (ValueError, RecursionError) as error:
            raise DamagedSample(row, f"its caption cannot be read: {one_line(error)}") from error
        if not captions:
            raise DamagedSample(row, f"it needs a caption, in {key}.txt or as {CAPTION!r} in {key}.json")
        window = to_window(image, self.window_px, self.augment.place(self.seed, epoch, key))
        if self.augment.mirrored([*captions, scene], self.seed, epoch, key):
            window = window.flip(-1)
        local = self.augment.caption(captions, self.seed, epoch, key)
        return key, window, local, scene or local


def captions_of(data: Mapping[str, bytes]) -> tuple[list[str], str]:
    """Local captions and the global one out of the members of a sample; empty where there is none.

    Raises:
        ValueError: a text is not in UTF-8, or not in JSON, or what should be a caption is none.
    """
    parsed = json.loads(data["json"]) if "json" in data else {}
    facts: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
    listed = _texts(facts, CAPTIONS)
    said = data.get("txt", b"").decode("utf-8-sig").strip()
    return listed or ([said] if said else _texts(facts, CAPTION)), " ".join(_texts(facts, GLOBAL_CAPTION))


def _texts(facts: Mapping[str, Any], name: str) -> list[str]:
    """The texts under a name: one, a list of them, or none; other values would be trained on as Python shows them."""
    value = facts.get(name)
    texts = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} must be a text or a list of texts, got {str(value)[:80]}")
    return [text.strip() for text in texts if text.strip()]


def plain_shards(directory: Path) -> dict[Split, list[Path]]:
    """The tars of a directory; those whose names begin with the word ``val`` or ``validation`` are held out.

    Raises:
        ShardError: there are none to train on.
    """

    def is_held_out(path: Path) -> bool:
        return re.match(r"val(idation)?(?![A-Za-z])", path.name) is not None

    tars = sorted(path for path in directory.glob("*.tar") if not path.name.startswith("."))
    held_out = [path for path in tars if is_held_out(path)]
    train = [path for path in tars if path not in held_out]
    if not train:
        raise ShardError(f"{directory} must hold WebDataset shards (*.tar) to train on, and holds none")
    return {"train": train, "val": held_out}


def to_window(
    image: Image.Image, window_px: int, place: Callable[[int], int] = lambda spare: spare // 2
) -> Float[Tensor, "3 {window_px} {window_px}"]:
    """The largest square of a picture, in the middle or where ``place`` says, resized; [-1, 1]. See `cut_square`."""
    square = np.array(cut_square(image, window_px, place))
    return torch.from_numpy(square).permute(2, 0, 1).float().div_(127.5).sub_(1.0)
