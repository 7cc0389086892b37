import pytest
from PIL import Image

from lit_outpaint.canvas.geometry import DIRECTIONS, Direction
from lit_outpaint.captions.rules import MAX_SUMMARY_WORDS, RuleCaptioner
from lit_outpaint.captions.scene import read_scene
from lit_outpaint.protocols import Captioner, CaptionError

CORPUS = [
    "a forest with a blue tent",
    "a town with a red car at night",
    "a desert with a cactus by day",
    "a lake with a sailboat under a cloudy sky",
    "a snowfield with an igloo",
]
GLOBAL = "a wide view at night under a cloudy sky with mountains: a meadow with a red barn, a desert, and a lake"


def _walk(direction: Direction, caption: str, num_steps: int) -> list[str]:
    captions: list[str] = []
    for step in range(num_steps):
        captions.append(_next(direction, caption, previous=captions, step=step))
    return captions


def _next(direction: Direction, caption: str, previous: list[str], seen: tuple[str, ...] = (), step: int = 0) -> str:
    return (
        RuleCaptioner()
        .next_local(view=None, direction=direction, global_caption=caption, previous=previous, seen=seen, step=step)
        .text
    )


def _imagine(captioner: RuleCaptioner, caption: str, n: int) -> list[str]:
    return [written.text for written in captioner.imagine(caption, n)]


def _summarise(captions: list[str]) -> str:
    return RuleCaptioner().summarise(captions).text


def test_it_is_a_captioner() -> None:
    assert isinstance(RuleCaptioner(), Captioner)


def test_a_summary_carries_what_any_caption_says_of_the_whole_scene() -> None:
    summary = _summarise(
        [
            "a meadow with a red barn",
            "a red barn in a meadow at night under a cloudy sky with mountains",
            "a desert",
            "a lake",
        ]
    )
    assert summary == GLOBAL


@pytest.mark.parametrize("time", ["at dawn", "by day", "at dusk", "at night"])
@pytest.mark.parametrize("weather", ["under a clear sky", "under a cloudy sky"])
def test_a_summary_reads_back_as_it_was_meant(time: str, weather: str) -> None:
    scene = read_scene(_summarise(["a house", f"a house {time}", f"a lake {weather} with mountains"]))
    assert (scene.time, scene.weather, scene.mountains) == (time, weather, True)


def test_a_summary_names_each_place_once_and_stays_short() -> None:
    same = ["a red barn in a meadow", "the meadow has a barn, a red one"]
    assert _summarise(same) == "a wide view: a red barn in a meadow"
    names = ("fox", "owl", "elk", "bear", "crow", "deer", "wolf", "hare", "lynx", "toad", "newt", "swan")
    many = [f"a {name} beside an old {name}house full of {name}food, {name}toys" for name in names]
    assert len(_summarise(many).split()) <= MAX_SUMMARY_WORDS


def test_the_first_caption_to_name_an_attribute_decides() -> None:
    assert read_scene(_summarise(["a lake", "a lake at dawn", "a town at night"])).time == "at dawn"


def test_imaginary_captions_come_from_the_corpus_without_contradicting() -> None:
    imagined = _imagine(RuleCaptioner(CORPUS), "a meadow at night with a red barn", 3)
    places = {read_scene(caption).place for caption in CORPUS if "by day" not in caption}
    assert len(set(imagined)) == 3
    assert set(imagined) <= places
    assert not any(read_scene(caption).time for caption in imagined)


@pytest.mark.parametrize("corpus", [(), CORPUS, ["a meadow"]])
@pytest.mark.parametrize("n", [0, 1, 3, 30])
def test_as_many_imaginary_captions_come_as_were_asked_for(corpus: list[str], n: int) -> None:
    imagined = _imagine(RuleCaptioner(corpus), "a meadow", n)
    assert len(imagined) == len(set(imagined)) == n
    assert all(imagined)
    assert "a meadow" not in imagined


def test_the_same_input_gives_the_same_captions() -> None:
    one, two = RuleCaptioner(CORPUS), RuleCaptioner(list(CORPUS))
    assert one.imagine("a beach", 4) == two.imagine("a beach", 4)
    assert one.imagine("a beach", 4) != one.imagine("a hill", 4)


def test_going_right_walks_through_the_places_and_around_again() -> None:
    assert _walk("right", GLOBAL, 4) == ["a desert", "a lake", "a meadow with a red barn", "a desert"]
    assert _walk("left", GLOBAL, 3) == ["a lake", "a desert", "a meadow with a red barn"]


def test_up_shows_the_sky_of_the_scene_and_down_the_ground() -> None:
    assert _walk("up", GLOBAL, 1) == ["a cloudy sky at night"]
    assert _walk("up", "a wide view: a lake, birds over the water, and a hot air balloon", 2) == [
        "birds over the water",
        "a hot air balloon",
    ]
    assert _walk("down", GLOBAL, 1) == ["layers of earth underground"]


def test_the_latest_place_is_not_asked_for_again() -> None:
    assert _next("right", GLOBAL, previous=["a desert"]) == "a lake"


def test_a_place_whose_things_are_there_already_is_passed_over() -> None:
    assert _next("right", GLOBAL, previous=["a desert"], seen=("a red barn", "a lake")) == "a meadow with a red barn"
    assert _next("right", GLOBAL, previous=[], seen=("a desert", "a lake", "a meadow", "a red barn")) == "a desert"


@pytest.mark.parametrize(
    ("caption", "distinct"),
    [
        ("a man riding a wave on top of a surfboard", ["a surfboard", "a wave", "a man"]),
        ("a street with a bus and a house in a garden", ["a bus", "a street", "a garden"]),
        ("sea", []),
    ],
)
@pytest.mark.parametrize("direction", ["left", "right"])
def test_a_walk_through_few_places_names_what_is_in_them(
    direction: Direction, caption: str, distinct: list[str]
) -> None:
    walk = _walk(direction, caption, 20)
    assert set(distinct) <= set(walk)
    assert not distinct or all(len(set(walk[step : step + 3])) == 3 for step in range(18)), walk


@pytest.mark.parametrize(
    ("caption", "shown"),
    [
        ("a beach without people", {"a beach", "a beach without people"}),
        ("a street with no cars, and a park", {"a street", "a street with no cars", "a park"}),
        ("a cloudy day on a lake and a red barn", {"a lake", "a red barn"}),
    ],
)
def test_a_walk_shows_nothing_that_is_not_there(caption: str, shown: set[str]) -> None:
    assert set(_walk("right", caption, 6)) == shown


def test_rules_cannot_look() -> None:
    with pytest.raises(CaptionError, match="cannot look"):
        RuleCaptioner().describe(Image.new("RGB", (8, 8)))


def test_the_identity_tells_corpora_apart_where_they_count() -> None:
    one, other = RuleCaptioner(CORPUS), RuleCaptioner(CORPUS[1:])
    assert one.identity("imagine") != other.identity("imagine")
    assert one.identity("summarise") == other.identity("summarise") != one.identity("imagine")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(
    "caption", ["x", "Night.", "at night under clouds, mountains", "Ein Haus am See", "12:30, 14:00"]
)
def test_the_next_caption_is_never_empty(direction: Direction, caption: str) -> None:
    assert all(caption.strip() for caption in _walk(direction, caption, 5))


def test_captions_without_a_word_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one word"):
        RuleCaptioner().imagine(" . ", 1)
    with pytest.raises(ValueError, match="at least one caption"):
        RuleCaptioner().summarise([])
