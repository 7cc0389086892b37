"""What captions would cost, before any is paid for: the same path with a model that only counts."""

from __future__ import annotations

import json
from typing import Any, Final

from lit_outpaint.captions.fallback import with_chat
from lit_outpaint.chat.cache import CachedChat
from lit_outpaint.chat.requests import ChatModel, ChatReply, ChatRequest
from lit_outpaint.protocols import Captioner

CHARS_PER_TOKEN: Final = 4
"""Of English text, in the tokenizers of large language models; a small vocabulary takes more tokens."""

_WORDS_PER_CAPTION: Final = 20
"""As many as the prompts ask for."""
_WORDS: Final = ("a", "lake", "with", "a", "red", "boat")


class CountingChat:
    """Stands in for a chat model: answers of the usual length, tokens estimated from characters, nothing asked.

    Args:
        chat: the model that it stands for.
    """

    def __init__(self, chat: ChatModel) -> None:
        self.name, self.concurrency, self.sees = chat.name, chat.concurrency, chat.sees
        self.parameters: dict[str, Any] = chat.parameters

    def reply(self, request: ChatRequest) -> ChatReply:
        """Answer with filler."""
        captions = request.schema["properties"].get("captions")
        if captions is None:
            text = json.dumps({"caption": _filler(0)})
        else:
            text = json.dumps({"captions": [_filler(number) for number in range(captions["minItems"])]})
        asked = sum(len(message.text) for message in request.messages)
        return ChatReply(text=text, prompt_tokens=_tokens(asked), completion_tokens=_tokens(len(text)))


def counting(captioner: Captioner) -> Captioner:
    """A captioner that goes the way of ``captioner`` without asking its model or writing to its cache."""
    return with_chat(captioner, _counting)


def _counting(chat: ChatModel) -> ChatModel:
    if isinstance(chat, CachedChat):
        return CachedChat(_counting(chat.inner), chat.store.path, dry=True)
    return CountingChat(chat)


def _filler(number: int) -> str:
    return " ".join([str(number), *(_WORDS[place % len(_WORDS)] for place in range(1, _WORDS_PER_CAPTION))])


def _tokens(characters: int) -> int:
    return -(-characters // CHARS_PER_TOKEN)
