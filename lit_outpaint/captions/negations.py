"""What a text says is not there: "a beach without people", "a barn but no tent". Standard library only."""

from __future__ import annotations

import re
from typing import Final

# An item ends before these; "of" stays inside it ("no rows of trees").
_ENDS: Final = (
    "and|or|nor|but|with|without|in|on|at|by|to|from|under|over|above|below|behind|near|next|beside|between|is|are|was|"
    "were|that|which|who|while|where|left|right|only|no|not"
)
_ARTICLE: Final = "any|an?|the"
_COUNTED: Final = "one|two|three|four|five|six|some|several|many|another|[0-9]+"
_WORDS: Final = rf"(?!(?:{_ENDS})\b)[\w'-]+(?:\s+(?!(?:{_ENDS})\b)[\w'-]+)*"
_ITEM: Final = rf"(?:(?:{_ARTICLE})\s+)?{_WORDS}"
# "Without people and boats" denies both; "without people and a barn" has a barn.
_MORE: Final = rf"(?!(?:{_ARTICLE}|{_COUNTED})\b){_WORDS}"
_DENIED: Final = re.compile(
    rf"\b(?:without|with\s+no|with\s+neither|free\s+of|neither|nor|no|not)\s+{_ITEM}"
    rf"(?:\s+n?or\s+{_ITEM}|(?:\s*,\s*{_MORE}){{0,8}}\s*,?\s+and\s+{_MORE})*",
    re.IGNORECASE,
)


def affirmed(text: str) -> str:
    """The text without what it says is not there.

    >>> affirmed("a street without cars and boats and a park with no fountain, but a lake")
    'a street  and a park , but a lake'
    """
    return _DENIED.sub("", text)


def denial(text: str, start: int) -> int:
    """Where what is denied from ``start`` on ends; ``start`` itself where nothing is.

    >>> text = "a beach without people, a barn"
    >>> text[8 : denial(text, 8)]
    'without people'
    """
    match = _DENIED.match(text, start)
    return start if match is None else match.end()
