"""The final answer in what a reasoning model wrote: its thoughts, in whatever marks they stand, are not looked at.

Read are tags (``<think>``, ``[THINK]``, ``<thought>``, ``<reasoning>``, ``<seed:think>``, ``<|START_THINKING|>`` and
their like), closed, closed only (the chat template had opened them) or open (cut off by the limit on tokens), and the
channels of the harmony format, with its marks or with what a tokenizer leaves of them.

Source: chat templates of the models, and https://cookbook.openai.com/articles/openai-harmony.
"""

from __future__ import annotations

import json
import re
from typing import Final

_NAME: Final = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad|inner_monologue)"
_MARK: Final = re.compile(
    rf"[<\[\u25c1]\|?\s*(?P<close>/?)\s*{_NAME}\s*\|?[>\]\u25b7]"  # <think>, [/THINK], and U+25C1 think U+25B7
    r"|<\|(?:START|(?P<END>END))_THINKING\|>"
    r"|<\|(?:begin|(?P<end>end))_of_thought\|>",
    re.IGNORECASE,
)
_CHANNEL: Final = re.compile(r"<\|channel\|>\s*(?P<name>\w+)[^<]*(?:<\|(?!message)\w+\|>[^<]*)*<\|message\|>")
_CHANNEL_END: Final = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_BARE_CHANNELS: Final = re.compile(r"^\s*(?:analysis|commentary)(?=\w)")
_BARE_FINAL: Final = "assistantfinal"


def final_answer(text: str) -> str:
    """The text outside of thoughts; empty where nothing but thoughts was written.

    A text that is JSON as a whole has no thoughts around it: marks inside its strings are words.
    """
    if _is_json(text):
        return text
    if "<|channel|>" in text:
        return _final_channel(text)
    if _BARE_CHANNELS.match(text):  # "analysisThe user wants ...assistantfinal{...}": the marks are gone.
        return text.rpartition(_BARE_FINAL)[2] if _BARE_FINAL in text else ""
    kept, position, thinking = "", 0, False
    for mark in _MARK.finditer(text):
        closes = bool(mark["close"] or mark["END"] or mark["end"])
        if not closes and not thinking:
            kept += text[position : mark.start()]
        elif closes and not thinking:
            kept = ""  # Everything so far was thought: the template had opened it.
        thinking, position = not closes, mark.end()
    return kept if thinking else kept + text[position:]


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def holds_thoughts(text: str) -> bool:
    """Whether there is a mark of thoughts or of a channel in a text."""
    return "<|channel|>" in text or _MARK.search(text) is not None


def _final_channel(text: str) -> str:
    """What the last final channel says."""
    finals = [mark for mark in _CHANNEL.finditer(text) if mark["name"] == "final"]
    if not finals:
        return ""
    start = finals[-1].end()
    end = _CHANNEL_END.search(text, start)
    return text[start : end.start() if end else len(text)]
