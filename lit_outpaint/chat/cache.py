"""Replies of a chat model kept by their requests: nothing is asked twice, and a run can be replayed.

Captions, plans and judgements may share a file, since a request says all that its reply depends on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_outpaint.chat.reply_store import ReplyStore
from lit_outpaint.chat.requests import ChatModel, ChatReply, ChatRequest

if TYPE_CHECKING:
    from PIL.Image import Image


def request_text(chat: ChatModel, request: ChatRequest) -> str:
    """Everything that the reply depends on, as canonical JSON: model, parameters, and the request with its picture."""
    told = asdict(replace(request, image=None))
    told["image"] = None if request.image is None else image_sha256(request.image)
    question = {"model": chat.name, "parameters": chat.parameters, "request": told}
    return json.dumps(question, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def request_key(text: str) -> str:
    """SHA-256 of what `request_text` gave."""
    return hashlib.sha256(text.encode()).hexdigest()


def image_sha256(image: Image) -> str:
    """SHA-256 of a picture's size and RGB pixels."""
    picture = image.convert("RGB")
    return hashlib.sha256(f"{picture.width}x{picture.height}:".encode() + picture.tobytes()).hexdigest()


class _Keyed:
    """Looks every request up by its key."""

    def __init__(self, inner: ChatModel, store: ReplyStore) -> None:
        self.inner, self.store = inner, store
        self.name, self.concurrency, self.sees = inner.name, inner.concurrency, inner.sees
        self.directory = getattr(inner, "directory", "")

    @property
    def parameters(self) -> dict[str, Any]:
        """Those of the model whose replies are kept."""
        return self.inner.parameters

    def reply(self, request: ChatRequest) -> ChatReply:
        """Return the reply that is kept, or ask for one; see ``ChatModel``."""
        text = request_text(self.inner, request)
        key = request_key(text)
        known = self.store.get(key)
        return self._missed(key, text, request) if known is None else replace(known, from_cache=True, retries=0)

    def _missed(self, key: str, text: str, request: ChatRequest) -> ChatReply:
        raise NotImplementedError


class CachedChat(_Keyed):
    """Asks another chat model only what no one asked before; every reply is kept, whatever is in it.

    Where the model gave no reply (a ``ChatError``) nothing is kept, so that it is asked the next time.

    Args:
        inner: whose replies are kept.
        path: SQLite file; made when it is not there. It must lie on a local disk, not on a network file system.
        dry: make and write nothing; look up what is there.

    Raises:
        ValueError: the file cannot be used.
    """

    def __init__(self, inner: ChatModel, path: str, dry: bool = False) -> None:
        super().__init__(inner, ReplyStore(path, read_only=dry))

    def _missed(self, key: str, text: str, request: ChatRequest) -> ChatReply:
        reply = self.inner.reply(request)
        if self.store.read_only:
            return reply
        # Another thread or process may have been first: its text is believed, and what this one cost is counted.
        kept = self.store.put(key, text, reply)
        costs = {name: getattr(reply, name) for name in ("prompt_tokens", "completion_tokens", "retries")}
        return replace(kept, **costs)


class ReplayChat(_Keyed):
    """Replies from the cache alone, so that a run can be repeated offline; a miss ends the run.

    Args:
        inner: whose replies were recorded, with the same settings; it is never asked.
        path: the SQLite file of a `CachedChat`; not changed.

    Raises:
        ValueError: there is no such file.
    """

    def __init__(self, inner: ChatModel, path: str) -> None:
        if not Path(path).is_file():
            raise ValueError(f"a replay needs a file of replies, {path} does not exist; record it with CachedChat")
        super().__init__(inner, ReplyStore(path, read_only=True))

    def _missed(self, key: str, text: str, request: ChatRequest) -> ChatReply:
        del text
        asked = json.dumps(request.messages[-1].text[-80:])
        # Not a ChatError: a fallback must not hide it.
        raise ValueError(
            f"the cache {self.store.path} must hold every reply of a replay, but has none of {self.name} to {asked} "
            f"(key {key[:12]}); record it with CachedChat and the same settings and inputs"
        )
