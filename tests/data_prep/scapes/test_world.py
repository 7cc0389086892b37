"""The world is one picture, endless, and says the truth about itself."""

import time
from itertools import pairwise

import numpy as np
import pytest

from data_prep.scapes.objects import DRAW, HALF_WIDTH, HEIGHT, Brush
from data_prep.scapes.painter import LabelPainter
from data_prep.scapes.palette import (
    BIOME_KINDS,
    BIOMES,
    COLOURS,
    KINDS,
    LABEL_BIOMES,
    LABEL_COLOURS,
    LABEL_KINDS,
    LABEL_SKIES,
    TIMES,
    WEATHERS,
)
from data_prep.scapes.windows import random_place
from data_prep.scapes.world import WINDOW, World


@pytest.mark.parametrize("origin", [(0, 0), (-5_000, -200), (123_456_789, 190)])
def test_any_two_views_agree_where_they_overlap(origin: tuple[int, int]) -> None:
    x, y = origin
    world = World(7)
    wide, inner = world.render(x, y, 320, 192), world.render(x + 96, y + 32, WINDOW, WINDOW)
    np.testing.assert_array_equal(wide[32 : 32 + WINDOW, 96 : 96 + WINDOW], inner)
    wide_labels, inner_labels = world.labels(x, y, 320, 192), world.labels(x + 96, y + 32, WINDOW, WINDOW)
    np.testing.assert_array_equal(wide_labels.kind[32 : 32 + WINDOW, 96 : 96 + WINDOW], inner_labels.kind)


def test_equal_seeds_give_equal_worlds_and_others_do_not() -> None:
    np.testing.assert_array_equal(World(3).render(500), World(3).render(500))
    assert (World(3).render(500) != World(5).render(500)).any()


def test_the_world_has_the_promised_variety() -> None:
    worlds = [World(seed) for seed in range(200)]
    assert {w.time for w in worlds} == set(TIMES)
    assert {w.weather for w in worlds} == set(WEATHERS)
    assert {w.mountains for w in worlds} == {True, False}
    assert len(TIMES) == 4
    assert len(BIOMES) >= 6
    assert len(COLOURS) >= 3
    assert all(len(kinds) >= 2 for kinds in BIOME_KINDS.values())
    seen = {(o.kind, o.colour) for w in worlds for y in (-200, 0, 150) for o in w.facts(0, y, 1024).objects}
    assert seen == {(kind, colour) for kind, tinted in KINDS.items() for colour in (COLOURS if tinted else [None])}


def test_global_attributes_hold_everywhere_and_biomes_change() -> None:
    world = World(4)
    views = [world.facts(x) for x in range(0, 20_000, 128)]
    assert len({(v.time, v.weather, v.mountains) for v in views}) == 1
    assert len({biome for v in views for biome in v.biomes}) >= 3


def test_neighbouring_biomes_differ_and_shares_sum_to_one() -> None:
    world = World(11)
    names = [world._biome(cell) for cell in range(-50, 50)]
    assert all(a != b for a, b in pairwise(names))
    for x in range(-3000, 3000, 97):
        assert sum(world.facts(x).biomes.values()) == pytest.approx(1.0, abs=1e-3)


def test_label_maps_show_what_the_facts_name() -> None:
    for index in range(60):
        place = random_place(index, seed=5)
        facts, labels = place.facts(), World(place.world).labels(place.x, place.y)
        for thing in facts.objects:
            pixels = labels.kind == LABEL_KINDS.index(thing.kind)
            assert pixels.sum() > 60, (place, thing)
            if thing.colour is not None:
                assert (labels.colour[pixels] == LABEL_COLOURS.index(thing.colour)).any()
        if facts.weather is not None:
            has_cloud = (labels.sky == LABEL_SKIES.index("cloud")).sum() > 150
            assert has_cloud or facts.weather == "clear" or place.y > 30
            assert facts.weather == "cloudy" or not has_cloud


def test_label_biomes_cover_the_surface_in_the_shares_of_the_facts() -> None:
    facts, labels = World(9).facts(4321), World(9).labels(4321)
    ground = labels.biome[labels.biome > 0]
    for biome, share in facts.biomes.items():
        assert (ground == LABEL_BIOMES.index(biome)).mean() == pytest.approx(share, abs=0.12)


def test_night_stays_darker_than_day_everywhere() -> None:
    by_time = {time: [w for w in map(World, range(60)) if w.time == time][:4] for time in TIMES}
    brightness = {time: np.mean([w.render(77).mean() for w in worlds]) for time, worlds in by_time.items()}
    assert brightness["night"] < 0.6 * min(brightness["day"], brightness["dawn"], brightness["dusk"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_stays_inside_its_box(kind: str) -> None:
    painter = LabelPainter(np.zeros((160, 160), dtype=np.int32), 0, 0)
    DRAW[kind](Brush(painter, kind, "red" if KINDS[kind] else None, (1.0, 1.0, 1.0)), 80.0, 120.0)
    rows, columns = np.nonzero(painter.codes())
    assert len(rows) > 60
    assert 80 - HALF_WIDTH - 1 <= columns.min()
    assert columns.max() <= 80 + HALF_WIDTH + 1
    assert 120 - HEIGHT - 1 <= rows.min()
    assert rows.max() <= 122


def test_held_out_worlds_are_never_training_worlds() -> None:
    training = {random_place(i, seed=0).world % 2 for i in range(100)}
    held_out = {random_place(i, seed=0, held_out=True).world % 2 for i in range(100)}
    assert (training, held_out) == ({0}, {1})


@pytest.mark.slow
def test_a_window_renders_in_a_few_milliseconds() -> None:
    worlds = [World(seed) for seed in range(40)]
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for world in worlds:
            world.render(1000)
        best = min(best, (time.process_time() - started) / len(worlds))
    assert best < 0.01  # 3 to 4 ms on a quiet core; one that shares its units with a busy one takes twice that.
