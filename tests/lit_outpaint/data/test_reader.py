import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lit_outpaint.canvas.geometry import DIRECTIONS
from lit_outpaint.canvas.masks import outpaint_mask
from lit_outpaint.data.damaged import Loaded
from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.data.features import Features
from lit_outpaint.data.integrity import check_shard_set
from lit_outpaint.data.order import SampleRef
from lit_outpaint.data.reader import PackedBatch, ShardDataset, View, ViewChoice, decode_window
from lit_outpaint.data.schema import ShardError, masked_latents_key, view_name, visual_key
from lit_outpaint.data.shard_files import ShardFiles
from lit_outpaint.data.tensors import unpack_tensors


def encoded(image: Image.Image, form: str = "WEBP") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **({"lossless": True} if form == "WEBP" else {}))
    return buffer.getvalue()


def dataset(shards: Path, *, online: bool = False, seed: int = 0) -> ShardDataset:
    card, entries = check_shard_set(shards)
    views = None if online else tuple(card.views)
    choice = ViewChoice(directions=DIRECTIONS, ratios=(0.5, 0.5), precomputed=views)
    return ShardDataset(shards, entries, card.window_px, choice, seed, Features(*2 * [torch.zeros(77, 32)]))


def load(data: ShardDataset, ref: SampleRef) -> PackedBatch:
    loaded = data.__getitems__([ref])
    assert isinstance(loaded, Loaded)
    assert loaded.damage == ()
    return loaded.batch


def test_a_sample_holds_the_features_of_the_view_it_drew(shards: Path) -> None:
    data = dataset(shards)
    for position in range(4):
        batch = data.unpack(load(data, SampleRef(position, 3)))
        raw = ShardFiles(shards).read(data.entries[position], "safetensors")
        view = view_name(batch.directions[0], 0.5)
        stored = unpack_tensors(raw, [masked_latents_key(view), visual_key(view)])
        assert torch.equal(batch.mask[0], outpaint_mask(batch.directions[0], 0.5, 128, 128))  # type: ignore[arg-type]
        assert batch.masked_image_latents is not None
        assert torch.equal(batch.masked_image_latents[0], stored[masked_latents_key(view)])
        assert batch.features.visual is not None
        assert torch.equal(batch.features.visual[0], stored[visual_key(view)])


def test_unpacking_leaves_torch_its_threads(shards: Path) -> None:
    data, threads = dataset(shards), torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        data.unpack(load(data, SampleRef(0, 0)))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


def test_the_record_says_where_a_sample_comes_from(shards: Path) -> None:
    data = dataset(shards)
    record = data.files.record(data.entries[0])
    assert record.source == "scapes"
    assert record.local_caption in record.local_captions
    assert len(record.imaginary_captions) == 3


def test_online_views_decode_the_window_itself(shards: Path) -> None:
    data = dataset(shards, online=True)
    batch = data.unpack(load(data, SampleRef(0, 0)))
    assert batch.masked_image_latents is None
    assert batch.features.visual is None
    assert batch.pixel_values is not None
    assert batch.pixel_values.shape == (1, 3, 128, 128)
    assert -1 <= batch.pixel_values.min() < batch.pixel_values.max() <= 1


@pytest.mark.parametrize(("workers", "batch_size"), [(0, 1), (0, 4), (2, 3)])
def test_the_view_of_a_key_depends_on_seed_and_epoch_alone(shards: Path, workers: int, batch_size: int) -> None:
    reference = dataset(shards, seed=7)
    module = OutpaintDataModule(str(shards), batch_size=batch_size, num_workers=workers, seed=7)
    module.setup("fit")
    loader = module.train_dataloader()
    loader.epoch_sampler.set_epoch(2)
    for batch in loader:
        for key, direction in zip(batch.keys, batch.directions, strict=True):
            assert View(direction, 0.5) == reference.choice.draw(7, 2, key)


def test_epochs_and_seeds_see_other_views() -> None:
    choice = ViewChoice(directions=DIRECTIONS, ratios=(0.2, 0.8), precomputed=None)
    draws = [[choice.draw(seed, epoch, f"k{i}") for i in range(32)] for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert draws[0] != draws[1]
    assert draws[0] != draws[2]
    assert {view.kind for view in draws[0]} == set(DIRECTIONS)
    assert all(0.2 <= view.ratio <= 0.8 for draw in draws for view in draw)


def test_a_range_picks_the_stored_ratios_inside_it() -> None:
    stored = ("right.0.25", "right.0.5", "right.0.75")
    choice = ViewChoice(directions=("right",), ratios=(0.4, 0.8), precomputed=stored)
    assert {choice.draw(0, 0, f"k{i}") for i in range(40)} == {View("right", 0.5), View("right", 0.75)}
    with pytest.raises(ShardError, match="views: online"):
        ViewChoice(directions=("right",), ratios=(0.3, 0.4), precomputed=stored)
    with pytest.raises(ShardError, match="'left'"):
        ViewChoice(directions=("right", "left"), ratios=(0.5, 0.5), precomputed=stored)


def test_a_side_that_is_named_twice_is_drawn_twice_as_often() -> None:
    stored = ("down.0.5", "down+left.0.5")
    choice = ViewChoice(directions=("down", "down", "down+left"), ratios=(0.5, 0.5), precomputed=stored)
    drawn = Counter(choice.draw(0, 0, f"k{number}")[0] for number in range(3000))
    assert drawn["down"] / drawn["down+left"] == pytest.approx(2, abs=0.2)


def test_drawing_a_view_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    ViewChoice(directions=DIRECTIONS, ratios=(0.2, 0.8), precomputed=None).draw(0, 0, "k")
    assert torch.equal(torch.get_rng_state(), before)


def test_pixels_survive_the_codec() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    decoded = decode_window(encoded(Image.fromarray(pixels)), 16)
    restored = ((decoded + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    assert np.array_equal(restored, pixels)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: encoded(Image.new("RGB", (32, 16))), "must be 16 x 16"),
        (lambda: encoded(Image.new("RGB", (8000, 8000))), "must be 16 x 16"),
        (lambda: encoded(Image.new("RGB", (16, 16)), "PNG"), "cannot be decoded"),
        (lambda: encoded(Image.new("RGB", (16, 16)))[:20], "cannot be decoded"),
        (bytes, "cannot be decoded"),
    ],
    ids=["shape", "bomb", "format", "truncated", "empty"],
)
def test_what_is_no_window_of_the_card_is_refused(data: Callable[[], bytes], message: str) -> None:
    with pytest.raises(ShardError, match=message):
        decode_window(data(), 16)
