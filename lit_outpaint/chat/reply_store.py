"""Replies of chat models in a SQLite file, by the key of their request."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lit_outpaint.chat.requests import ChatReply

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

BUSY_TIMEOUT_S: Final = 60.0
"""How long a process waits for another one that is writing."""

_SCHEMA: Final = "(key TEXT PRIMARY KEY, request TEXT NOT NULL, reply TEXT NOT NULL) WITHOUT ROWID"
_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table'"


class ReplyStore:
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

    def get(self, key: str) -> ChatReply | None:
        """The reply to a request, None when there is none."""
        with self._open() as connection:
            row = connection.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return None if row is None else ChatReply(**json.loads(row[0]))

    def put(self, key: str, request: str, reply: ChatReply) -> ChatReply:
        """Keep a reply and return what is kept: that of whoever was first.

        Args:
            key: of the request.
            request: as text, for people who look into the file.
            reply: what the model said.
        """
        with self._open() as connection:
            row = (key, request, json.dumps(asdict(reply)))
            connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", row)
        return self.get(key) or reply

    def _check(self) -> None:
        """Refuse a file that cannot be used, without making one: that is left to the first reply."""
        if Path(self.path).exists():
            with self._open() as connection:
                tables = {name for (name,) in connection.execute(_TABLES)}
                empty = connection.execute("SELECT key FROM replies LIMIT 1").fetchone() is None
            if "answers" in tables and empty:
                log.warning(
                    "the cache %s holds answers of an earlier version, which are not read: replies are kept by their "
                    "requests now, and each is asked for once more",
                    self.path,
                )
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
            connection.execute(f"CREATE TABLE IF NOT EXISTS replies {_SCHEMA}")
        elif ("replies",) not in connection.execute(_TABLES).fetchall():
            connection.execute(f"CREATE TEMP TABLE replies {_SCHEMA}")  # In memory: the file is not touched.
        return connection

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "read_only": self.read_only}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], read_only=state["read_only"])  # type: ignore[misc]
