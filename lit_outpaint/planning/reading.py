"""Reads a prompt: which things and places it mentions, and how they stand to each other.

The prompt is cut at the words that stand between noun phrases (prepositions, conjunctions, a few verbs), without a
tagger. What the rules do not know stays inside a phrase.
"""

from __future__ import annotations

import re
from typing import Final

from lit_outpaint.captions.negations import denial
from lit_outpaint.planning.attributes import (
    attributed,
    is_attribute,
    is_of_each,
    lacks_noun,
    with_noun_for_one,
    with_noun_of,
)
from lit_outpaint.planning.connectors import Band, Connector, Lane, connectors
from lit_outpaint.planning.joints import stands_inside, trimmed
from lit_outpaint.planning.mentions import Mention, Mentions, Relation
from lit_outpaint.planning.phrases import (
    DETERMINER,
    head,
    is_backdrop,
    is_name,
    is_scenery,
    is_sky,
    names_nothing,
    split_count,
    whereabouts,
)
from lit_outpaint.planning.references import is_plural, meant, mentioned, parted_pronoun
from lit_outpaint.planning.scene import scene_of
from lit_outpaint.planning.surroundings import Surroundings

MAX_MENTIONS: Final = 64
"""Things of a prompt that are looked at; text encoders read 77 tokens."""
MAX_CHARS: Final = 4000
"""Characters of a prompt that are looked at."""

# "The rock underground" is a place itself.
_UNDERGROUND: Final = re.compile(r"(?!.*\b(?:rock|earth)\b)(.+?)(?: buried)?(?: deep)? underground", re.IGNORECASE)


# "By day a red barn" says what "by day, a red barn" says.
_TIME_FIRST: Final = re.compile(
    r"(?:^|(?<=[.;] ))((?:by|at|in the|during the|early in the|late in the) (?:day|daylight|night|midnight|dusk|dawn|"
    rf"noon|sunset|sunrise|twilight|morning|evening|afternoon)) (?={DETERMINER.pattern})",
    re.IGNORECASE,
)


# "A view at night of a barn" says what "a view, at night, a barn" says; where a view is taken from says nothing.
_VIEW_OF: Final = re.compile(
    r"\b(view|scene|photo(?:graph)?|picture|image|painting|drawing|illustration|shot)"
    r"(?: ((?:at|by|in|during|under) (?:the style of )?(?:[\w-]+ ){1,4}?)| from (?:[\w-]+ ){1,3}?)of (?=\w)",
    re.IGNORECASE,
)


def read_mentions(prompt: str) -> Mentions:
    """Take a prompt apart; any text gives something, perhaps nothing."""
    text = " ".join(prompt[:MAX_CHARS].split())
    text = _VIEW_OF.sub(lambda match: f"{match[1]}, {match[2].strip()}, " if match[2] else f"{match[1]} of ", text)
    return _Reader().read(_TIME_FIRST.sub(r"\1, ", text))


