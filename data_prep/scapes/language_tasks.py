"""What the language encoder of the family learns from captions alone: to fill spans, and to tell true from nearly true.

- *Span denoising* (T5): spans of a document are cut out and written by a decoder. A document is the captions of one
  window, one after the other, so that a word missing in one can be found in another by whom it belongs to: the colour
  of the car, the side that the barn stands on.
- *Ranking* (RankGen): a caption behind ``"pre "`` and another caption of the same window behind ``"suffi "`` have
  features that agree, more than with captions of other windows and than with *near misses*, the right caption with
  two of its words exchanged. A bag of words cannot tell a near miss.

Sources: Raffel et al. 2020, arXiv:1910.10683; Krishna et al. 2022, arXiv:2205.09726.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data_prep.scapes.captions import annotate, global_caption
from data_prep.scapes.palette import COLOURS, KINDS
from data_prep.scapes.paragraphs import paragraph
from data_prep.scapes.windows import random_place

PREFIX, SUFFIX = "pre ", "suffi "
"""What stands before a caption that is to be understood, and before one that is to be ranked."""

SPAN_SHARE, MEAN_SPAN = 0.2, 2
"""Share of the tokens of a document that are cut out, and the mean length of a span."""

_EXCHANGED = (re.compile(rf"\b({'|'.join(COLOURS)})\b"), re.compile(r"\bon the (left|right)\b"))
"""Words that a near miss exchanges: colours, and sides."""
_OTHERS = (
    (re.compile(rf"\b({'|'.join(COLOURS)})\b"), tuple(COLOURS)),
    (re.compile(rf"\b({'|'.join(sorted(KINDS, key=len)[::-1])})\b"), tuple(KINDS)),
    (re.compile(r"\b(meadow|desert|forest|snowfield|lake|town)\b"), ("meadow", "desert", "forest", "lake", "town")),
)
"""Words that a near miss replaces where it cannot exchange any, and by which."""


class Captions(NamedTuple):
    """Every caption of one window."""

    short: tuple[str, ...]
    """Five annotated ones and the global one."""
    dense: str
    """A paragraph."""


class Pair(NamedTuple):
    """Two captions of one window, and a near miss of the second."""

    prefix: str
    suffix: str
    near_miss: str


def captions_of(index: int, seed: int) -> Captions:
    """Captions of training window ``index`` of a sample."""
    facts = random_place(index, seed=seed).facts()
    return Captions((*annotate(facts, index), global_caption(facts)), paragraph(facts, index))


def document(captions: Captions, rng: random.Random) -> str:
    """One to three captions of a window in a row, the paragraph among them half of the time."""
    parts = rng.sample(captions.short, rng.randint(1, 2))
    if rng.random() < 0.5:
        parts.insert(rng.randrange(len(parts) + 1), captions.dense)
    return PREFIX + ". ".join(part.removesuffix(".") for part in parts) + "."


def pair(captions: Captions, rng: random.Random) -> Pair:
    """A pair to rank: the paragraph or a short caption, and another short one that names as much as can be."""
    prefix = captions.dense if rng.random() < 0.5 else rng.choice(captions.short)
    suffix = max(rng.sample(captions.short, 3), key=len)
    return Pair(PREFIX + prefix, SUFFIX + suffix, SUFFIX + near_miss(suffix, rng))


def near_miss(caption: str, rng: random.Random) -> str:
    """The caption with two colours or sides exchanged, or else one word replaced; it always differs.

    >>> near_miss("a red barn and a blue car", random.Random(0))
    'a blue barn and a red car'
    """
    choices = [edited for pattern in _EXCHANGED if (edited := _exchanged(caption, pattern, rng)) is not None]
    if choices:
        return rng.choice(choices)
    found = [(match, words) for pattern, words in _OTHERS for match in pattern.finditer(caption)]
    if not found:
        return f"{caption} with a {rng.choice(tuple(COLOURS))} {rng.choice(tuple(KINDS))}"
    match, words = rng.choice(found)
    other = rng.choice([word for word in words if word != match[1]])
    return caption[: match.start(1)] + other + caption[match.end(1) :]


def corrupted(tokens: Sequence[int], sentinels: Sequence[int], rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Cut spans out of tokens.

    Args:
        tokens: of a document, without an end mark.
        sentinels: marks of the spans in order; no more spans are cut than there are marks, less one that ends.
        rng: draws the spans.

    Returns:
        The tokens with a mark in place of each span; and each mark with its span behind it, closed by one mark more.
    """
    count = max(1, min(round(len(tokens) * SPAN_SHARE / MEAN_SPAN), len(sentinels) - 1, len(tokens) // 2))
    starts = np.sort(rng.choice(len(tokens), count, replace=False))
    lengths = rng.integers(1, 2 * MEAN_SPAN, count)
    source: list[int] = []
    target: list[int] = []
    end = used = 0
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        if start < end:
            continue
        stop = min(start + length, len(tokens))
        source += [*tokens[end:start], sentinels[used]]
        target += [sentinels[used], *tokens[start:stop]]
        end, used = stop, used + 1
    return source + list(tokens[end:]), [*target, sentinels[used]]


def _exchanged(caption: str, pattern: re.Pattern[str], rng: random.Random) -> str | None:
    """Exchange two words that ``pattern`` finds and that differ; None if there are none."""
    found = list(pattern.finditer(caption))
    pairs = [(a, b) for i, a in enumerate(found) for b in found[i + 1 :] if a[1] != b[1]]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    between = caption[a.end(1) : b.start(1)]
    return caption[: a.start(1)] + b[1] + between + a[1] + caption[b.end(1) :]
