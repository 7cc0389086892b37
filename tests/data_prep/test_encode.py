import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data_prep.around import Around, WindowPlace
from data_prep.config import EncodeConfig, MachineConfig
from data_prep.encode import RawWindow, decode_windows, encode_batch, to_pixel_values
from lit_outpaint.canvas.geometry import Direction, known_box
from lit_outpaint.data.integrity import check_shard_set
from lit_outpaint.data.reader import decode_window
from lit_outpaint.data.schema import (
    EMPTY_NAME,
    MOMENTS,
    TEXT_EMPTY,
    TEXT_GLOBAL,
    TEXT_LOCAL,
    SampleRecord,
    masked_latents_key,
    visual_key,
)
from lit_outpaint.data.shard_files import ShardFiles
from lit_outpaint.data.tensors import unpack_tensors
from lit_outpaint.models.encoders import FrozenEncoders

HALF = {"rtol": 2e-3, "atol": 2e-3}


@pytest.fixture(scope="module")
def encoders(models: Path) -> FrozenEncoders:
    return FrozenEncoders.from_pretrained(models)


def stored(shards: Path, position: int, names: list[str]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    card, entries = check_shard_set(shards)
    files = ShardFiles(shards)
    window = decode_window(files.read(entries[position], "webp"), card.window_px)
    return window[None], unpack_tensors(files.read(entries[position], "safetensors"), names)


@pytest.mark.parametrize("direction", ["left", "right", "up", "down"])
def test_masked_latents_are_the_encoding_of_the_window_with_the_growing_side_grey(
    shards: Path, encoders: FrozenEncoders, direction: Direction
) -> None:
    view = f"{direction}.0.5"
    window, tensors = stored(shards, 3, [masked_latents_key(view), visual_key(view)])
    known = known_box(direction, 0.5, 128, 128)
    blanked = torch.zeros_like(window)
    shown = window[..., known.y0 : known.y1, known.x0 : known.x1]
    blanked[..., known.y0 : known.y1, known.x0 : known.x1] = shown
    torch.testing.assert_close(tensors[masked_latents_key(view)][None], encoders.encode_mode(blanked), **HALF)
    torch.testing.assert_close(tensors[visual_key(view)][None], encoders.encode_visual(shown), **HALF)


def test_windows_are_decoded_without_tensors_to_what_training_sees(shards: Path) -> None:
    _, entries = check_shard_set(shards)
    files = ShardFiles(shards)
    samples = [RawWindow(entry.key, bytes(files.read(entry, "webp"))) for entry in entries[:5]]
    ((keys, windows, _), _) = decode_windows(iter(samples), 3)
    assert isinstance(windows, np.ndarray)  # Torch would start OpenMP's workers for the thread that decodes.
    assert keys == [sample.key for sample in samples[:3]]
    assert torch.equal(to_pixel_values(windows), torch.stack([decode_window(each.image, 128) for each in samples[:3]]))


def test_moments_are_those_of_the_whole_window(shards: Path, encoders: FrozenEncoders) -> None:
    window, tensors = stored(shards, 7, [MOMENTS])
    torch.testing.assert_close(tensors[MOMENTS][None], encoders.encode_image(window), **HALF)


def test_text_features_are_those_of_the_recorded_captions(shards: Path, encoders: FrozenEncoders) -> None:
    _, entries = check_shard_set(shards)
    record = ShardFiles(shards).record(entries[5])
    _, tensors = stored(shards, 5, [TEXT_LOCAL, TEXT_GLOBAL])
    expected = encoders.encode_text([record.local_caption, record.global_caption])
    torch.testing.assert_close(torch.stack([tensors[TEXT_LOCAL], tensors[TEXT_GLOBAL]]), expected, **HALF)
    empty = unpack_tensors(bytearray((shards / EMPTY_NAME).read_bytes()), [TEXT_EMPTY])[TEXT_EMPTY]
    torch.testing.assert_close(empty[None], encoders.encode_text([""]), **HALF)


def test_the_card_counts_truncated_captions(shards: Path, encoders: FrozenEncoders) -> None:
    card, entries = check_shard_set(shards)
    records = [ShardFiles(shards).record(entry) for entry in entries]
    texts = [text for record in records for text in (record.local_caption, record.global_caption)]
    assert card.text.captions == len(texts) == sum(card.text.token_histogram.values())
    assert card.text.truncated == encoders.count_truncated(texts) > 0


def test_a_corner_has_masked_latents_of_its_own_and_the_visual_tokens_of_its_first_side(
    encoders: FrozenEncoders,
) -> None:
    windows = torch.rand(2, 3, 128, 128) * 2 - 1
    record = SampleRecord.model_construct(local_captions=["a hill"], local_index=0, global_caption="hills")
    config = EncodeConfig(directions=("down+right", "down"))
    features = encode_batch(encoders, windows, [record, record], config)
    assert {name for name in features if "down" in name} == {
        "masked_latents.down.0.5",
        "masked_latents.down+right.0.5",
        "visual.down.0.5",
    }
    torch.testing.assert_close(features["visual.down.0.5"].float(), encoders.encode_visual(windows[:, :, :64]), **HALF)
    windows[:, :, 64:, 64:] = 0
    expected = encoders.encode_mode(windows)
    torch.testing.assert_close(features["masked_latents.down+right.0.5"].float(), expected, **HALF)


def test_of_the_picture_around_a_window_the_encoder_sees_what_lies_behind_the_seam(encoders: FrozenEncoders) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 224, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True)
    around = [Around(buffer.getvalue(), WindowPlace(x=64, y=64))] * 2
    picture = to_pixel_values(pixels[None])
    windows = picture[..., 64:192, 64:192].expand(2, -1, -1, -1)
    record = SampleRecord.model_construct(local_captions=["a hill"], local_index=0, global_caption="hills")
    features = encode_batch(encoders, windows, [record, record], EncodeConfig(), around)
    seen = {
        "right": picture[..., 64:192, :128],
        "left": picture[..., 64:192, 128:],  # The picture ends 96 px behind the seam.
        "down": picture[..., :128, 64:192],
        "up": picture[..., 128:, 64:192],
    }
    for side, part in seen.items():
        expected = encoders.encode_visual(part).expand(2, -1, -1)
        torch.testing.assert_close(features[f"visual_picture.{side}.0.5"].float(), expected, **HALF)
        assert not torch.equal(features[f"visual_picture.{side}.0.5"], features[f"visual.{side}.0.5"])


def test_as_many_windows_are_encoded_at_once_as_fit_16_gib() -> None:
    machine = MachineConfig()
    assert [machine.windows_at_once(side) for side in (64, 128, 256, 512, 768, 4096)] == [64, 64, 64, 16, 7, 1]
    assert MachineConfig(batch_size=5).windows_at_once(512) == 5
    with pytest.raises(ValueError, match="batch_size"):
        MachineConfig(batch_size=0)
