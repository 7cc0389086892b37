"""Answers of captioners in a SQLite file, by what they depend on: nothing is asked twice, and a run can be replayed."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_outpaint.chat.ledger import ledger_of
from lit_outpaint.protocols import Captioner, Written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from lit_outpaint.canvas.geometry import Direction

BUSY_TIMEOUT_S = 60.0
"""How long a process waits for another one that is writing."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, call TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL
) WITHOUT ROWID
"""


def question_of(
    captioner: Captioner, call: str, arguments: dict[str, Any], image: Image | None = None
) -> dict[str, Any]:
    """Everything the answer depends on, as JSON values; the picture counts only for a captioner that sees."""
    identity = captioner.identity(call)
    shown = image is not None and identity.get("sees", True)
    return {
        "captioner": captioner.name,
        "identity": identity,
        "call": call,
        "arguments": arguments,
        "image_sha256": image_sha256(image) if shown and image is not None else None,
    }


def question_key(question: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a question."""
    return hashlib.sha256(_canonical(question).encode()).hexdigest()


def image_sha256(image: Image) -> str:
    """SHA-256 of a picture's size and RGB pixels."""
    picture = image.convert("RGB")
    return hashlib.sha256(f"{picture.width}x{picture.height}:".encode() + picture.tobytes()).hexdigest()


class AnswerStore:
    """The SQLite file; safe with many threads and processes on one machine.

    Args:
        path: of the file.
        read_only: never write; a file that is not there counts as empty.

    Raises:
        ValueError: the file cannot be opened, or is no such store.
    """

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        self.path, self.read_only = path, read_only
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._check()

    def get(self, key: str) -> list[Written] | None:
        """The answer to a question, None when there is none."""
        with self._open() as connection:
            row = connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else [Written(*item) for item in json.loads(row[0])]

    def put(self, key: str, question: dict[str, Any], answer: Sequence[Written]) -> list[Written]:
        """Keep an answer and return what is kept: that of whoever was first."""
        row = (key, str(question["call"]), _canonical(question), json.dumps([list(item) for item in answer]))
        with self._open() as connection:
            connection.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)", row)
        return self.get(key) or list(answer)

    def _check(self) -> None:
        """Refuse a file that cannot be used, without making one: that is left to the first answer."""
        if Path(self.path).exists():
            with self._open():
                return
        if not os.access(Path(self.path).absolute().parent, os.W_OK):
            raise ValueError(f"the cache must lie in a writable directory, got {self.path}")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time."""
        with self._lock:
            try:
                if self._connection is None or self._pid != os.getpid():  # A connection must not cross a fork.
                    self._connection, self._pid = self._connect(), os.getpid()
                yield self._connection
            except sqlite3.Error as error:
                raise ValueError(f"the cache {self.path} cannot be used: {error}; give another file") from error

    def _connect(self) -> sqlite3.Connection:
        place = f"{Path(self.path).absolute().as_uri()}?mode={'ro' if self.read_only else 'rwc'}"
        absent = self.read_only and not Path(self.path).exists()
        connection = sqlite3.connect(
            ":memory:" if absent else place,
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        if not self.read_only:  # Readers then never wait for writers.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        if not self.read_only or absent:
            connection.execute(_SCHEMA)
        connection.execute("SELECT key FROM answers LIMIT 1")
        return connection

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "read_only": self.read_only}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], read_only=state["read_only"])  # type: ignore[misc]


class _Keyed:
    """Turns every call into a question with a key."""

    def __init__(self, inner: Captioner, store: AnswerStore) -> None:
        self.inner, self.store = inner, store
        self.name, self.concurrency = inner.name, inner.concurrency
        self.ledger = ledger_of(inner)

    def identity(self, call: str) -> dict[str, Any]:
        """That of the captioner whose answers are kept."""
        return self.inner.identity(call)

    def imagine(self, caption: str, n: int) -> list[Written]:
        """Return captions of what may lie around the frame."""
        return self._answer("imagine", {"caption": caption, "n": n}, None, lambda: self.inner.imagine(caption, n))

    def summarise(self, captions: Sequence[str]) -> Written:
        """Return one caption of the whole scene."""
        arguments = {"captions": list(captions)}
        return self._answer("summarise", arguments, None, lambda: [self.inner.summarise(captions)])[0]

    def next_local(
        self,
        *,
        view: Image | None,
        direction: Direction,
        global_caption: str,
        previous: Sequence[str],
        seen: Sequence[str],
        step: int,
    ) -> Written:
        """Return the caption of the window that is drawn next."""
        arguments: dict[str, Any] = {
            "direction": direction,
            "global_caption": global_caption,
            "previous": list(previous),
            "seen": list(seen),
            "step": step,
        }
        return self._answer("next_local", arguments, view, lambda: [self.inner.next_local(view=view, **arguments)])[0]

    def describe(self, image: Image) -> Written:
        """Return one sentence that says what a picture shows."""
        return self._answer("describe", {}, image, lambda: [self.inner.describe(image)])[0]

    def _answer(
        self, call: str, arguments: dict[str, Any], image: Image | None, ask: Callable[[], list[Written]]
    ) -> list[Written]:
        question = question_of(self.inner, call, arguments, image)
        key = question_key(question)
        known = self.store.get(key)
        if known is not None:
            self.ledger.add(hits=1)
            return known
        return self._missed(key, question, ask)

    def _missed(self, key: str, question: dict[str, Any], ask: Callable[[], list[Written]]) -> list[Written]:
        raise NotImplementedError


class CachedCaptioner(_Keyed):
    """Asks another captioner only what no one asked before; its answers, all checked, are kept.

    What a fallback wrote is not kept, so that the captioner itself is asked the next time.

    Args:
        inner: whose answers are kept.
        path: SQLite file; made when it is not there. It must lie on a local disk, not on a network file system.
        dry: make and write nothing; look up what is there.

    Raises:
        ValueError: the file cannot be used.
    """

    def __init__(self, inner: Captioner, path: str, dry: bool = False) -> None:
        super().__init__(inner, AnswerStore(path, read_only=dry))

    def _missed(self, key: str, question: dict[str, Any], ask: Callable[[], list[Written]]) -> list[Written]:
        answer = ask()
        if self.store.read_only or any(written.instead_of for written in answer):
            return answer
        return self.store.put(key, question, answer)


class ReplayCaptioner(_Keyed):
    """Answers from the cache alone, so that a run can be repeated offline; a miss ends the run.

    Args:
        inner: whose answers were recorded, with the same settings; it is never asked.
        path: the SQLite file of a ``CachedCaptioner``; not changed.

    Raises:
        ValueError: there is no such file.
    """

    def __init__(self, inner: Captioner, path: str) -> None:
        if not Path(path).is_file():
            raise ValueError(f"a replay needs a file of answers, {path} does not exist; record it with CachedCaptioner")
        super().__init__(inner, AnswerStore(path, read_only=True))

    def _missed(self, key: str, question: dict[str, Any], ask: Callable[[], list[Written]]) -> list[Written]:
        # Not a CaptionError: a fallback must not hide it.
        raise ValueError(
            f"the cache {self.store.path} must hold every answer of a replay, but has none of {self.name} to this "
            f"{question['call']} (key {key[:12]}); record it with CachedCaptioner and the same settings and inputs"
        )


def _canonical(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
