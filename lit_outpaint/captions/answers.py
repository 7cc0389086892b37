"""What a language model must answer: pydantic models, whose JSON schemas go out with the request."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_CHARS = 600
"""Longer than any caption of 77 tokens; a longer text is no caption."""
MAX_CAPTIONS = 64
"""Captions that one answer may hold."""

Sentence = Annotated[str, Field(min_length=1, max_length=MAX_CHARS)]


class CaptionAnswer(BaseModel):
    """Answer to summarise, next_local and describe."""

    model_config = ConfigDict(extra="ignore", strict=True, str_strip_whitespace=True)

    caption: Sentence


class CaptionsAnswer(BaseModel):
    """Answer to imagine."""

    model_config = ConfigDict(extra="ignore", strict=True, str_strip_whitespace=True)

    captions: list[Sentence] = Field(min_length=1, max_length=MAX_CAPTIONS)
