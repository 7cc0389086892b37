"""What captions would cost, before any is paid for: the same path with a model that only counts."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from lit_outpaint.captions.fallback import with_chat
from lit_outpaint.captions.scene import content_words
from lit_outpaint.chat.cache import CachedChat
from lit_outpaint.chat.requests import ChatModel, ChatReply, ChatRequest, CountsTokens
from lit_outpaint.protocols import Captioner

CHARS_PER_TOKEN: Final = 4
"""Of English text, in the tokenizers of large language models; a small vocabulary takes more tokens."""
TOKENS_PER_TURN: Final = 5
"""Marks around a turn and the name of its role."""

_WORDS_PER_CAPTION: Final = 20
"""As many as the prompts ask for."""
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


class CountingChat:
    """Stands in for a chat model: answers of the usual length that pass the checks, and nothing asked.

    Of every turn that would be sent, examples included, the tokens are counted: by the model's own tokenizer where it
    runs in this process, else from characters.

    Args:
        chat: the model that it stands for.
    """

    def __init__(self, chat: ChatModel) -> None:
        self.chat, self.directory = chat, getattr(chat, "directory", "")
        self.name, self.concurrency, self.sees = chat.name, chat.concurrency, chat.sees
        self.parameters: dict[str, Any] = chat.parameters

    def reply(self, request: ChatRequest) -> ChatReply:
        """Answer with filler that names a word of the question, as a summary must."""
        captions = request.schema["properties"].get("captions")
        if captions is None:
            text = json.dumps({"caption": _filler(request.draw, _word_of(request.messages[-1].text))})
        else:
            # From 1 on: a summary of them has number 0 and must be none of them.
            text = json.dumps({"captions": [_filler(number, "") for number in range(1, captions["minItems"] + 1)]})
        return ChatReply(text=text, prompt_tokens=self._asked(request), completion_tokens=_tokens(len(text)))

    def _asked(self, request: ChatRequest) -> int:
        if isinstance(self.chat, CountsTokens):
            return self.chat.count_prompt(request)
        characters = sum(len(message.text) for message in request.messages)
        return _tokens(characters) + TOKENS_PER_TURN * (len(request.messages) + 1)


def counting(captioner: Captioner) -> Captioner:
    """A captioner that goes the way of ``captioner`` without asking its model or writing to its cache."""
    return with_chat(captioner, _counting)


def _counting(chat: ChatModel) -> ChatModel:
    if isinstance(chat, CachedChat):
        return CachedChat(_counting(chat.inner), chat.store.path, dry=True)
    return CountingChat(chat)


def _filler(number: int, word: str) -> str:
    """Twenty words, of which hardly any stand in a filler of another number."""
    name = "".join(chr(ord("a") + int(digit)) for digit in f"{number % 100:02d}")
    return " ".join([word or name, *(f"{name}{chr(ord('a') + place)}" for place in range(1, _WORDS_PER_CAPTION))])


def _word_of(question: str) -> str:
    """A content word of the captions in a question, which stand there as JSON; empty where there is none."""
    for quoted in _QUOTED.findall(question):
        for word in sorted(content_words(quoted)):
            return word
    return ""


def _tokens(characters: int) -> int:
    return -(-characters // CHARS_PER_TOKEN)
