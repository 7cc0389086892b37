import pytest

from eval import scoring
from eval.readings import JudgeConfig, Reading
from lit_outpaint.heldout.evalset import ObjectFact, WindowFacts

CONFIG = JudgeConfig()
FACTS = WindowFacts(
    time="night",
    weather="clear",
    mountains=True,
    biomes={"meadow": 0.6, "lake": 0.4},
    objects=[
        ObjectFact(kind="barn", colour="red"),
        ObjectFact(kind="barn", colour="blue"),
        ObjectFact(kind="lighthouse", colour="yellow"),
        ObjectFact(kind="cactus", colour=None),
    ],
)
NOTHING = WindowFacts(time=None, weather=None, mountains=None, biomes={}, objects=[])


def _reading(**changes: object) -> Reading:
    seen = {
        "time": "night",
        "weather": "clear",
        "mountains": True,
        "biomes": {"meadow": 0.5, "lake": 0.5},
        "objects": frozenset({("barn", "red"), ("lighthouse", "red"), ("tent", None)}),
    }
    return Reading(**(seen | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ask", "hits", "asked"),
    [
        (scoring.kinds_present, 2, 3),
        (scoring.colours_bound, 1, 3),
        (scoring.colours_of_seen, 1, 3),
        (scoring.kinds_unasked, 1, 1),
        (scoring.time_kept, 1, 1),
        (scoring.weather_kept, 1, 1),
        (scoring.mountains_kept, 1, 1),
        (scoring.biome_dominant, 1, 1),
    ],
)
def test_questions_count_hits_and_items(ask: scoring.Ask, hits: int, asked: int) -> None:
    assert ask(_reading(), FACTS, CONFIG) == (hits, asked)


@pytest.mark.parametrize(("biome", "obeyed"), [("meadow", 1), ("lake", 1), ("desert", 0)])
def test_any_biome_with_a_large_true_share_obeys(biome: str, obeyed: int) -> None:
    assert scoring.biome_obeyed(_reading(biomes={biome: 1.0}), FACTS, CONFIG).hits == obeyed


def test_biome_with_a_small_true_share_does_not_obey_but_is_named() -> None:
    facts = FACTS.model_copy(update={"biomes": {"meadow": 0.7, "lake": 0.3}})
    lake = _reading(biomes={"lake": 1.0})
    assert scoring.biome_obeyed(lake, facts, CONFIG).hits == 0
    assert scoring.biome_named(lake, facts, CONFIG).hits == 1


def test_unread_answers_are_wrong_and_unasked_questions_do_not_count() -> None:
    blind = Reading(time=None, weather=None, mountains=False)
    for ask in (scoring.time_kept, scoring.weather_kept, scoring.mountains_kept, scoring.biome_obeyed):
        assert ask(blind, FACTS, CONFIG) == (0, 1)
        assert ask(blind, NOTHING, CONFIG) == (0, 0)


def test_caption_holds_a_picture_only_to_what_it_names() -> None:
    named = scoring.named_in("Two red barns and a yellow lighthouse in a meadow", FACTS)
    assert [(item.kind, item.colour) for item in named.objects] == [("barn", "red"), ("lighthouse", "yellow")]
    assert named.biomes == {"meadow": 0.6}


def test_lighthouse_is_no_house_and_plurals_count() -> None:
    facts = NOTHING.model_copy(
        update={"objects": [ObjectFact(kind="house", colour=None), ObjectFact(kind="cactus", colour=None)]}
    )
    assert scoring.named_in("a red lighthouse and cactuses", facts).objects == [ObjectFact(kind="cactus", colour=None)]


def test_caption_fits_another_window_when_all_it_names_is_there() -> None:
    named = scoring.named_in("a red barn in a meadow", FACTS)
    assert scoring.fits(named, FACTS)
    assert not scoring.fits(named, FACTS.model_copy(update={"objects": FACTS.objects[1:]}))
    assert not scoring.fits(named, FACTS.model_copy(update={"biomes": {"lake": 1.0}}))
    assert scoring.fits(NOTHING, FACTS)
