"""What a prompt mentions: things with their counts, places and positions, and how they stand to each other.

The prompt is cut at the words that stand between noun phrases (prepositions, conjunctions, a few verbs), without a
tagger. What the rules do not know stays inside a phrase.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from lit_outpaint.planning.connectors import Band, Connector, Lane, connectors
from lit_outpaint.planning.inflection import singular_word
from lit_outpaint.planning.phrases import (
    ADJECTIVE,
    head,
    is_scenery,
    is_sky,
    names_nothing,
    split_count,
    whereabouts,
)

RelationKind = Literal["left", "right", "above", "below", "between", "beside"]

MAX_MENTIONS: Final = 64
"""Things of a prompt that are looked at; text encoders read 77 tokens."""
MAX_CHARS: Final = 4000
"""Characters of a prompt that are looked at."""


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
    placed: bool = field(default=False)
    """Scenery that a relation puts somewhere, as if it were a thing."""


class Relation(NamedTuple):
    """How one mention stands to others: to the left of one, between two."""

    kind: RelationKind
    subject: int
    objects: tuple[int, ...]


class Mentions(NamedTuple):
    """All of a prompt, in order."""

    all: list[Mention]
    relations: list[Relation]


_DETERMINER: Final = re.compile(
    r"(?:an?|the|some|several|many|few|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[0-9]+|another|"
    r"both|his|her|its|their)\b",
    re.IGNORECASE,
)
_LEAD: Final = re.compile(
    r"^(?:an?|the|this)?\s*(?:[\w'-]+\s+){0,3}?"
    r"(?:photo(?:graph)?|picture|image|painting|drawing|illustration|view|scene|shot|render(?:ing)?)\s+of\s+",
    re.IGNORECASE,
)
_RELATED_TO_IT: Final = re.compile(
    r"[^,.;]*?\b(?:(?:on|to|at) (?:its|their|his|her) (?:left|right)|"
    r"(?:above|below|over|under|of|to|beside|behind|between) (?:it|them)\b)",
    re.IGNORECASE,
)
_PRONOUN: Final = re.compile(r"(?:it|them|that|this|these|those|each other|one another|the other)", re.IGNORECASE)
# "The rock underground" is a place itself.
_UNDERGROUND: Final = re.compile(r"(?!.*\b(?:rock|earth)\b)(.+?)(?: buried)?(?: deep)? underground", re.IGNORECASE)
_TAIL: Final = re.compile(
    r"\s+(?:behind|above|below|overhead|nearby|too|also|there|away|far away|around|itself)$", re.IGNORECASE
)


def read_mentions(prompt: str) -> Mentions:
    """Take a prompt apart; any text gives something, perhaps nothing."""
    return _Reader().read(" ".join(prompt[:MAX_CHARS].split()))


def says_where(prompt: str) -> bool:
    """Whether a prompt says where things stand: in the picture, or to each other.

    >>> says_where("a red barn left of a blue tent"), says_where("a red barn and a blue tent")
    (True, False)
    """
    read = read_mentions(prompt)
    placed = any(mention.lane or mention.band for mention in read.all)
    return placed or any(relation.kind != "beside" for relation in read.relations)


class _Reader:
    """Reads a prompt from left to right."""

    def __init__(self) -> None:
        self.mentions: list[Mention] = []
        self.relations: list[Relation] = []
        self.sentence_from = 0
        self.setting: tuple[str, str] = ("", "")
        self.unplaced: list[int] = []
        self.of_scenery = False
        self.begin_clause()

    def begin_clause(self) -> None:
        """Forget what a clause has said so far."""
        self.subject: int | None = None
        self.last: int | None = None
        self.group: list[int] = []
        self.relation: tuple[str, list[int]] | None = None
        self.between: list[int] = []
        self.fronted: tuple[str, tuple[int, ...]] | None = None
        self.position: tuple[Lane | None, Band | None] = (None, None)
        self.preposition = ""
        self.after_comma = False

    def read(self, text: str) -> Mentions:
        place, pending = 0, ""
        for connector in connectors(text):
            phrase = pending + text[place : connector.start]
            place = connector.end
            if self.continues(connector.kind, phrase, text[place:]):
                pending = phrase + connector.text
                continue
            self.take(phrase)
            self.connect(connector)
            pending = ""
            if len(self.mentions) >= MAX_MENTIONS:
                break
        else:
            self.take(pending + text[place:])
        self.close()
        return Mentions(self.mentions, self.relations)

    def continues(self, kind: str, phrase: str, after: str) -> bool:
        """Whether a connector belongs to the phrase before it: "black and white", "a man with a hat"."""
        words = phrase.split()
        if not words:
            return False
        if kind == "list" and not _DETERMINER.match(after.lstrip()):
            return ADJECTIVE.fullmatch(words[-1]) is not None
        if kind in ("with", "place"):
            noun = _LEAD.sub("", phrase)
            if names_nothing(noun) or is_scenery(noun) or _PRONOUN.fullmatch(noun.strip()):
                return False
            if kind == "with":
                return _RELATED_TO_IT.match(after) is None
            following = next(connectors(after), None)
            return not is_scenery(after if following is None else after[: following.start])
        return False

    def take(self, phrase: str) -> None:
        """Take in the noun phrase that stands before a connector."""
        phrase = _TAIL.sub("", _LEAD.sub("", phrase.strip(" -'\"()[]{}<>"))).strip(" -'\"()")
        if not phrase:
            return
        if phrase.lower() in ("who", "which"):
            self.subject, self.after_comma = self.last, False
            return
        if _PRONOUN.fullmatch(phrase):
            self.refer(phrase.lower())
            return
        if names_nothing(phrase):
            return
        known = self.mentioned(phrase)
        if known is not None:
            self.put_scenery(known) if self.mentions[known].scenery else self.put(known)
            return
        underground = _UNDERGROUND.fullmatch(phrase)
        if underground is not None and not names_nothing(underground[1]):
            self.take(underground[1])
            self.place_things("", "underground")
            return
        count, rest = split_count(phrase)
        if count == 0 or not rest:
            return
        phrase = phrase[0].lower() + phrase[1:] if _DETERMINER.match(phrase) else phrase
        mention = Mention(phrase, count, rest, is_scenery(phrase))
        self.mentions.append(mention)
        number = len(self.mentions) - 1
        if mention.scenery:
            self.put_scenery(number)
        else:
            mention.place, mention.ground = self.setting
            if not self.of_scenery:
                self.unplaced.append(number)
            self.put(number)

    def refer(self, pronoun: str) -> None:
        """Take "it" and "them" for the latest things."""
        things = [number for number, mention in enumerate(self.mentions) if not mention.scenery]
        if self.relation is not None and self.relation[0] == "between":
            kind, subjects = self.relation
            self.relation = None
            objects = tuple([number for number in things if number not in subjects][-2:])
            if self.last is not None:
                self.relate(kind, subjects, objects)
            else:
                self.fronted = ("between", objects)
        elif things:
            if self.relation is not None and self.last is not None:
                self.relation = (self.relation[0], [self.last])
            others = [number for number in things if number != self.last]
            if others:
                self.put(others[-1])

    def mentioned(self, phrase: str) -> int | None:
        """The mention that "the barn" speaks of, None when it is new."""
        if not phrase.lower().startswith(("the ", "that ", "this ")):
            return None
        words = {singular_word(word) for word in phrase.lower().split()[1:]}
        for number in range(len(self.mentions) - 1, -1, -1):
            theirs = self.mentions[number].rest.lower()
            if singular_word(head(theirs)) == singular_word(head(phrase)) and words <= {
                singular_word(word) for word in theirs.split()
            }:
                return number
        return None

    def put(self, number: int) -> None:
        """Let a thing be the object that a relation waits for, or the next of the list."""
        lane, band = self.position
        self.position = (None, None)
        mention = self.mentions[number]
        mention.lane, mention.band = mention.lane or lane, mention.band or band
        if self.relation is not None:
            self.complete(number)
        elif self.fronted is not None:
            kind, objects = self.fronted
            self.fronted = None
            self.relate(kind, [number], objects)
            self.group = [number]
        else:
            self.group.append(number)
        self.preposition = ""
        self.subject = number if self.subject is None else self.subject
        self.last, self.after_comma = number, False

    def put_scenery(self, number: int) -> None:
        """Let sky or ground be the place of things, or a thing itself where a relation puts it somewhere."""
        mention = self.mentions[number]
        relation, preposition = self.relation, self.preposition
        self.preposition = ""
        if relation is not None and relation[0] in ("left", "right", "between"):
            mention.placed = relation[0] != "between"
            self.complete(number)
            self.last = number
            return
        self.relation = None
        if is_sky(mention.phrase):
            if preposition.endswith("in") and head(mention.phrase) in ("sky", "air"):
                # A balloon in the open sky; what comes before and after it is elsewhere.
                for thing in self.group or ([] if self.last is None else [self.last]):
                    self.mentions[thing].place = f"{preposition.lower()} {mention.phrase}"
                    self.mentions[thing].ground = mention.phrase
                self.unplaced = []
            return  # Under a cloudy sky, at dusk: said of the whole picture.
        if relation is not None and relation[1] and self.mentions[relation[1][0]].scenery:
            mention.placed = True
            self.relate(relation[0], relation[1], (number,))
            return
        if relation is not None:
            return  # Behind the hills: said of the whole picture as well.
        if preposition:
            self.place_things(preposition, mention.phrase)
            return
        lane, band = self.position
        self.position = (None, None)
        mention.lane, mention.band = lane, band
        self.setting, self.unplaced = (whereabouts(mention.phrase), mention.phrase), []
        self.of_scenery = True  # "A lake with a boat": the boat stays there.
        self.last, self.group = number, [number]
        self.subject = number if self.subject is None else self.subject

    def place_things(self, preposition: str, ground: str) -> None:
        """Say where things are: those since the last place, and those of this sentence that have none."""
        self.setting = (f"{preposition.lower()} {ground}".strip(), ground)
        self.of_scenery = False
        for number, mention in enumerate(self.mentions):
            open_still = number >= self.sentence_from and not mention.place
            if not mention.scenery and (open_still or number in self.unplaced):
                mention.place, mention.ground = self.setting
        self.unplaced = []

    def complete(self, number: int) -> None:
        """Give the relation that is open its object."""
        assert self.relation is not None
        kind, subjects = self.relation
        if kind == "between":
            self.between.append(number)
            if len(self.between) < 2 and self.mentions[number].count != 2:
                return
            objects = tuple(self.between)
        else:
            objects = (number,)
        self.relation, self.between = None, []
        if all(self.mentions[other].scenery and not self.mentions[other].placed for other in objects):
            for other, lane in zip(objects, ("left", "right"), strict=False):
                self.mentions[other].lane = self.mentions[other].lane or lane  # type: ignore[assignment]
        elif subjects:
            self.relate(kind, subjects, objects)
        else:
            self.fronted = (kind, objects)
        self.group = []

    def relate(self, kind: str, subjects: list[int], objects: tuple[int, ...]) -> None:
        for subject in subjects:
            if subject not in objects and objects:
                if self.mentions[subject].scenery:
                    self.mentions[subject].placed = True
                self.relations.append(Relation(kind, subject, objects))  # type: ignore[arg-type]

    def connect(self, connector: Connector) -> None:
        """Take in a connector."""
        kind = connector.kind
        if kind in ("left", "right", "above", "below", "beside", "between"):
            self.open_relation(kind)
        elif kind == "own_side":
            self.take_own(connector.lane)  # type: ignore[arg-type]
        elif kind == "position":
            self.take_position(connector.lane, connector.band)
        elif kind == "place":
            self.preposition = connector.text
        elif kind == "with":
            self.group = []
        elif kind == "list":
            self.close()
            self.after_comma = "," in connector.text
            if self.after_comma and "and" not in connector.text.lower():
                self.group = []
        elif kind == "stop":
            self.close()
            setting = self.setting
            if not connector.text.startswith(":"):
                self.sentence_from = len(self.mentions)
            self.begin_clause()
            self.setting = setting

    def open_relation(self, kind: str) -> None:
        subjects = list(self.group) if len(self.group) > 1 and not self.after_comma else []
        if not subjects and self.last is not None:
            subjects = [self.subject if self.after_comma and self.subject is not None else self.last]
        self.relation, self.between = (kind, subjects), []
        self.group, self.after_comma = [], False

    def take_own(self, side: Lane) -> None:
        """Put the last thing to a side of the subject, as in "with a tent on its right"."""
        if self.last is not None and self.subject is not None and self.last != self.subject:
            self.relate(side, [self.last], (self.subject,))
            return
        things = [number for number, mention in enumerate(self.mentions) if not mention.scenery]
        if things:
            self.fronted = (side, (things[-1],))

    def take_position(self, lane: Lane | None, band: Band | None) -> None:
        """Put the last things, or else the next one, somewhere in the picture."""
        numbers = self.group or ([] if self.last is None else [self.last])
        fresh = [self.mentions[number] for number in numbers]
        fresh = [one for one in fresh if (lane and one.lane is None) or (band and one.band is None)]
        if not fresh:
            self.position = (lane or self.position[0], band or self.position[1])
            return
        for mention in fresh:
            mention.lane, mention.band = mention.lane or lane, mention.band or band
        if lane is not None:
            self.group = []
            if any(mention.scenery for mention in fresh):
                self.setting = ("", "")  # It is the place of its own side alone.

    def close(self) -> None:
        """Take "a balloon above, a barn below" for positions: these relations have no object."""
        if self.relation is None or self.between or self.relation[0] == "between":
            return
        kind, subjects = self.relation
        self.relation = None
        for number in subjects:
            if kind in ("above", "below") and not self.mentions[number].scenery:
                self.mentions[number].band = "top" if kind == "above" else "bottom"
