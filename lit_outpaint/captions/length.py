"""How much of a caption a text encoder reads, so that nothing is cut silently."""

from __future__ import annotations

from typing import Any


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
