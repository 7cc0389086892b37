"""The ``encode`` stage: features of the frozen encoders, so that training never runs them.

Per window: the moments of its latents, the text features of its local and its global caption, and for every view the
latents of the window with the part to generate blanked and the visual tokens of the visible part alone.
"""

import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers.utils.logging import disable_progress_bar

from data_prep.caption import read_captions
from data_prep.config import EncodeConfig, MachineConfig
from data_prep.progress import progress
from data_prep.tars import TarWriter, read_samples
from data_prep.work import SHAPES_NAME, TEXT_SUFFIX, Work, write_atomic
from lit_outpaint.canvas.geometry import Direction, outpaint_mask
from lit_outpaint.data.schema import (
    EMPTY_NAME,
    IMAGE_SUFFIX,
    MAX_IMAGE_PX,
    MOMENTS,
    RECORD_SUFFIX,
    TENSOR_SUFFIX,
    TEXT_EMPTY,
    TEXT_GLOBAL,
    TEXT_LOCAL,
    SampleRecord,
    TextCard,
    masked_latents_key,
    parse_view,
    visual_key,
)
from lit_outpaint.data.tensors import pack_tensors
from lit_outpaint.data.views import blank_masked, visible_crop
from lit_outpaint.models.encoders import FrozenEncoders

HISTOGRAM_STEP: Final = 8
"""Tokens per bar of the token-length histogram."""


def write_features(directory: Path, work: Work, config: EncodeConfig, machine: MachineConfig) -> None:
    """Write one tar of ``KEY.safetensors`` per shard, with the text counts beside it.

    Args:
        directory: of this stage.
        work: gives windows and captions.
        config: which encoders and views.
        machine: where to encode, and how many windows at once.

    Raises:
        ValueError: windows differ in size, a feature is not finite in float16, or there is no such device.
    """
    encoders = _load_encoders(config.models, machine.device)
    for stem in work.shards("raw"):
        path = directory / f"{stem}.tar"
        if path.exists():
            continue
        captions = read_captions(work.stage("captions") / f"{stem}.jsonl")
        # The counts go first: the tar is what says that a shard is done.
        write_atomic(directory / f"{stem}.{TEXT_SUFFIX}", text_card(encoders, list(captions.values())))
        samples = _samples(work.stage("raw") / f"{stem}.tar")
        with TarWriter(path) as tar:
            rows = encode_samples(encoders, samples, captions, config, machine.batch_size)
            for key, tensors in progress(rows, len(captions), f"encode {stem}"):
                tar.add(key, {TENSOR_SUFFIX: pack_tensors(tensors)})
    _write_constants(directory, encoders, work)


def encode_samples(
    encoders: FrozenEncoders,
    samples: Iterator[tuple[str, bytes]],
    captions: dict[str, SampleRecord],
    config: EncodeConfig,
    batch_size: int,
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Features of every sample, batch by batch.

    Yields:
        The key and its tensors, named and shaped as ``lit_outpaint.data.schema`` says.
    """
    batch: list[tuple[str, bytes]] = []
    for sample in samples:
        batch.append(sample)
        if len(batch) == batch_size:
            yield from _encode_batch(encoders, batch, captions, config)
            batch = []
    if batch:
        yield from _encode_batch(encoders, batch, captions, config)


def _encode_batch(
    encoders: FrozenEncoders,
    batch: Sequence[tuple[str, bytes]],
    captions: dict[str, SampleRecord],
    config: EncodeConfig,
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    keys = [key for key, _ in batch]
    records = [captions[key] for key in keys]
    pixel_values = _pixels([image for _, image in batch]).to(encoders.device)
    autocast = torch.autocast(encoders.device.type, torch.bfloat16) if config.bf16 else nullcontext()
    with torch.inference_mode(), autocast:
        features = {
            MOMENTS: encoders.encode_image(pixel_values),
            TEXT_LOCAL: encoders.encode_text([record.local_caption for record in records]),
            TEXT_GLOBAL: encoders.encode_text([record.global_caption for record in records]),
        }
        for view in config.views:
            direction, ratio = parse_view(view)
            mask = outpaint_mask(cast(Direction, direction), ratio, *pixel_values.shape[-2:]).to(encoders.device)
            features[masked_latents_key(view)] = encoders.encode_mode(blank_masked(pixel_values, mask[None]))
            features[visual_key(view)] = encoders.encode_visual(visible_crop(pixel_values, mask))
    features = {name: tensor.to("cpu", torch.float16) for name, tensor in features.items()}
    _require_finite(keys, features)
    for row, key in enumerate(keys):
        yield key, {name: tensor[row] for name, tensor in features.items()}


def text_card(encoders: FrozenEncoders, records: Sequence[SampleRecord]) -> bytes:
    """Count the encoded captions, those that lose their end, and the lengths of all, as JSON."""
    texts = [text for record in records for text in (record.local_caption, record.global_caption)]
    counts = encoders.count_tokens(texts)
    bars = Counter(count // HISTOGRAM_STEP for count in counts)
    histogram = {f"{bar * HISTOGRAM_STEP}-{(bar + 1) * HISTOGRAM_STEP - 1}": bars[bar] for bar in sorted(bars)}
    limit = encoders.tokenizer.model_max_length
    card = TextCard(captions=len(texts), truncated=sum(c > limit for c in counts), token_histogram=histogram)
    return card.model_dump_json().encode()


def _write_constants(directory: Path, encoders: FrozenEncoders, work: Work) -> None:
    """What holds for the whole set: the empty caption's features and the shapes."""
    with torch.inference_mode():
        empty = encoders.encode_text([""])[0]
    write_atomic(directory / EMPTY_NAME, pack_tensors({TEXT_EMPTY: empty}))
    _, image = next(_samples(work.stage("raw") / f"{work.shards('raw')[0]}.tar"))
    pixel_values = _pixels([image]).to(encoders.device)
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
    write_atomic(directory / SHAPES_NAME, json.dumps(shapes).encode())


def _samples(path: Path) -> Iterator[tuple[str, bytes]]:
    for key, members in read_samples(path, (IMAGE_SUFFIX, RECORD_SUFFIX)):
        yield key, members[IMAGE_SUFFIX].data


def _pixels(images: Sequence[bytes]) -> Tensor:
    """Decode windows to (B, 3, H, W) in [-1, 1]."""
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
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def _require_finite(keys: Sequence[str], features: dict[str, Tensor]) -> None:
    for name, tensor in features.items():
        bad = (~torch.isfinite(tensor)).flatten(1).any(dim=1).nonzero()
        if len(bad):
            raise ValueError(
                f"{name} of sample {keys[int(bad[0])]} is not finite in float16; are the encoders trained?"
            )


def _load_encoders(models: str, device: str) -> FrozenEncoders:
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda needs a GPU, and torch sees none here; use --device cpu")
    # Its bars over weights say nothing and fill logs.
    disable_progress_bar()
    encoders = FrozenEncoders.from_pretrained(models)
    encoders.vae.to(memory_format=torch.channels_last)
    chosen = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    return encoders.to(chosen)
