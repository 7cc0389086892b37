import random

import numpy as np
import pytest

from data_prep.scapes.casting import COLOURED_LAYOUTS, LAYOUTS, cast
from data_prep.scapes.palette import LABEL_BIOMES, LABEL_KINDS
from data_prep.scapes.staging import HOME, VIEWS, Scene, Seen, in_two_biomes, stage
from data_prep.scapes.world import WINDOW, Placed, Staged, World

STAGED = Staged(
    time="dusk",
    weather="cloudy",
    mountains=True,
    biomes=("meadow", "lake"),
    border=64.0,
    objects=(Placed("barn", "red", 30.0, 108.0), Placed("sailboat", "blue", 98.0, 108.0)),
)


def test_staged_world_shows_what_it_is_told() -> None:
    facts = World(5, STAGED).facts(0)
    assert (facts.time, facts.weather, facts.mountains) == ("dusk", "cloudy", True)
    assert [(o.kind, o.colour) for o in facts.objects] == [("barn", "red"), ("sailboat", "blue")]
    assert facts.biomes == pytest.approx({"meadow": 0.5, "lake": 0.5}, abs=0.01)


def test_staged_world_changes_only_what_it_is_told() -> None:
    free = World(7)
    told = Staged(time=free.time, weather=free.weather, mountains=free.mountains, biomes=("meadow",))
    # Sky, clouds and peaks still come from the seed.
    np.testing.assert_array_equal(World(7, told).render(0)[:40], free.render(0)[:40])


def test_labels_of_a_staged_world_have_both_biomes_and_all_things() -> None:
    labels = World(5, STAGED).labels(0)
    assert {LABEL_KINDS[i] for i in np.unique(labels.kind)} == {"none", "barn", "sailboat"}
    assert {LABEL_BIOMES[i] for i in np.unique(labels.biome)} == {"none", "meadow", "lake"}


@pytest.mark.parametrize(
    ("kinds", "possible"),
    [
        (("barn", "windmill", "tent"), True),
        (("barn", "tent", "windmill"), False),
        (("barn", "tent", "igloo"), False),
        (("balloon", "barn", "tent"), True),
    ],
)
def test_surface_things_share_at_most_two_biomes_in_one_piece(kinds: tuple[str, ...], possible: bool) -> None:
    assert in_two_biomes(kinds) is possible


@pytest.mark.parametrize(
    "layout", sorted({x for table in (LAYOUTS, COLOURED_LAYOUTS) for y in table.values() for x in y})
)
def test_every_thing_of_a_scene_stands_in_its_biome_and_for_the_most_part_in_view(layout: tuple) -> None:
    rng = random.Random(0)
    for _ in range(10):
        scene = stage(rng, layout.view, cast(rng, layout))
        _check(scene)


def _check(scene: Scene) -> None:
    y = VIEWS[scene.view].y
    for thing, (x, foot) in zip(scene.things, scene.places, strict=True):
        assert Placed(thing.kind, thing.colour, x, foot).visible_share(0, y, WINDOW, WINDOW) >= 0.55
        if thing.kind in HOME:
            first = len(scene.biomes) < 2 or x < scene.border
            assert HOME[thing.kind] == scene.biomes[0 if first else 1]


def test_scene_of_one_thing_has_its_biome() -> None:
    assert stage(random.Random(1), "surface", [Seen("igloo", None)]).biomes == ("snowfield",)
