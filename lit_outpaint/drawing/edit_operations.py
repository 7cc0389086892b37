"""What a picture lacks of what it was asked to show, and the edits that mend it: pure functions on boxes.

The closed loop of Recaption, Plan, Generate compares a picture with its prompt and edits it: add, remove, modify, move.
The paper leaves prompts, masks and stop rule open (Yang et al. 2024, arXiv:2401.11708); the rules here are ours.

Boxes are ``(left, top, right, bottom)`` in shares of the picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal, NamedTuple

from lit_outpaint.planning.placement import FREE, Placement

Box = tuple[float, float, float, float]
Verdict = Literal["right", "missing", "wrong colour", "misplaced", "extra"]
Operation = Literal["add", "modify", "move", "remove"]

MENDS: Final[dict[Verdict, Operation]] = {
    "missing": "add",
    "wrong colour": "modify",
    "misplaced": "move",
    "extra": "remove",
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A thing that the prompt asks for."""

    id: str
    """Of its region."""
    kind: str
    """What it is, as the judge calls it."""
    colour: str | None = None
    """None where the prompt does not say."""
    box: Box = (0.0, 0.0, 1.0, 1.0)
    """Where the plan puts it."""
    placed: Placement = FREE
    """The axes along which the prompt, or a person, says where it stands; along others it is right anywhere."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A thing that the judge finds in a picture."""

    kind: str
    colour: str | None = None
    """None where it has none."""
    box: Box
    """That it fills."""
    share: float
    """Of the picture's area that it covers."""

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of its box."""
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2


class Finding(NamedTuple):
    """One thing that is wanted, or seen without being wanted."""

    verdict: Verdict
    wanted: Wanted | None
    seen: Seen | None


class Edit(NamedTuple):
    """One edit of a picture."""

    operation: Operation
    boxes: tuple[Box, ...]
    """What is drawn again: where a thing comes to stand, and where it stood."""
    thing: str
    """Id of the wanted thing, or kind of the one that goes."""
    colour: str | None = None
    """Of the one that goes, where it has one."""


@dataclass(frozen=True, kw_only=True)
class EditRules:
    """When a thing counts as right, and how much around it is drawn again."""

    slack: float = 0.15
    """Share of the picture by which a thing's centre may leave its box."""
    min_extra: float = 0.3
    """A thing too many must be this large, measured by the smallest one of its kind that is right; less is a scrap."""
    margin: float = 0.06
    """Share of the picture drawn again around what is edited."""

    def __post_init__(self) -> None:
        for name in ("slack", "min_extra", "margin"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")


def compare(wanted: Sequence[Wanted], seen: Sequence[Seen], rules: EditRules = EditRules()) -> list[Finding]:
    """What is right and what is not: a finding for each wanted thing, in order, then one for each thing too many.

    Each thing of the picture answers for one wanted thing. Those that are right are found first, then those in the
    right place in another colour, then those elsewhere, in another colour last. A thing too many is one of a kind that
    the prompt names.
    """
    free, found = list(seen), dict[int, Finding]()
    for matches in product((True, False), (True, False)):
        pairs = [
            (_distance(want, thing), number, thing)
            for (number, want), thing in product(enumerate(wanted), free)
            if number not in found and want.kind == thing.kind and _matches(want, thing, rules) == matches
        ]
        for _, number, thing in sorted(pairs, key=lambda pair: pair[:2]):
            if number not in found and thing in free:
                found[number] = Finding(_VERDICTS[matches], wanted[number], thing)
                free.remove(thing)
    findings = [found.get(number, Finding("missing", want, None)) for number, want in enumerate(wanted)]
    return [*findings, *_extra(wanted, findings, free, rules)]


def edits_of(findings: Sequence[Finding]) -> list[Edit]:
    """The edits that would mend what is not right, in the order of the findings."""
    edits = []
    for verdict, wanted, seen in findings:
        if verdict == "right":
            continue
        boxes = [] if wanted is None or verdict == "wrong colour" else [wanted.box]
        boxes += [] if seen is None else [seen.box]
        thing = wanted.id if wanted is not None else seen.kind if seen is not None else ""
        colour = seen.colour if wanted is None and seen is not None else None
        edits.append(Edit(MENDS[verdict], tuple(boxes), thing, colour))
    return edits


_VERDICTS: Final[dict[tuple[bool, bool], Verdict]] = {
    (True, True): "right",
    (True, False): "wrong colour",
    (False, True): "misplaced",
    # It goes from where it is and is drawn where it belongs, in the right colour.
    (False, False): "misplaced",
}
"""Of a thing of the wanted kind, by whether it is in its place and in its colour."""


def _matches(want: Wanted, thing: Seen, rules: EditRules) -> tuple[bool, bool]:
    """Whether a thing stands where a wanted one should, as far as that was said, and whether it has its colour."""
    (x, y), (left, top, right, bottom) = thing.centre, grown(want.box, rules.slack)
    in_place = ("across" not in want.placed or left <= x <= right) and ("down" not in want.placed or top <= y <= bottom)
    return in_place, want.colour in (None, thing.colour)


def _extra(
    wanted: Sequence[Wanted], findings: Sequence[Finding], free: Sequence[Seen], rules: EditRules
) -> list[Finding]:
    smallest: dict[str, float] = {want.kind: 0.0 for want in wanted}
    for kind in smallest:
        sizes = [found.seen.share for found in findings if found.seen is not None and found.seen.kind == kind]
        smallest[kind] = min(sizes, default=0.0)
    return [
        Finding("extra", None, thing)
        for thing in free
        if thing.kind in smallest and thing.share >= rules.min_extra * smallest[thing.kind]
    ]


def _distance(want: Wanted, thing: Seen) -> float:
    left, top, right, bottom = want.box
    x, y = thing.centre
    return abs(x - (left + right) / 2) + abs(y - (top + bottom) / 2)


def grown(box: Box, by: float) -> Box:
    """The box, wider by a share of the picture on each side, cut at the picture's edges."""
    left, top, right, bottom = box
    return max(left - by, 0.0), max(top - by, 0.0), min(right + by, 1.0), min(bottom + by, 1.0)
