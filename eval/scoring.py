"""Readings against ground truth: one row of numerators and denominators per scored question.

A question is only asked where the truth has an answer (no time of day without sky in sight). Unread answers count as
wrong, never as missing.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from eval.readings import JudgeConfig, Reading
from lit_outpaint.heldout.evalset import WindowFacts


class Tally(NamedTuple):
    """Hits out of questions asked."""

    hits: float
    asked: float

    def __add__(self, other: object) -> "Tally":
        if not isinstance(other, Tally):
            return NotImplemented
        return Tally(self.hits + other.hits, self.asked + other.asked)


Ask = Callable[[Reading, WindowFacts, JudgeConfig], Tally]


def biome_obeyed(reading: Reading, facts: WindowFacts, config: JudgeConfig) -> Tally:
    """Is the dominant biome of the reading one whose true share is at least ``min_biome_share``?"""
    if not facts.biomes:
        return Tally(0, 0)
    dominant = reading.dominant_biome
    return Tally(float(dominant is not None and facts.biomes.get(dominant, 0.0) >= config.min_biome_share), 1)


def biome_dominant(reading: Reading, facts: WindowFacts, config: JudgeConfig) -> Tally:
    """Is the dominant biome of the reading the dominant one in the truth? Harsher than ``biome_obeyed`` at borders."""
    if not facts.biomes:
        return Tally(0, 0)
    truth = max(facts.biomes, key=lambda name: facts.biomes[name])
    return Tally(float(reading.dominant_biome == truth), 1)


def kinds_present(reading: Reading, facts: WindowFacts, config: JudgeConfig) -> Tally:
    """How many of the true object kinds are seen? Kinds that the probe cannot read are not asked."""
    kinds = {item.kind for item in facts.objects} - set(config.unread_kinds)
    return Tally(len(kinds & reading.kinds), len(kinds))


def colours_bound(reading: Reading, facts: WindowFacts, config: JudgeConfig) -> Tally:
    """How many of the true (kind, colour) pairs are seen as such? Kinds without a colour of their own are not asked."""
    pairs = _coloured(facts, config)
    return Tally(len(pairs & reading.objects), len(pairs))


def colours_of_seen(reading: Reading, facts: WindowFacts, config: JudgeConfig) -> Tally:
    """Of the true (kind, colour) pairs whose kind is seen at all: how many are seen in their colour?"""
    pairs = _coloured(facts, config)
    seen = {pair for pair in pairs if pair[0] in reading.kinds}
    return Tally(len(seen & reading.objects), len(seen))


def kinds_unasked(reading: Reading, facts: WindowFacts, config: JudgeConfig) -> Tally:
    """How many kinds are seen that the truth does not name, per view? Objects cut by the border count here too."""
    return Tally(len(reading.kinds - {item.kind for item in facts.objects}), 1)


def time_kept(reading: Reading, facts: WindowFacts, config: JudgeConfig) -> Tally:
    """Is the time of day the true one?"""
    return Tally(0, 0) if facts.time is None else Tally(float(reading.time == facts.time), 1)


def weather_kept(reading: Reading, facts: WindowFacts, config: JudgeConfig) -> Tally:
    """Is the weather the true one?"""
    return Tally(0, 0) if facts.weather is None else Tally(float(reading.weather == facts.weather), 1)


def mountains_kept(reading: Reading, facts: WindowFacts, config: JudgeConfig) -> Tally:
    """Are there mountains exactly where the truth has them?"""
    return Tally(0, 0) if facts.mountains is None else Tally(float(reading.mountains == facts.mountains), 1)


def biome_named(reading: Reading, facts: WindowFacts, config: JudgeConfig) -> Tally:
    """Is the dominant biome of the reading among those of the facts, however small their share?"""
    if not facts.biomes:
        return Tally(0, 0)
    return Tally(float(reading.dominant_biome in facts.biomes), 1)


def named_in(caption: str, facts: WindowFacts) -> WindowFacts:
    """The facts that a caption names: objects (with their colour, where they have one) and biomes.

    A picture drawn from a caption alone can only be held to what the caption says. Time, weather and mountains stay.
    """
    objects = [item for item in facts.objects if _says(caption, f"{item.colour or ''} {item.kind}")]
    biomes = {name: share for name, share in facts.biomes.items() if _says(caption, name)}
    return facts.model_copy(update={"objects": objects, "biomes": biomes})


def fits(named: WindowFacts, facts: WindowFacts) -> bool:
    """Whether everything named is also true of another window; a caption that names nothing fits everywhere."""
    pairs = {(item.kind, item.colour) for item in facts.objects}
    return (
        all((item.kind, item.colour) in pairs for item in named.objects) and named.biomes.keys() <= facts.biomes.keys()
    )


def _coloured(facts: WindowFacts, config: JudgeConfig) -> set[tuple[str, str | None]]:
    """True (kind, colour) pairs of kinds that the probe reads."""
    named = (item for item in facts.objects if item.kind not in config.unread_kinds)
    return {(item.kind, item.colour) for item in named if item.colour is not None}


def _says(caption: str, words: str) -> bool:
    # Whole words, so that a lighthouse is no house; a plural counts.
    return re.search(rf"\b{re.escape(words.strip().replace('_', ' '))}(s|es)?\b", caption.lower()) is not None
