"""Which words of a caption belong together: attributes and the things that have them, as places in the text.

The default is rules: an attribute is one of a list of common adjectives; the thing is the run of words behind it (``a
red pine tree on the left``), or in front of a form of *to be* (``the barn is red``). It needs no model, and finds what
image captions mostly say. `SpacyParser` takes the tree of a grammar model instead, where spaCy is installed.

Torch-free.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

from lit_outpaint.protocols import EntityPair, Span


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ATTRIBUTES = _words(
    """
    red orange yellow green blue purple violet pink brown black white grey gray golden silver beige turquoise big
    large huge small tiny little tall short long wide narrow round square oval rectangular triangular circular
    conical pointed curved flat wooden metal metallic plastic leather fabric glass stone rubber fluffy furry woolen
    cotton paper ceramic brick old new young dark bright pale shiny rusty broken wet dry sandy snowy stormy cloudy
    clear sunny foggy
    """
)
"""Adjectives that rules take for attributes."""

_BREAKS = _words(
    """
    a an the and or but of on in at to by with without from into onto over under above below behind before beside
    between near next is are was were be been being has have had can could will would may might must shall should do
    does that which who whose it its this these those there here as for while against across around along through
    seen stands stand standing lies lie lying sits sit sitting covers cover covered rises rise drawn shows show one
    two three four five six seven eight nine ten very quite past drives drive rides ride runs run walks walk flies fly
    eats eat plays play holds hold wears wear looks look parked
    """
)
"""Words that end the name of a thing."""

_WORD = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*")
_TO_BE = frozenset({"is", "are", "was", "were"})
_RELATIVE = frozenset({"that", "which", "who"})


@dataclass(frozen=True, kw_only=True)
class RuleParser:
    """Pairs by rules and a list of adjectives."""

    attributes: tuple[str, ...] = ()
    """Adjectives that count as attributes, beside the common ones."""

    def pairs(self, caption: str) -> list[EntityPair]:
        """The pairs, in the order of their attributes.

        >>> caption = "a red barn, and a blue pine tree on the left"
        >>> [(caption[slice(*a)], caption[slice(*e)]) for a, e in RuleParser().pairs(caption)]
        [('red', 'barn'), ('blue', 'pine tree')]
        """
        words = [(match[0].lower(), match.span()) for match in _WORD.finditer(caption)]
        found = []
        for index, (word, span) in enumerate(words):
            if self._is_attribute(word):
                entity = self._behind(caption, words, index) or self._before(caption, words, index)
                if entity is not None:
                    found.append(EntityPair(span, entity))
        return found

    def _behind(self, caption: str, words: Sequence[tuple[str, Span]], index: int) -> Span | None:
        """The thing that follows an attribute, past other attributes of it."""
        run: list[Span] = []
        for position in range(index + 1, len(words)):
            word, span = words[position]
            gap = caption[words[position - 1][1][1] : span[0]].strip()
            if not run and gap in ("", ",") and (self._is_attribute(word) or self._joins(words, position)):
                continue
            # "A black cat sleeping", but "a blue dining table".
            if gap or word in _BREAKS or self._is_attribute(word) or (run and word.endswith("ing")):
                break
            run.append(span)
        return (run[0][0], run[-1][1]) if run else None

    def _joins(self, words: Sequence[tuple[str, Span]], position: int) -> bool:
        """Whether a word is an "and" between two attributes: "a red and blue car"."""
        following = words[position + 1][0] if position + 1 < len(words) else ""
        return words[position][0] == "and" and self._is_attribute(following)

    def _is_attribute(self, word: str) -> bool:
        return word in ATTRIBUTES or word in self.attributes

    def _before(self, caption: str, words: Sequence[tuple[str, Span]], index: int) -> Span | None:
        """The thing in front of "is", or "that is", and an attribute, past other attributes of it."""
        begin = index - 1
        while begin > 0 and (self._is_attribute(words[begin][0]) or self._joins(words, begin)):
            begin -= 1
        if begin < 1 or words[begin][0] not in _TO_BE:
            return None
        begin -= words[begin - 1][0] in _RELATIVE
        run: list[Span] = []
        for position in range(begin - 1, -1, -1):
            word, span = words[position]
            if word in _BREAKS or self._is_attribute(word) or caption[span[1] : words[position + 1][1][0]].strip():
                break
            run.append(span)
        return (run[-1][0], run[0][1]) if run else None


@dataclass(frozen=True, kw_only=True)
class SpacyParser:
    """Pairs from the dependency tree of a spaCy model."""

    model: str = "en_core_web_sm"
    """Name of an installed model, or its directory."""

    def pairs(self, caption: str) -> list[EntityPair]:
        """Adjectives that modify a noun, or that a noun is said to be.

        Raises:
            ValueError: spaCy or the model is not installed.
        """
        found = []
        for token in self._language(caption):
            noun = None
            if token.dep_ == "amod":
                noun = token.head
            elif token.dep_ == "acomp":
                noun = next((child for child in token.head.children if child.dep_ == "nsubj"), None)
            if noun is not None and noun.pos_ in ("NOUN", "PROPN"):
                first = min([noun, *(child for child in noun.children if child.dep_ == "compound")], key=lambda t: t.i)
                found.append(EntityPair((token.idx, token.idx + len(token)), (first.idx, noun.idx + len(noun))))
        return found

    @cached_property
    def _language(self) -> Any:
        try:
            # An extra that few need.
            return import_module("spacy").load(self.model)
        except (ImportError, OSError) as error:
            raise ValueError(
                f"SpacyParser needs spaCy with the model {self.model}: {str(error).splitlines()[0]}; install both, or "
                "use lit_outpaint.captions.entities.RuleParser"
            ) from error


def tokens_of(span: Span, offsets: Sequence[Span]) -> list[int]:
    """Numbers of the tokens that share a character with a span.

    Args:
        span: in the caption.
        offsets: of every token in the caption, as fast tokenizers of transformers give them; (0, 0) for marks.

    >>> tokens_of((2, 5), [(0, 0), (0, 1), (2, 5), (5, 9)])
    [2]
    """
    return [i for i, (begin, end) in enumerate(offsets) if begin < span[1] and end > span[0] and end > begin]