class _Reader:
    """Reads a prompt from left to right."""

    def __init__(self) -> None:
        self.mentions: list[Mention] = []
        self.relations: list[Relation] = []
        self.surroundings = Surroundings(self.mentions)
        self.named: int | None = None
        self.without_noun: list[Mention] = []
        self.begin_clause()

    def begin_clause(self) -> None:
        """Forget what a clause has said so far."""
        self.subject: int | None = None
        self.last: int | None = None
        self.group: list[int] = []
        self.relation: tuple[str, list[int]] | None = None
        self.related: list[int] = []
        self.between: list[int] = []
        self.fronted: tuple[str, tuple[int, ...]] | None = None
        self.position: tuple[Lane | None, Band | None] = (None, None)
        self.preposition = ""
        self.owner: int | None = None
        self.fresh = True  # Nothing is named since the last comma, "and" or "with".
        self.stated = ""  # "Is" or the like, where it has just been read.

    def read(self, text: str) -> Mentions:
        place, pending = 0, ""
        for connector in connectors(text):
            if connector.start < place:
                continue  # It lies inside of what the prompt denies.
            phrase, after = pending + text[place : connector.start], text[connector.end :]
            placed = any(mention.lane for mention in self.mentions[self.surroundings.sentence_from :])
            inside = stands_inside(connector, phrase, after, stated=bool(self.stated), placed=placed)
            place = max(connector.end, denial(text, connector.start)) if connector.kind == "without" else connector.end
            if inside:
                pending = phrase + text[connector.start : place]
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

    def take(self, phrase: str) -> None:
        """Take in the noun phrase that stands before a connector."""
        phrase = trimmed(phrase)
        if not phrase:
            return
        pronoun, rest = parted_pronoun(phrase)
        if pronoun in ("who", "which", "that") and self.relation is None and self.last is not None:
            self.subject, self.fresh = self.last, False
            self.take(rest)
        elif pronoun:
            self.refer(pronoun)
            self.take(rest)
        elif self.may_describe(phrase):
            self.describe(phrase)
        elif names_nothing(phrase) or (self.preposition.lower() == "by" and is_name(phrase)):
            pass
        else:
            self.name(phrase)

    def name(self, phrase: str) -> None:
        """Take in a phrase that names something."""
        known = mentioned(phrase, self.mentions)
        if known is not None:
            self.put_scenery(known) if self.mentions[known].scenery else self.put(known)
            return
        underground = _UNDERGROUND.fullmatch(phrase)
        if underground is not None and not names_nothing(underground[1]):
            self.take(underground[1])
            self.surroundings.place("", "underground")
            return
        things = self.things()
        if things:
            phrase = with_noun_for_one(phrase, self.mentions[things[-1]].phrase)
        count, rest = split_count(phrase)
        if count == 0 or not rest:
            return
        phrase = phrase[0].lower() + phrase[1:] if DETERMINER.match(phrase) else phrase
        mention = Mention(phrase, count, rest, is_scenery(phrase), time=self.surroundings.time)
        self.mentions.append(mention)
        number = len(self.mentions) - 1
        if mention.scenery:
            self.put_scenery(number)
            return
        if phrase != rest and lacks_noun(rest):
            self.without_noun.append(mention)
        else:
            for waiting in self.without_noun:
                waiting.rename(with_noun_of(waiting.phrase, phrase) or waiting.phrase)
            self.without_noun = []
        self.surroundings.surround(number)
        self.put(number)

    def things(self) -> list[int]:
        """All that was named so far, but for sky and ground."""
        return [number for number, mention in enumerate(self.mentions) if not mention.scenery]

    def may_describe(self, phrase: str) -> bool:
        """Whether a phrase is an attribute of something that was named."""
        if self.named is None or self.relation or self.preposition or not is_attribute(phrase, bool(self.stated)):
            return False
        return is_of_each(phrase) or not names_nothing(phrase)

    def describe(self, attribute: str) -> None:
        """Add an attribute to what it is said of: the last named, or the subject of "left of a barn is red"."""
        assert self.named is not None
        numbers = [self.named]
        if self.stated and self.related and self.named not in self.related:
            numbers = self.related
        elif self.mentions[self.named].count == 1 and (is_of_each(attribute) or self.stated in ("are", "were")):
            listed = [number for number in self.things() if number >= self.surroundings.sentence_from]
            numbers = listed[-2:] if attribute.lower().startswith("both") else listed
        for number in numbers:
            if not self.mentions[number].scenery:
                self.mentions[number].rename(attributed(self.mentions[number].phrase, attribute))
        self.stated = ""

    def refer(self, pronoun: str) -> None:
        """Take "it" and "them" for the latest things."""
        things = self.things()
        if self.relation is None:
            others = [number for number in things if number != self.last]
            if others:
                self.put(others[-1])
            return
        kind, subjects = self.relation
        if self.fresh or self.last is None:
            # "And to the right of it a tent": what stands there comes next.
            self.relation = None
            if self.last is not None and self.mentions[self.last].scenery and kind in ("left", "right"):
                self.mentions[self.last].placed, things = True, [self.last]
            self.fronted = (kind, meant(pronoun, self.mentions, things)) if things else None
            return
        subjects = subjects if kind == "between" else [self.last]
        others = [number for number in things if number not in subjects]
        if kind == "between" or is_plural(pronoun):
            self.relation = None
            self.relate(kind, subjects, meant("them", self.mentions, others))
            self.group = []
        elif others:
            self.relation = (kind, subjects)
            self.put(others[-1])

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
            self.related = []
        self.preposition = ""
        self.subject = number if self.subject is None else self.subject
        self.last = self.named = number
        self.fresh = False

    def put_scenery(self, number: int) -> None:
        """Let sky or ground be the place of things, or a thing itself where a relation puts it somewhere."""
        mention = self.mentions[number]
        relation, preposition = self.relation, self.preposition
        self.preposition, self.named, self.fresh = "", number, False
        if relation is not None and relation[0] in ("left", "right", "between"):
            mention.placed = relation[0] != "between"
            self.complete(number)
            self.last = number
            return
        self.relation = None
        if preposition == "of":
            preposition = whereabouts(mention.phrase).split()[0]
        if is_sky(mention.phrase):
            time = scene_of(f"{preposition} {mention.phrase}")
            if time:
                self.surroundings.date(time)
            if preposition.endswith("in") and head(mention.phrase) in ("sky", "air"):
                # A balloon in the open sky; what comes before and after it is elsewhere.
                things = self.group or ([] if self.last is None else [self.last])
                self.surroundings.place_only(things, preposition, mention.phrase)
            return  # Under a cloudy sky, at dusk: said of the whole picture.
        if relation is not None:
            subject = self.mentions[relation[1][0]] if relation[1] else None
            behind = subject is not None and is_backdrop(subject.phrase)
            if subject is not None and subject.scenery and not (behind or is_backdrop(mention.phrase)):
                mention.placed = True
                self.relate(relation[0], relation[1], (number,))
            if not behind:
                return  # Behind the hills: said of the whole picture as well.
        if preposition:
            self.surroundings.place(preposition, mention.phrase)
            return
        mention.lane, mention.band = self.position
        self.position = (None, None)
        behind = is_backdrop(mention.phrase) and self.last is not None  # "A lake with mountains": they are no ground.
        self.last, self.group = number, [] if behind else [number]
        self.subject = number if self.subject is None else self.subject
        if not behind:
            self.surroundings.go_to(mention.phrase)

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
        self.group, self.related = [], subjects

    def relate(self, kind: str, subjects: list[int], objects: tuple[int, ...]) -> None:
        for subject in subjects:
            behind = kind == "beside" and is_backdrop(self.mentions[subject].phrase)  # Mountains are behind everything.
            if subject not in objects and objects and not behind:
                if self.mentions[subject].scenery:
                    self.mentions[subject].placed = True
                self.relations.append(Relation(kind, subject, objects))  # type: ignore[arg-type]

    def connect(self, connector: Connector) -> None:
        """Take in a connector."""
        kind = connector.kind
        self.stated = ""
        if kind in ("left", "right", "above", "below", "beside", "between"):
            self.open_relation(kind)
        elif kind == "own_side":
            self.take_own(connector.lane)  # type: ignore[arg-type]
        elif kind in ("position", "part"):
            self.take_position(connector)
            self.preposition = "of" if kind == "part" else ""
        elif kind == "place":
            self.preposition = connector.text
        elif kind == "with":
            owned = self.last is not None and not (self.mentions[self.last].scenery or self.mentions[self.last].lane)
            self.group, self.owner, self.fresh = [], self.last if owned else None, True
        elif kind == "list":
            self.close()
            self.fresh = True
            if "," in connector.text and "and" not in connector.text.lower():
                self.group = []
        elif kind == "filler":
            text = connector.text.lower()
            self.stated = text if text in ("is", "are", "was", "were") and not self.fresh else ""
        elif kind == "stop":
            self.close()
            if not connector.text.startswith(":"):
                self.surroundings.begin_sentence()
            self.begin_clause()

    def open_relation(self, kind: str) -> None:
        subjects = list(self.group) if len(self.group) > 1 and not self.fresh else []
        if not subjects and self.last is not None:
            subjects = [self.last]
            if self.fresh:
                # "Left of a barn and above a tent" goes on with what is left of the barn.
                subjects = self.related or ([self.last] if self.subject is None else [self.subject])
        self.relation, self.between = (kind, subjects), []
        self.group = []

    def take_own(self, side: Lane) -> None:
        """Put the last thing to a side of the subject, as in "with a tent on its right", or else the next one."""
        if not self.fresh and self.last is not None and self.subject is not None and self.last != self.subject:
            self.relate(side, [self.last], (self.subject,))
        elif self.things():
            self.fronted = (side, (self.things()[-1],))

    def take_position(self, connector: Connector) -> None:
        """Put the last things, or else the next one, somewhere in the picture."""
        lane, band = connector.lane, connector.band
        numbers = self.group or ([] if self.last is None else [self.last])
        if self.owner is not None and self.owner not in numbers and lane in ("left", "right") and band is None:
            self.relate(lane, numbers, (self.owner,))  # "A house with a tree on the left."
            self.group = []
            return
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
                self.surroundings.leave()  # It is the place of its own side alone.

    def close(self) -> None:
        """Take "a balloon above, a barn below" for positions: these relations have no object.

        After "a fireplace with" they are above and below that.
        """
        if self.relation is None or self.between or self.relation[0] == "between":
            return
        kind, subjects = self.relation
        self.relation = None
        if self.owner is not None and self.owner not in subjects:
            self.relate(kind, subjects, (self.owner,))
            return
        for number in subjects:
            if kind in ("above", "below") and not self.mentions[number].scenery:
                self.mentions[number].band = "top" if kind == "above" else "bottom"
