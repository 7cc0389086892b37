"""The reading rules and the world belong together: exact label maps must be read as the facts say."""

from dataclasses import replace

import numpy as np
import pytest

from data_prep.scapes.palette import LABEL_BIOMES, LABEL_COLOURS, LABEL_KINDS, LABEL_SKIES
from data_prep.scapes.shards import window_facts
from data_prep.scapes.windows import random_place
from data_prep.scapes.world import World
from eval import scoring
from eval.judge import read_labels
from eval.readings import ClassNames, JudgeConfig, LabelMaps, Reading

NAMES = ClassNames(tuple(LABEL_KINDS), tuple(LABEL_COLOURS), tuple(LABEL_BIOMES), tuple(LABEL_SKIES))
QUESTIONS = (
    scoring.biome_obeyed,
    scoring.time_kept,
    scoring.weather_kept,
    scoring.mountains_kept,
    scoring.kinds_present,
    scoring.colours_bound,
)


@pytest.mark.parametrize("width", [128, 64], ids=["window", "strip"])
def test_exact_label_maps_answer_every_question_right(width: int) -> None:
    config = JudgeConfig()
    for number in range(24):
        world, x = World(2 * number + 1), 997 * number
        labels = world.labels(x, 0, width, 128)
        # The probe answers at half size.
        maps = LabelMaps(*(np.asarray(getattr(labels, name))[::2, ::2] for name in LabelMaps._fields))
        reading, facts = read_labels(maps, NAMES, config), window_facts(world.facts(x, 0, width, 128))
        for ask in QUESTIONS:
            hits, asked = ask(reading, facts, config)
            assert hits == asked, f"{ask.__name__} in world {world.seed} at {x}: {reading} for {facts}"


def test_nothing_is_asked_of_kinds_that_the_probe_does_not_read() -> None:
    place = next(
        place
        for place in (random_place(number, seed=7, held_out=True, surface_share=1) for number in range(200))
        if any(thing.kind == "bird" for thing in World(place.world).facts(place.x, place.y - 128).objects)
    )
    facts = window_facts(World(place.world).facts(place.x, place.y - 128))
    blind, config = Reading(time=None, weather=None, mountains=False), JudgeConfig()
    everything = replace(config, unread_kinds=())
    for ask in (scoring.kinds_present, scoring.colours_bound, scoring.colours_of_seen):
        assert ask(blind, facts, config).asked <= ask(blind, facts, everything).asked
    asked = scoring.kinds_present(blind, facts, config).asked
    assert asked == len({item.kind for item in facts.objects} - {"bird", "star"})
    assert scoring.kinds_present(blind, facts, everything).asked > asked


def test_unread_kinds_are_kinds_of_the_world() -> None:
    assert set(JudgeConfig().unread_kinds) < set(LABEL_KINDS)
