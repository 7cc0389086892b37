import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.around import WindowPlace, pictures_of, read_around
from data_prep.config import ScapesConfig
from data_prep.engines import LocalEngine
from data_prep.raw import RawRecord
from data_prep.scapes.captions import local_caption
from data_prep.scapes.shards import STRIDE, Job, ScapesSource, place_of, window_facts
from data_prep.scapes.world import WINDOW, World
from data_prep.tars import read_samples
from lit_outpaint.heldout.evalset import read_panoramas, read_windows

CONFIG = ScapesConfig(windows=6, val_windows=3, panoramas=2, eval_windows=3, eval_steps=3, samples_per_shard=10, seed=4)


def write_windows(directory: Path, config: ScapesConfig, processes: int = 1) -> None:
    source = ScapesSource(config)
    LocalEngine(processes).map(partial(source.write_shard, directory), source.stems(), "render")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("raw")
    write_windows(directory, CONFIG)
    return directory


@pytest.fixture(scope="module")
def evalset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("evalset")
    ScapesSource(CONFIG).write_evalset(directory)
    return directory


def test_more_processes_give_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    write_windows(tmp_path, CONFIG, processes=2)
    names = sorted(path.name for path in raw.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert all((raw / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)


def windows(raw: Path, split: str) -> list[tuple[str, np.ndarray, RawRecord]]:
    rows = []
    for key, members in read_samples(raw / f"{split}-00000.tar", ("webp", "json")):
        with Image.open(io.BytesIO(members["webp"].data)) as image:
            rows.append((key, np.asarray(image.convert("RGB")), RawRecord.model_validate_json(members["json"].data)))
    return rows


def test_the_picture_around_a_window_is_two_windows_wide_and_high(raw: Path, tmp_path: Path) -> None:
    write_windows(tmp_path, replace(CONFIG, around=True))
    assert (tmp_path / "train-00000.tar").read_bytes() == (raw / "train-00000.tar").read_bytes()
    rows = windows(tmp_path, "train")
    around = list(read_around(pictures_of(tmp_path, "train-00000")))
    assert [key for key, _ in around] == [key for key, _, _ in rows]
    for (_, picture), (_, window, _) in zip(around, rows, strict=True):
        assert picture.place == WindowPlace(x=64, y=64)
        with Image.open(io.BytesIO(picture.image)) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert pixels.shape == (256, 256, 3)
        assert np.array_equal(pixels[64:192, 64:192], window)


def test_a_stored_window_is_the_world_at_its_place_without_loss(raw: Path) -> None:
    for number, (_, pixels, record) in enumerate(windows(raw, "train")):
        place = place_of(Job("train", number, 4))
        assert record.id == f"world {place.world} at {place.x},{place.y}"
        assert np.array_equal(pixels, place.render())
        assert len(record.local_captions) == 5


def test_training_worlds_are_even_and_held_out_worlds_odd(raw: Path) -> None:
    for split, odd in (("train", 0), ("val", 1)):
        assert {int(record.id.split()[1]) % 2 for _, _, record in windows(raw, split)} == {odd}
    assert {place_of(Job(kind, i, 4)).world % 2 for kind in ("eval", "panorama") for i in range(20)} == {1}


def test_kinds_of_windows_share_no_place() -> None:
    kinds = ("train", "val", "eval", "panorama")
    places = [place_of(Job(kind, number, seed)) for kind in kinds for number in range(50) for seed in (0, 1)]
    assert len(set(places)) == len(places)


def test_training_windows_reach_sky_and_ground() -> None:
    rows = [place_of(Job("train", number, 0)).y for number in range(400)]
    assert min(rows) < -128
    assert max(rows) > 128
    assert 0.6 < sum(y == 0 for y in rows) / len(rows) < 0.8


def test_the_share_of_surface_windows_is_a_setting_of_training_windows_alone() -> None:
    places = {share: [place_of(Job("train", i, 0, surface_share=share)) for i in range(200)] for share in (0.7, 0.2)}
    assert sum(place.y == 0 for place in places[0.2]) < 60
    assert [(p.world, p.x) for p in places[0.2]] == [(p.world, p.x) for p in places[0.7]]
    assert all(place_of(Job("eval", i, 0, surface_share=0.2)).y == 0 for i in range(50))


def test_more_windows_leave_the_first_ones_as_they_are(raw: Path, tmp_path: Path) -> None:
    more = ScapesConfig(windows=9, val_windows=0, samples_per_shard=10, seed=4)
    write_windows(tmp_path, more)
    for (key, pixels, record), (other_key, other_pixels, other) in zip(
        windows(raw, "train"), windows(tmp_path, "train"), strict=False
    ):
        assert (key, record) == (other_key, other)
        assert np.array_equal(pixels, other_pixels)


def test_a_panorama_is_the_world_step_by_step(evalset: Path) -> None:
    for number, row in enumerate(read_panoramas(evalset)):
        place = place_of(Job("panorama", number, 4))
        world, x = World(place.world), place.x
        assert (row.window_px, row.stride_px, len(row.steps), row.direction) == (WINDOW, STRIDE, 3, "right")
        with Image.open(evalset / row.image) as image:
            pixels = np.asarray(image)
        assert pixels.shape == (128, 128 + 3 * 64, 3)
        assert np.array_equal(pixels[:, :128], world.render(x))
        assert row.first_facts == window_facts(world.facts(x))
        for step, truth in enumerate(row.steps, 1):
            facts = world.facts(x + 64 * step)
            assert truth.facts == window_facts(facts)
            assert truth.local_caption == local_caption(facts)
            assert truth.strip_facts == window_facts(world.facts(x + 64 * step + 64, 0, 64, 128))


@pytest.mark.parametrize(("direction", "across", "down"), [("left", -64, 0), ("up", 0, -64), ("down", 0, 64)])
def test_panoramas_grow_to_every_side_from_the_same_windows(
    direction: str, across: int, down: int, tmp_path: Path
) -> None:
    config = ScapesConfig(panoramas=1, eval_windows=0, eval_steps=3, seed=4, panorama_directions=("right", direction))
    ScapesSource(config).write_evalset(tmp_path)
    right, row = sorted(read_panoramas(tmp_path), key=lambda row: row.direction != "right")
    assert (row.key, row.direction) == (f"panorama_{direction}_0000000", direction)
    assert (row.first_caption, row.first_facts) == (right.first_caption, right.first_facts)
    place = place_of(Job("panorama", 0, 4))
    world = World(place.world)
    with Image.open(tmp_path / row.image) as image:
        pixels = np.asarray(image)
    left, top = place.x + min(3 * across, 0), min(3 * down, 0)
    assert np.array_equal(pixels, world.render(left, top, 128 + abs(3 * across), 128 + abs(3 * down)))
    for step, truth in enumerate(row.steps, 1):
        x, y = place.x + step * across, step * down
        assert truth.facts == window_facts(world.facts(x, y))
        assert truth.local_caption == local_caption(world.facts(x, y))
    ends = row.steps[-1].facts
    assert (ends.time is None, bool(ends.biomes)) == {"left": (False, True), "up": (False, False)}.get(
        direction, (True, False)
    )
    strip = {"left": (0, 0, 64, 128), "up": (0, 0, 128, 64), "down": (0, 64, 128, 64)}[direction]
    seen = world.facts(place.x + 3 * across + strip[0], 3 * down + strip[1], *strip[2:])
    assert row.steps[-1].strip_facts == window_facts(seen)


def test_held_out_windows_show_the_surface_and_carry_their_facts(evalset: Path) -> None:
    rows = read_windows(evalset)
    assert len(rows) == 3
    for number, row in enumerate(rows):
        place = place_of(Job("eval", number, 4))
        assert place.y == 0
        assert row.facts == window_facts(place.facts())
        assert row.facts.time is not None
        assert row.facts.biomes
        assert 40 <= len(row.dense_caption.split()) <= 140
