"""How the captions of a set fill the text encoder: the part of the card that is about text."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from lit_outpaint.data.schema import SampleRecord, TextCard

HISTOGRAM_STEP: Final = 8
"""Tokens per bar of the token-length histogram."""


def text_card(tokenizer: Any, records: Sequence[SampleRecord]) -> TextCard:
    """Count the encoded captions, those that lose their end, and the lengths of all.

    Args:
        tokenizer: of the text encoder, with begin and end marks.
        records: whose local and global captions are encoded.
    """
    texts = [text for record in records for text in (record.local_caption, record.global_caption)]
    ids = tokenizer(texts, truncation=False, verbose=False).input_ids if texts else []
    bars = Counter(len(tokens) // HISTOGRAM_STEP for tokens in ids)
    return TextCard(
        captions=len(texts),
        truncated=sum(len(tokens) > tokenizer.model_max_length for tokens in ids),
        token_histogram={f"{bar * HISTOGRAM_STEP}-{(bar + 1) * HISTOGRAM_STEP - 1}": bars[bar] for bar in sorted(bars)},
    )


def sum_text_cards(cards: Iterable[TextCard]) -> TextCard:
    """The counts of several shards together."""
    captions, truncated, bars = 0, 0, Counter[str]()
    for card in cards:
        captions += card.captions
        truncated += card.truncated
        bars.update(card.token_histogram)
    histogram = {bar: bars[bar] for bar in sorted(bars, key=lambda bar: int(bar.split("-")[0]))}
    return TextCard(captions=captions, truncated=truncated, token_histogram=histogram)
