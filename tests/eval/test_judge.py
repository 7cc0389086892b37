import numpy as np
import pytest

from eval.judge import read_labels, strip_of
from eval.readings import ClassNames, JudgeConfig, LabelMaps

NAMES = ClassNames(
    kinds=("none", "barn", "house", "cactus"),
    colours=("none", "red", "blue"),
    biomes=("none", "meadow", "desert"),
    skies=("none", "dawn", "day", "dusk", "night", "cloud", "mountain"),
)
CONFIG = JudgeConfig(min_object_px=4, cloud_share=0.1, mountain_share=0.05)
SIDE = 20


def _maps(**patches: tuple[slice, slice, int]) -> LabelMaps:
    """A 20 x 20 view: upper half day sky, lower half meadow; each patch overwrites a rectangle of a map."""
    maps = {name: np.zeros((SIDE, SIDE), dtype=np.int64) for name in LabelMaps._fields}
    maps["sky"][:10] = NAMES.skies.index("day")
    maps["biome"][10:] = NAMES.biomes.index("meadow")
    for name, (rows, columns, value) in patches.items():
        maps[name.split("_")[0]][rows, columns] = value
    return LabelMaps(**maps)


def test_plain_view_is_read_as_it_is() -> None:
    reading = read_labels(_maps(), NAMES, CONFIG)
    assert (reading.time, reading.weather, reading.mountains) == ("day", "clear", False)
    assert reading.biomes == {"meadow": 1.0}
    assert reading.objects == frozenset()


def test_time_is_the_majority_among_times_even_under_many_clouds() -> None:
    cloudy = _maps(
        sky_a=(slice(0, 6), slice(None), NAMES.skies.index("cloud")),
        sky_b=(slice(6, 7), slice(None), NAMES.skies.index("dusk")),
    )
    reading = read_labels(cloudy, NAMES, CONFIG)
    assert (reading.time, reading.weather) == ("day", "cloudy")


@pytest.mark.parametrize(("columns", "weather"), [(19, "clear"), (20, "cloudy")])
def test_weather_turns_cloudy_at_the_share_of_the_sky(columns: int, weather: str) -> None:
    maps = _maps(sky=(slice(0, 1), slice(0, columns), NAMES.skies.index("cloud")))
    assert read_labels(maps, NAMES, CONFIG).weather == weather


@pytest.mark.parametrize(("columns", "seen"), [(19, False), (20, True)])
def test_mountains_are_seen_from_their_share_of_the_view(columns: int, seen: bool) -> None:
    maps = _maps(sky=(slice(9, 10), slice(0, columns), NAMES.skies.index("mountain")))
    assert read_labels(maps, NAMES, CONFIG).mountains is seen


def test_view_without_sky_or_ground_answers_unknown() -> None:
    blank = LabelMaps(*(np.zeros((4, 4), dtype=np.int64) for _ in LabelMaps._fields))
    reading = read_labels(blank, NAMES, CONFIG)
    assert (reading.time, reading.weather, reading.dominant_biome) == (None, None, None)


def test_biomes_are_shares_of_the_ground() -> None:
    maps = _maps(biome=(slice(10, None), slice(5, None), NAMES.biomes.index("desert")))
    reading = read_labels(maps, NAMES, CONFIG)
    assert reading.biomes == {"meadow": 0.25, "desert": 0.75}
    assert reading.dominant_biome == "desert"


def test_object_needs_enough_pixels() -> None:
    few = _maps(kind=(slice(12, 13), slice(0, 3), 1))
    enough = _maps(kind=(slice(12, 13), slice(0, 4), 1))
    assert read_labels(few, NAMES, CONFIG).kinds == frozenset()
    assert read_labels(enough, NAMES, CONFIG).kinds == {"barn"}


def test_colour_is_the_majority_of_the_coloured_pixels_of_the_object() -> None:
    maps = _maps(
        kind=(slice(10, 14), slice(0, 4), 1),
        colour_a=(slice(10, 12), slice(0, 4), 2),
        colour_b=(slice(12, 13), slice(0, 3), 1),
        colour_elsewhere=(slice(0, 9), slice(None), 1),
    )
    assert read_labels(maps, NAMES, CONFIG).objects == {("barn", "blue")}


def test_two_objects_of_a_kind_keep_their_own_colours() -> None:
    maps = _maps(
        kind_a=(slice(10, 14), slice(0, 4), 1),
        kind_b=(slice(10, 13), slice(10, 13), 1),
        colour_a=(slice(10, 14), slice(0, 4), 1),
        colour_b=(slice(10, 13), slice(10, 13), 2),
    )
    reading = read_labels(maps, NAMES, CONFIG)
    assert reading.objects == {("barn", "red"), ("barn", "blue")}
    assert reading.kinds == {"barn"}


def test_object_without_coloured_pixels_has_no_colour_and_crumbs_share_one() -> None:
    plain = _maps(kind=(slice(10, 14), slice(0, 4), 3))
    crumbs = _maps(
        kind_a=(slice(10, 11), slice(0, 3), 2),
        kind_b=(slice(15, 16), slice(0, 3), 2),
        colour_a=(slice(10, 16), slice(0, 3), 1),
    )
    assert read_labels(plain, NAMES, CONFIG).objects == {("cactus", None)}
    assert read_labels(crumbs, NAMES, CONFIG).objects == {("house", "red")}


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("right", {"desert": 1.0}), ("left", {"meadow": 1.0}), ("up", {}), ("down", {"meadow": 0.5, "desert": 0.5})],
)
def test_strip_is_the_side_that_grew(direction: str, expected: dict[str, float]) -> None:
    maps = _maps(biome=(slice(10, None), slice(10, None), NAMES.biomes.index("desert")))
    assert read_labels(strip_of(maps, direction, 0.5), NAMES, CONFIG).biomes == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"min_object_px": 0}, {"cloud_share": 0.0}, {"min_biome_share": 1.5}])
def test_senseless_thresholds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        JudgeConfig(**wrong)  # type: ignore[arg-type]
