"""Noun phrases of a prompt by rules: what stands between function words, each with its article and attributes.

Prompts of T2I-CompBench's attribute categories are lists of such phrases ("a green bench and a blue bowl"), where this
finds what a parser finds; in free prose it finds more, verbs among them.
"""

import re
from typing import Final

_BOUNDARY: Final = re.compile(
    r"[,.;:]|\b(?:and|or|with|of|in|on|at|to|from|by|near|next|beside|behind|under|below|above|over|between|through|"
    r"across|into|onto|against|around|for|while|as|is|are|was|were|has|have|that|which|who)\b"
)
_ARTICLES: Final = {"a", "an", "the"}
_PLACES: Final = {"top", "side", "left", "right", "front", "back", "bottom", "middle"}
"""Words of places are no things that a picture shows."""


def noun_phrases(text: str) -> list[str]:
    """The phrases in order, in lower case.

    >>> noun_phrases("A green bench and a blue bowl on the left of the table.")
    ['a green bench', 'a blue bowl', 'the table']
    """
    pieces = [" ".join(piece.split()) for piece in _BOUNDARY.split(text.lower())]
    return [piece for piece in pieces if set(piece.split()) - _ARTICLES - _PLACES]
