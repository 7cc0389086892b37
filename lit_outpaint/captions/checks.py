"""What a caption must be beside being one: new, of the asker's picture, and no copy of an example.

Each check is a function from a text to the fault in it, empty when there is none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from lit_outpaint.captions.objects import caption_similarity, named_things
from lit_outpaint.captions.scene import content_words
from lit_outpaint.chat.requests import Message

Check = Callable[[str], str]

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_CLAUSE = re.compile(r"[,;:.!?]\s+(?:and\s+|or\s+)?")
_MANY = 3
"""A thing that is named so often in one caption is all that a model had to say."""
_MIN_WORDS = 3
"""A shorter text of an example is a word of the task ("left") or could be anybody's."""


def no_copy(examples: Sequence[Message]) -> Check:
    """A check that refuses the texts of example turns, those of the questions included.

    >>> check = no_copy([Message("assistant", '{"caption": "a red kite over dunes"}')])
    >>> check("A red kite over dunes"), check("a red kite over a lake")
    ('it copies an example', '')
    """
    quoted = (text for turn in examples for text in _QUOTED.findall(turn.text))
    copied = {plain(text) for text in quoted if len(text.split()) >= _MIN_WORDS}
    return lambda text: "it copies an example" if plain(text) in copied else ""


def no_repetition(text: str) -> str:
    """A check that refuses a caption with two equal clauses, or one that names the same thing three times.

    Things are equal up to article, count and plural.

    >>> no_repetition("a church, a church, and a tree"), no_repetition("a tree by a tree with a tree")
    ('it says "a church" 2 times', 'it names "a tree" 3 times')
    >>> no_repetition("a tree by a red house, and a tree by a lake")
    ''
    """
    things = list(named_things(text))
    counts = Counter(thing for thing, _ in things)
    many = next(
        (f'it names "{phrase}" {counts[thing]} times' for thing, phrase in things if counts[thing] >= _MANY), ""
    )
    return many or repeated_clause(text)


def repeated_clause(text: str, times: int = 2) -> str:
    """The fault of a text in which a clause with content words stands ``times`` or more often; empty without one."""
    clauses = Counter(plain(clause) for clause in _CLAUSE.split(text) if content_words(clause))
    return next((f'it says "{clause}" {count} times' for clause, count in clauses.items() if count >= times), "")


def unlike(others: Iterable[str], max_similarity: float) -> Check:
    """A check that refuses what is equal to one of ``others`` up to case, or shares too many content words with it.

    Args:
        others: captions that are there; read again at each check, so that a list may grow.
        max_similarity: largest share of common content words (see ``caption_similarity``); at 1 only equal ones count.

    >>> unlike(["a red boat on a lake"], 0.6)("the red boat on the lake")
    'it repeats "a red boat on a lake"'
    """

    def check(text: str) -> str:
        for other in others:
            if plain(text) == plain(other) or caption_similarity(text, other) > max_similarity:
                return f'it repeats "{other}"'
        return ""

    return check


def about(captions: Sequence[str]) -> Check:
    """A check that refuses what has no content word in common with any of ``captions``, where these have some.

    >>> about(["a red boat", "a lake"])("a city at night")
    'it has no word of the captions'
    """
    words = frozenset[str]().union(*map(content_words, captions))
    return lambda text: "" if not words or words & content_words(text) else "it has no word of the captions"


def plain(text: str) -> str:
    """The text without what does not count when texts are compared: case, blanks, closing stops."""
    return " ".join(text.split()).strip(" .").lower()
