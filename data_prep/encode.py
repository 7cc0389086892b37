"""The ``encode`` stage: features of the frozen encoders, so that training never runs them.

Per window: the moments of its latents, the text features of its local and its global caption, and for every view the
latents of the window with the part to generate blanked and the visual tokens of the visible part alone; where the
pictures around windows were kept, those of their visible part, too.
"""

import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from transformers.utils.logging import disable_progress_bar

from data_prep.around import Around, pictures_of, read_around, seen_box
from data_prep.atomic import write_atomic
from data_prep.caption import read_captions
from data_prep.config import EncodeConfig, MachineConfig
from data_prep.engines import make_engine
from data_prep.prefetch import behind, prefetched
from data_prep.progress import progress
from data_prep.tars import TarWriter, read_samples
from data_prep.text import text_card
from data_prep.work import SHAPES_NAME, TEXT_SUFFIX, Work
from lit_outpaint.canvas.geometry import Growth
from lit_outpaint.canvas.masks import outpaint_mask
from lit_outpaint.data.schema import (
    EMPTY_NAME,
    IMAGE_SUFFIX,
    LANGUAGE_EMPTY,
    LANGUAGE_GLOBAL,
    LANGUAGE_LOCAL,
    MAX_IMAGE_PX,
    MOMENTS,
    RECORD_SUFFIX,
    TENSOR_SUFFIX,
    TEXT_EMPTY,
    TEXT_GLOBAL,
    TEXT_LOCAL,
    SampleRecord,
    masked_latents_key,
    parse_view,
    visual_key,
)
from lit_outpaint.data.tensors import pack_tensors
from lit_outpaint.data.views import blank_masked, visible_crop
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.models.language import LanguageConfig
from lit_outpaint.models.language_encoders import LanguageEncoder
from lit_outpaint.system.bfloat16 import warn_where_imitated
from lit_outpaint.system.ranks import ALONE, Share, local_rank


class RawWindow(NamedTuple):
    """A window as its source wrote it."""

    key: str
    image: bytes
    """WebP."""
    around: Around | None = None
    """The picture around it, where that was kept."""


class Decoded(NamedTuple):
    """Windows of one batch."""

    keys: list[str]
    windows: UInt8[np.ndarray, "b h w 3"]
    around: list[Around]
    """The pictures around them; empty where none were kept."""


def write_features(
    directory: Path, work: Work, config: EncodeConfig, machine: MachineConfig, share: Share = ALONE
) -> bool:
    """Write one tar of ``KEY.safetensors`` per shard, with the text counts beside it.

    Args:
        directory: of this stage.
        work: gives windows and captions.
        config: which encoders and views.
        machine: where to encode, and how many windows at once.
        share: which shards are this process's.

    Returns:
        Whether the features of all shards are there now.

    Raises:
        ValueError: windows differ in size, a feature is not finite in float16, or there is no such device.
    """
    stems = work.shards("raw")
    # One process here: encoders fill a device by themselves. More devices are more ranks, or Ray's tasks.
    engine = make_engine(machine.engine, 1, gpus=_on_gpu(machine.device))
    encode = partial(encode_shard, directory, work, config, machine)
    engine.map(encode, work.missing("features", share.of(stems)), "encode")
    if work.missing("features", stems):
        return False
    encoders = load_encoders(config.models, config.vision, machine.device)
    _write_constants(directory, encoders, work, config, machine.device)
    return True


def encode_shard(directory: Path, work: Work, config: EncodeConfig, machine: MachineConfig, stem: str) -> None:
    """Write the features of one shard."""
    encoders = load_encoders(config.models, config.vision, machine.device)
    if config.bf16:
        warn_where_imitated(encoders.device.type, "--bf16 false")
    captions = read_captions(work.stage("captions") / f"{stem}.jsonl")
    counts = text_card(encoders.tokenizer, list(captions.values()))
    # The counts go first: the tar is what says that a shard is done.
    write_atomic(directory / f"{stem}.{TEXT_SUFFIX}", counts.model_dump_json().encode())
    around = bool(work.settings("raw")["settings"].get("around"))
    first, samples = _peeked(read_windows(work.stage("raw"), stem, around))
    batch_size = machine.windows_at_once(_decode([first.image]).shape[1] if first is not None else 1)
    language = load_language(config.language, machine.device)
    rows = encode_samples(encoders, samples, captions, config, batch_size, language)
    with TarWriter(directory / f"{stem}.tar") as tar, behind(partial(_write_row, tar), batch_size) as write:
        for key, tensors in progress(rows, len(captions), f"encode {stem}"):
            write(key, tensors)


