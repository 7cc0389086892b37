"""Plans by rules: deterministic, offline, without a model; the embedded default and the baseline."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final

from lit_outpaint.planning.arrange import Item, Pair
from lit_outpaint.planning.boxes import WHOLE, RegionBox
from lit_outpaint.planning.connectors import Lane
from lit_outpaint.planning.inflection import singular_word
from lit_outpaint.planning.mentions import Mention, Mentions, Relation
from lit_outpaint.planning.overlaps import resolved
from lit_outpaint.planning.phrases import head, one_of, split_count, whereabouts
from lit_outpaint.planning.reading import read_mentions
from lit_outpaint.planning.regions import Region, RegionPlan, region_ids
from lit_outpaint.planning.rooms import arrange_around
from lit_outpaint.planning.scene import scene_of
from lit_outpaint.protocols import Planned

MAX_REGIONS: Final = 16
"""A prompt that would give more regions has its counted things left together."""
_SOURCES: Final = (
    "captions/negations.py",
    "planning/arrange.py",
    "planning/attributes.py",
    "planning/connectors.py",
    "planning/inflection.py",
    "planning/joints.py",
    "planning/mentions.py",
    "planning/overlaps.py",
    "planning/phrases.py",
    "planning/reading.py",
    "planning/references.py",
    "planning/rooms.py",
    "planning/rules.py",
    "planning/scene.py",
    "planning/surroundings.py",
)


@dataclass(frozen=True)
class _Thing:
    """One thing to be put somewhere."""

    phrase: str
    mention: int


@dataclass(frozen=True, kw_only=True)
class RulePlanner:
    """Gives each thing that a prompt names a region: in a row in order of mention, unless the prompt says where.

    "Left of", "above", "between", "on the right", "at the top" and their like are followed. Counted things get a region
    each. Sky and ground stay in the base prompt, unless the prompt puts them to a side.
    """

    with_place: bool = True
    """Say in the prompt of a region where the thing is, as far as the prompt says it: "a red barn in a meadow"."""
    with_scene: bool = True
    """Say in the prompt of a region what the prompt says of the whole scene: "a red barn at dusk"."""
    max_split: int = 6
    """Counted things up to this number get a region each; more of them stay together in one."""
    name: str = "rules"
    """Who planned, as records say it."""
    concurrency: int = 1
    """How many calls are worth making at once."""

    def __post_init__(self) -> None:
        if self.max_split < 1:
            raise ValueError(f"max_split must be at least 1, got {self.max_split}")

    def identity(self) -> dict[str, Any]:
        """Checksum of the rules, and their settings."""
        return {
            "rules_sha256": _rules_sha256(),
            "with_place": self.with_place,
            "with_scene": self.with_scene,
            "max_split": self.max_split,
        }

    def plan(self, prompt: str, locked: Sequence[Region] = ()) -> Planned:
        """Return a plan in shares of the picture; things that a locked region names already are not planned again."""
        read = read_mentions(prompt)
        things, lost = self._things(read, locked)
        items = [Item(read.all[thing.mention].lane, read.all[thing.mention].band) for thing in things]
        left_of, above = _pairs(read.relations, _numbers(read.all, things, locked))
        for upper, _ in above:
            if upper < len(things):
                # "A balloon above a barn in a meadow": the meadow is the barn's.
                read.all[things[upper].mention].place = read.all[things[upper].mention].ground = ""
        kept = {len(things) + number: region.box for number, region in enumerate(locked)}
        boxes, astray = arrange_around(items, left_of, above, kept)
        sides = _sides(read.all)
        if len(things) == 1 and len(sides) == 2 and boxes == [WHOLE]:
            boxes = [RegionBox(0.25, 0, 0.75, 1)]
        regions = self._regions(prompt, read.all, things, boxes, sides, locked)
        lost = [thing.phrase for thing, box in zip(things, boxes, strict=True) if box is None] + lost
        faults = [f"no room is left for {', '.join(lost)}"] if lost else []
        if not lost and astray:
            faults = [f"no room is left on the side of {', '.join(things[number].phrase for number in astray)}"]
        reasoning = "; ".join(faults)
        return Planned(RegionPlan(base_prompt=prompt, regions=(*locked, *regions)), self.name, reasoning=reasoning)

    def _things(self, read: Mentions, locked: Sequence[Region]) -> tuple[list[_Thing], list[str]]:
        """The things in order of mention, counted ones one by one; and those that are too many."""
        placed = [number for number, mention in enumerate(read.all) if not mention.scenery or mention.placed]
        for max_split in (self.max_split, 1):
            things = []
            for number in placed:
                mention = read.all[number]
                shown = _shown(mention, locked)
                count = (mention.count or 1) - shown if mention.count or not shown else 0
                if 1 < (mention.count or 1) and 0 < count <= max_split:
                    things += [_Thing(one_of(mention.rest), number)] * count
                elif count > 0:
                    things.append(_Thing(f"{count} {mention.rest}" if shown else mention.phrase, number))
            if len(things) <= MAX_REGIONS:
                break
        return things[:MAX_REGIONS], [thing.phrase for thing in things[MAX_REGIONS:]]

    def _regions(
        self,
        prompt: str,
        mentions: Sequence[Mention],
        things: Sequence[_Thing],
        boxes: Sequence[RegionBox | None],
        sides: dict[Lane, tuple[Mention, RegionBox]],
        locked: Sequence[Region],
    ) -> list[Region]:
        """The things that have found a place, then the sides of the picture that are left."""
        found: list[tuple[str, str, str, str, RegionBox]] = []
        for thing, box in zip(things, boxes, strict=True):
            if box is None:
                continue
            mention = mentions[thing.mention]
            place, ground = mention.place, mention.ground
            for side, stretch in sides.values():
                common = box.intersection(stretch)
                if not place and common is not None and common.width > 0.9 * box.width:
                    place, ground = whereabouts(side.phrase), side.phrase
            what = f"{thing.phrase} {place}" if self.with_place and place else thing.phrase
            found.append((what, mention.time, thing.phrase, ground, box))
        taken = [box for *_, box in found] + [region.box for region in locked]
        for (side, _), box in zip(sides.values(), resolved([box for _, box in sides.values()], taken), strict=True):
            if box is not None:
                found.append((side.phrase, side.time, "", side.phrase, box))
        names = region_ids([thing or what for what, _, thing, *_ in found], [region.id for region in locked])
        return [
            Region(
                id=name,
                prompt=f"{what} {scene_of(prompt, time) if self.with_scene else ''}".strip(),
                box=box,
                thing=thing,
                place=ground,
            )
            for name, (what, time, thing, ground, box) in zip(names, found, strict=True)
        ]


def _numbers(mentions: Sequence[Mention], things: Sequence[_Thing], locked: Sequence[Region]) -> dict[int, list[int]]:
    """The numbers of what shows each mention: of locked regions, which come after the things, and of things."""
    of: dict[int, list[int]] = {}
    for number, mention in enumerate(mentions):
        regions = [len(things) + place for place, region in enumerate(locked) if _shows(region, mention)]
        of[number] = regions + [place for place, thing in enumerate(things) if thing.mention == number]
    return of


def _pairs(relations: Sequence[Relation], of: Mapping[int, Sequence[int]]) -> tuple[list[Pair], list[Pair]]:
    """Which things stand to the left of which, and which above which."""
    left_of: list[Pair] = []
    above: list[Pair] = []
    for relation in relations:
        subjects, objects = of[relation.subject], [number for other in relation.objects for number in of[other]]
        if relation.kind == "between":
            first = of[relation.objects[0]] if len(relation.objects) == 2 else objects[:1]
            left_of += [*product(first, subjects), *product(subjects, objects[len(first) :])]
        elif relation.kind == "left":
            left_of += product(subjects, objects)
        elif relation.kind == "right":
            left_of += product(objects, subjects)
        elif relation.kind == "above":
            above += product(subjects, objects)
        elif relation.kind == "below":
            above += product(objects, subjects)
    return left_of, above


def _sides(mentions: Sequence[Mention]) -> dict[Lane, tuple[Mention, RegionBox]]:
    """Ground that the prompt puts to a side, with its part of the picture."""
    found: dict[Lane, Mention] = {}
    for mention in mentions:
        if mention.scenery and not mention.placed and mention.lane is not None:
            found.setdefault(mention.lane, mention)
    if "middle" in found:
        spans: dict[Lane, tuple[float, float]] = {"left": (0, 1 / 3), "middle": (1 / 3, 2 / 3), "right": (2 / 3, 1)}
    else:
        spans = {"left": (0, 0.5), "right": (0.5, 1)}
    return {lane: (found[lane], RegionBox(x0, 0, x1, 1)) for lane, (x0, x1) in spans.items() if lane in found}


def _shown(mention: Mention, locked: Sequence[Region]) -> int:
    """How many of a thing locked regions show; all of it where one does not say."""
    counts = [split_count(region.prompt)[0] for region in locked if _shows(region, mention)]
    return (mention.count or 1) if None in counts else sum(count or 0 for count in counts)


def _shows(region: Region, mention: Mention) -> bool:
    """Whether a region shows a thing: its prompt has the noun and every word before it."""
    words = {singular_word(word) for word in mention.rest.lower().split()}
    return {singular_word(head(mention.rest)), *words} <= _singular_words(region.prompt)


def _singular_words(text: str) -> set[str]:
    return {singular_word(word.strip(",.;")) for word in text.lower().split()}


@cache
def _rules_sha256() -> str:
    """Checksum of the source that decides how plans turn out."""
    package = Path(__file__).parents[1]
    return hashlib.sha256(b"\n".join((package / name).read_bytes() for name in _SOURCES)).hexdigest()
