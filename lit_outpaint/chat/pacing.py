"""When to ask a server, and when to ask it again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_BACKOFF_S: Final = 30.0
"""Longest wait of our own choice before a request is sent again."""
MAX_RETRY_AFTER_S: Final = 60.0
"""Longest wait that a server can ask for; one that asks for more is asked again after this time all the same."""

# Jitter must differ between processes, and must not draw from the global generator that seeds may govern: the waits of
# tenacity, which runs the retries, draw theirs from that one.
_jitter = random.SystemRandom()


class Pace:
    """Lets one request through at a time, evenly spaced.

    Args:
        requests_per_minute: None lets everything through at once.
    """

    def __init__(self, requests_per_minute: float | None = None) -> None:
        self._gap_s = 60 / requests_per_minute if requests_per_minute else 0.0
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        if not self._gap_s:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap_s
        time.sleep(turn - now)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to be left alone for, in [0, `MAX_RETRY_AFTER_S`]; None when it does not say."""
    milliseconds, said = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds is not None:
            seconds = float(milliseconds) / 1000
        elif said is not None:
            seconds = float(said)
        else:
            return None
    except ValueError:
        try:
            date = parsedate_to_datetime(said or "")
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    # The comparison is written so that a NaN gives 0 as well.
    return min(seconds, MAX_RETRY_AFTER_S) if seconds > 0 else 0.0


def backoff(retry: int, first_s: float, asked_s: float | None = None) -> float:
    """Seconds to wait before a request is sent again: doubled each time, with jitter, and what the server asks for.

    Args:
        retry: how many times it was sent again so far, from 0.
        first_s: mean wait before the first.
        asked_s: what the server asked for, which is waited in full.
    """
    own = min(first_s * 2.0**retry, MAX_BACKOFF_S) * _jitter.uniform(0.5, 1.5)
    if asked_s is None:
        return min(own, MAX_BACKOFF_S)
    return asked_s + min(own, first_s)