def _peeked(samples: Iterator[RawWindow]) -> tuple[RawWindow | None, Iterator[RawWindow]]:
    """The first window, if there is one, and all of them."""
    head = list(islice(samples, 1))
    return (head[0] if head else None), chain(head, samples)


def encode_samples(
    encoders: FrozenEncoders,
    samples: Iterator[RawWindow],
    captions: dict[str, SampleRecord],
    config: EncodeConfig,
    batch_size: int,
    language: LanguageEncoder | None = None,
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Features of every sample, batch by batch; a thread decodes the next windows meanwhile.

    The caller's thread encodes, and no other does arithmetic: OpenMP keeps threads for each thread that starts some,
    and when they are more than the cores they sleep between operations instead of spinning, which makes a CPU slower.

    Yields:
        The key and its tensors, named and shaped as ``lit_outpaint.data.schema`` says.
    """
    for keys, windows, around in prefetched(decode_windows(samples, batch_size)):
        records = [captions[key] for key in keys]
        features = encode_batch(encoders, to_pixel_values(windows), records, config, around)
        if language is not None:
            features |= encode_language(language, records, config.language_global)
        _require_finite(keys, features)
        for row, key in enumerate(keys):
            yield key, {name: tensor[row] for name, tensor in features.items()}


def decode_windows(samples: Iterator[RawWindow], batch_size: int) -> Iterator[Decoded]:
    """One batch after the other; the last may be smaller."""
    while batch := list(islice(samples, batch_size)):
        around = [each.around for each in batch if each.around is not None]
        yield Decoded([each.key for each in batch], _decode([each.image for each in batch]), around)


def to_pixel_values(windows: UInt8[np.ndarray, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
    """Bring pictures to [-1, 1]."""
    return torch.from_numpy(windows).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def encode_batch(
    encoders: FrozenEncoders,
    pixel_values: Tensor,
    records: Sequence[SampleRecord],
    config: EncodeConfig,
    around: Sequence[Around] = (),
) -> dict[str, Tensor]:
    """Features of windows and their captions, stacked, as float16 in main memory.

    Args:
        encoders: on the device that does the work.
        pixel_values: (B, 3, H, W) in [-1, 1].
        records: give the captions.
        config: which views.
        around: the picture around each window; none to encode what is visible of the windows alone.
    """
    pictures = [_decode_picture(each.image) for each in around]
    pixel_values = pixel_values.to(encoders.device)
    autocast = torch.autocast(encoders.device.type, torch.bfloat16) if config.bf16 else nullcontext()
    with torch.inference_mode(), autocast:
        features = {
            MOMENTS: encoders.encode_image(pixel_values),
            TEXT_LOCAL: encoders.encode_text([record.local_caption for record in records]),
            TEXT_GLOBAL: encoders.encode_text([record.global_caption for record in records]),
        }
        for view in config.views:
            growth, ratio = parse_view(view)
            mask = outpaint_mask(cast(Growth, growth), ratio, *pixel_values.shape[-2:]).to(encoders.device)
            if config.masked_latents:
                features[masked_latents_key(view)] = encoders.encode_mode(blank_masked(pixel_values, mask[None]))
            if visual_key(view) not in features:  # A corner shares it with its first side.
                features[visual_key(view)] = encoders.encode_visual(visible_crop(pixel_values, mask))
                if pictures:
                    seen = [_seen(*each, view, pixel_values) for each in zip(pictures, around, strict=True)]
                    features[visual_key(view, "picture")] = encoders.encode_visual(seen)
        return {name: tensor.to(torch.float16).cpu() for name, tensor in features.items()}


def encode_language(language: LanguageEncoder, records: Sequence[SampleRecord], everywhere: bool) -> dict[str, Tensor]:
    """Language features of captions, stacked, as float16 in main memory.

    Args:
        language: on the device that does the work.
        records: give the captions.
        everywhere: of the global captions, too.
    """
    features = {LANGUAGE_LOCAL: language.encode([record.local_caption for record in records])}
    if everywhere:
        features[LANGUAGE_GLOBAL] = language.encode([record.global_caption for record in records])
    return {name: tensor.to(torch.float16).cpu() for name, tensor in features.items()}


def _write_constants(directory: Path, encoders: FrozenEncoders, work: Work, config: EncodeConfig, device: str) -> None:
    """What holds for the whole set: the empty caption's features and the shapes."""
    language = load_language(config.language, device)
    with torch.inference_mode():
        empty = encoders.encode_text([""])[0]
        constants = {TEXT_EMPTY: empty}
        if language is not None:
            constants[LANGUAGE_EMPTY] = language.encode([""])[0]
    write_atomic(directory / EMPTY_NAME, pack_tensors(constants))
    windows = (window for stem in work.shards("raw") for window in read_windows(work.stage("raw"), stem))
    pixel_values = to_pixel_values(_decode([next(windows).image])).to(encoders.device)
    with torch.inference_mode():
        moments, visual = encoders.encode_image(pixel_values), encoders.encode_visual(pixel_values)
    shapes = {
        "window_px": pixel_values.shape[-1],
        "latent_channels": moments.shape[1] // 2,
        "latent_px": moments.shape[-1],
        "scaling_factor": encoders.scaling_factor,
        "text_shape": list(empty.shape),
        "visual_shape": list(visual.shape[1:]),
    }
    if config.language is not None and language is not None:
        names = [LANGUAGE_LOCAL, *([LANGUAGE_GLOBAL] if config.language_global else [])]
        shapes["language"] = config.language.card()
        shapes["language_shapes"] = {name: list(constants[LANGUAGE_EMPTY].shape) for name in names}
    write_atomic(directory / SHAPES_NAME, json.dumps(shapes).encode())


def read_windows(raw: Path, stem: str, around: bool = False) -> Iterator[RawWindow]:
    """The windows of a raw shard, in its order.

    Args:
        raw: directory of the stage.
        stem: name of the shard.
        around: with the pictures around them.

    Raises:
        ValueError: these are of other windows.
    """
    pictures = read_around(pictures_of(raw, stem)) if around else None
    for key, members in read_samples(raw / f"{stem}.tar", (IMAGE_SUFFIX, RECORD_SUFFIX)):
        beside, picture = (key, None) if pictures is None else next(pictures, ("", None))
        if beside != key:
            raise ValueError(
                f"{pictures_of(raw, stem)} lacks the picture around {key}; delete {raw.parent} and start over"
            )
        yield RawWindow(key, members[IMAGE_SUFFIX].data, picture)


def _write_row(tar: TarWriter, key: str, tensors: dict[str, Tensor]) -> None:
    tar.add(key, {TENSOR_SUFFIX: pack_tensors(tensors)})


def _decode(images: Sequence[bytes]) -> UInt8[np.ndarray, "b h w 3"]:
    arrays = []
    for data in images:
        with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
            if image.width != image.height or image.width % 8 or image.width > MAX_IMAGE_PX:
                raise ValueError(
                    f"windows must be square with a side that 8 divides, got {image.width} x {image.height}"
                )
            arrays.append(np.asarray(image.convert("RGB")))
    if len({array.shape for array in arrays}) > 1:
        raise ValueError("all windows of a set must have one size; cut them alike before encoding")
    return np.stack(arrays)


def _decode_picture(data: bytes) -> UInt8[np.ndarray, "h w 3"]:
    with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
        return np.array(image.convert("RGB"))


def _seen(picture: np.ndarray, around: Around, view: str, windows: Tensor) -> Float[Tensor, "3 h w"]:
    """What is visible of the picture around a window in a view, beside windows of its size and place."""
    height, width = picture.shape[:2]
    box = seen_box(view, around.place, windows.shape[-1], (width, height))
    return to_pixel_values(picture[None, box.y0 : box.y1, box.x0 : box.x1])[0].to(windows.device)


def _require_finite(keys: Sequence[str], features: dict[str, Tensor]) -> None:
    for name, tensor in features.items():
        bad = (~torch.isfinite(tensor)).flatten(1).any(dim=1).nonzero()
        if len(bad):
            raise ValueError(
                f"{name} of sample {keys[int(bad[0])]} is not finite in float16; are the encoders trained?"
            )


@lru_cache(maxsize=1)
def load_encoders(models: str, vision: str | None, device: str) -> FrozenEncoders:
    """The encoders on their device; loaded once in a process, which may encode many shards.

    Raises:
        ValueError: there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda needs a GPU, and torch sees none here; use --device cpu")
    # Its bars over weights say nothing and fill logs.
    disable_progress_bar()
    encoders = FrozenEncoders.from_pretrained(models, vision)
    encoders.vae.to(memory_format=torch.channels_last)
    return encoders.to(_torch_device(device))


@lru_cache(maxsize=1)
def load_language(config: LanguageConfig | None, device: str) -> LanguageEncoder | None:
    """The language model on its device, loaded once in a process; None where none is asked for."""
    return None if config is None else config.build().to(_torch_device(device))


def _torch_device(device: str) -> torch.device:
    """Processes that share a node take its GPUs in turn."""
    if not _on_gpu(device):
        return torch.device("cpu")
    return torch.device("cuda", local_rank(os.environ) % torch.cuda.device_count())


def _on_gpu(device: str) -> bool:
    return device != "cpu" and torch.cuda.is_available()
