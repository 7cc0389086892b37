"""Plans by rules: deterministic, offline, without a model; the embedded default and the baseline."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Final

from lit_outpaint.planning.arrange import Item, Pair, arrange
from lit_outpaint.planning.boxes import WHOLE, RegionBox
from lit_outpaint.planning.connectors import Lane
from lit_outpaint.planning.inflection import singular_word
from lit_outpaint.planning.mentions import Mention, Mentions, Relation
from lit_outpaint.planning.overlaps import largest_free, resolved
from lit_outpaint.planning.phrases import head, one_of, whereabouts
from lit_outpaint.planning.reading import read_mentions
from lit_outpaint.planning.regions import Region, RegionPlan, region_ids
from lit_outpaint.planning.scene import scene_of
from lit_outpaint.protocols import Planned

MAX_REGIONS: Final = 16
"""A prompt that would give more regions has its counted things left together."""
_SOURCES: Final = (
    "arrange.py",
    "attributes.py",
    "connectors.py",
    "inflection.py",
    "joints.py",
    "mentions.py",
    "overlaps.py",
    "phrases.py",
    "reading.py",
    "references.py",
    "rules.py",
    "scene.py",
    "surroundings.py",
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
        things = self._things(read, locked)
        items = [Item(read.all[thing.mention].lane, read.all[thing.mention].band) for thing in things]
        left_of, above = _pairs(read.relations, things)
        for upper, _ in above:
            # "A balloon above a barn in a meadow": the meadow is the barn's.
            read.all[things[upper].mention].place = read.all[things[upper].mention].ground = ""
        boxes: list[RegionBox | None] = list(arrange(items, left_of, above))
        sides = _sides(read.all)
        if len(things) == 1 and len(sides) == 2 and boxes == [WHOLE]:
            boxes = [RegionBox(0.25, 0, 0.75, 1)]
        if locked:
            boxes = _around(boxes, [region.box for region in locked])
        scene = scene_of(prompt) if self.with_scene else ""
        regions = self._regions(read.all, things, boxes, sides, locked, scene)
        lost = [thing.phrase for thing, box in zip(things, boxes, strict=True) if box is None]
        reasoning = f"no room is left for {', '.join(lost)}" if lost else ""
        return Planned(RegionPlan(base_prompt=prompt, regions=(*locked, *regions)), self.name, reasoning=reasoning)

    def _things(self, read: Mentions, locked: Sequence[Region]) -> list[_Thing]:
        """The things in order of mention, counted ones one by one."""
        placed = [number for number, mention in enumerate(read.all) if not mention.scenery or mention.placed]
        numbers = [number for number in placed if not _is_locked(read.all[number], locked)]
        for max_split in (self.max_split, 1):
            things = []
            for number in numbers:
                mention = read.all[number]
                count = mention.count or 1
                if 1 < count <= max_split:
                    things += [_Thing(one_of(mention.rest), number)] * count
                else:
                    things.append(_Thing(mention.phrase, number))
            if len(things) <= MAX_REGIONS:
                break
        return things[:MAX_REGIONS]

    def _regions(
        self,
        mentions: Sequence[Mention],
        things: Sequence[_Thing],
        boxes: Sequence[RegionBox | None],
        sides: dict[Lane, tuple[Mention, RegionBox]],
        locked: Sequence[Region],
        scene: str,
    ) -> list[Region]:
        """The things that have found a place, then the sides of the picture that are left."""
        found: list[tuple[str, str, str, RegionBox]] = []
        for thing, box in zip(things, boxes, strict=True):
            if box is None:
                continue
            mention = mentions[thing.mention]
            place, ground = mention.place, mention.ground
            for side, stretch in sides.values():
                common = box.intersection(stretch)
                if not place and common is not None and common.width > 0.9 * box.width:
                    place, ground = whereabouts(side.phrase), side.phrase
            prompt = f"{thing.phrase} {place}" if self.with_place and place else thing.phrase
            found.append((prompt, thing.phrase, ground, box))
        taken = [box for *_, box in found] + [region.box for region in locked]
        for (side, _), box in zip(sides.values(), resolved([box for _, box in sides.values()], taken), strict=True):
            if box is not None:
                found.append((side.phrase, "", side.phrase, box))
        names = region_ids([thing or prompt for prompt, thing, *_ in found], [region.id for region in locked])
        return [
            Region(id=name, prompt=f"{prompt} {scene}".strip(), box=box, thing=thing, place=ground)
            for name, (prompt, thing, ground, box) in zip(names, found, strict=True)
        ]


def _pairs(relations: Sequence[Relation], things: Sequence[_Thing]) -> tuple[list[Pair], list[Pair]]:
    """Which things stand to the left of which, and which above which."""
    of: dict[int, list[int]] = {}
    for number, thing in enumerate(things):
        of.setdefault(thing.mention, []).append(number)
    left_of: list[Pair] = []
    above: list[Pair] = []
    for relation in relations:
        subjects, *objects = (of.get(mention, []) for mention in (relation.subject, *relation.objects))
        if relation.kind == "between":
            first, second = objects if len(objects) == 2 else (objects[0][:1], objects[0][1:])
            left_of += [*product(first, subjects), *product(subjects, second)]
        elif relation.kind == "left":
            left_of += product(subjects, objects[0])
        elif relation.kind == "right":
            left_of += product(objects[0], subjects)
        elif relation.kind == "above":
            above += product(subjects, objects[0])
        elif relation.kind == "below":
            above += product(objects[0], subjects)
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


def _around(boxes: Sequence[RegionBox | None], taken: Sequence[RegionBox]) -> list[RegionBox | None]:
    """The boxes, which divide the whole picture, drawn together into the largest part that is free."""
    free = largest_free(taken)
    return [None if box is None or free is None else box.within(free) for box in boxes]


def _is_locked(mention: Mention, locked: Sequence[Region]) -> bool:
    """Whether a locked region shows the thing: its prompt has the noun and every word before it."""
    words = {singular_word(word) for word in mention.rest.lower().split()}
    return any(
        singular_word(head(mention.rest)) in _singular_words(region.prompt) and words <= _singular_words(region.prompt)
        for region in locked
    )


def _singular_words(text: str) -> set[str]:
    return {singular_word(word.strip(",.;")) for word in text.lower().split()}


@cache
def _rules_sha256() -> str:
    """Checksum of the source that decides how plans turn out."""
    return hashlib.sha256(b"\n".join(Path(__file__).with_name(name).read_bytes() for name in _SOURCES)).hexdigest()
