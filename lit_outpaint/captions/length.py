"""How much of a caption a text encoder reads, so that nothing is cut silently."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from typing import Any

from lit_outpaint.system.text import clean


def cut_off(tokenizer: Any, caption: str) -> str:
    """The end of the caption that the text encoder does not read; empty when it reads everything.

    Args:
        tokenizer: a transformers tokenizer with begin and end marks, such as CLIP's.
        caption: any text.
    """
    tokens = tokenizer(caption, truncation=False, verbose=False).input_ids
    limit = tokenizer.model_max_length
    if len(tokens) <= limit:
        return ""
    return str(tokenizer.decode(tokens[limit - 1 : -1], skip_special_tokens=True)).strip()


_LONGEST = 1 << 20
"""transformers writes a huge length where a tokenizer names none."""
_CLAUSE = re.compile(
    r"[,;:.!?]+(?=\s)|\s+(?=(?:and|with|while|which|that|where|as|behind|beside|beyond)\b)", re.IGNORECASE
)
"""Where a clause ends: at a mark, or before a word that opens the next."""
_DANGLING = re.compile(
    r"(?:\s+(?:a|an|the|of|in|on|at|by|to|with|and|or|from|under|over|near|behind|beside|between))+$", re.IGNORECASE
)


class CaptionLimit:
    """What fits into the text encoder; may be asked from many threads at once.

    Args:
        tokenizer: directory or hub name of the text encoder's own CLIP tokenizer.

    Raises:
        ValueError: there is none.
    """

    def __init__(self, tokenizer: str) -> None:
        # Takes a second; captioners without a language model do without.
        from transformers import CLIPTokenizer

        try:
            loaded = CLIPTokenizer.from_pretrained(tokenizer)
            # transformers makes an empty tokenizer of an empty folder.
            if loaded.vocab_size < 256 or loaded.model_max_length > _LONGEST:
                raise ValueError("it has no vocabulary or names no length")
        except (OSError, ValueError) as error:
            raise ValueError(
                f"tokenizer must be the directory or hub name of a CLIP tokenizer, got {tokenizer}; a model family"
                " keeps it in tokenizer/"
            ) from error
        self.max_tokens = int(loaded.model_max_length)
        # The inner tokenizer: the outer one changes its own state on each call, which threads would trip over.
        self._tokenizer = loaded.backend_tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.sha256 = hashlib.sha256(self._tokenizer.to_str().encode()).hexdigest()
        """Checksum of the vocabulary and rules."""

    def count(self, caption: str) -> int:
        """Tokens of a caption, begin and end marks included."""
        return len(self._tokenizer.encode(caption).ids)

    def fits(self, caption: str) -> bool:
        """Whether the text encoder reads all of it."""
        return self.count(caption) <= self.max_tokens

    def cut(self, caption: str) -> str:
        """Its start up to the last clause that fits, if that is half of the words that fit; else those words.

        Raises:
            ValueError: not even the first word fits.
        """
        words = caption.split()
        kept = bisect_right(range(1, len(words) + 1), self.max_tokens, key=lambda n: self.count(" ".join(words[:n])))
        if kept == 0:
            raise ValueError(
                f"a caption must begin with a word of at most {self.max_tokens} tokens, got {words[0][:40]!r}"
            )
        text = " ".join(words[:kept])
        ends = [found.start() for found in _CLAUSE.finditer(" ".join(words[: kept + 1])) if found.start() <= len(text)]
        if ends and 2 * len(text[: ends[-1]].split()) >= kept:
            text = text[: ends[-1]]
        return clean(_DANGLING.sub("", text) or text)
