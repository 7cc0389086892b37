"""What a prompt mentions: things with their counts, places and positions, and how they stand to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lit_outpaint.planning.connectors import Band, Lane
from lit_outpaint.planning.phrases import split_count

RelationKind = Literal["left", "right", "above", "below", "between", "beside"]


@dataclass
class Mention:
    """A noun phrase of a prompt."""

    phrase: str
    """As it is written, with its article or count."""
    count: int | None
    """How many; None for "some"."""
    rest: str
    """The phrase without that."""
    scenery: bool
    """Sky or ground."""
    lane: Lane | None = None
    """Where from left to right the prompt puts it."""
    band: Band | None = None
    """Where from top to bottom."""
    place: str = ""
    """Where it is, with its preposition: ``in a meadow``."""
    ground: str = ""
    """That place as a noun phrase: ``a meadow``."""
    time: str = ""
    """The time of day that the prompt says of it: ``at night``."""
    placed: bool = field(default=False)
    """Scenery that a relation puts somewhere, as if it were a thing."""

    def rename(self, phrase: str) -> None:
        """Take another phrase of the same count."""
        self.phrase, self.rest = phrase, split_count(phrase)[1]


class Relation(NamedTuple):
    """How one mention stands to others: to the left of each, between two."""

    kind: RelationKind
    subject: int
    objects: tuple[int, ...]


class Mentions(NamedTuple):
    """All of a prompt, in order."""

    all: list[Mention]
    relations: list[Relation]
