"""Overlap of two kinds of work in one process: a thread makes the next items, or uses the last ones, meanwhile."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, TypeVar

T = TypeVar("T")

_POLL_S: Final = 0.1
_END: Final = object()


class _Failed:
    """Carries an error from the thread to the caller."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def prefetched(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Pass items through, made ahead of time by a thread of their own.

    Pays where making and using wait for different things: decoding in C code, an encoder on a GPU, writing to disk.

    Args:
        items: drawn in the thread; what they raise is raised here.
        depth: how many items may wait; bounds the memory.
    """
    waiting: queue.Queue[Any] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: Any) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def fill() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(_END)
        except BaseException as error:
            put(_Failed(error))

    thread = threading.Thread(target=fill, name="prefetch", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _Failed):
                raise item.error
            yield item
    finally:
        stopped.set()
        thread.join()


@contextmanager
def behind(work: Callable[..., object], depth: int) -> Iterator[Callable[..., None]]:
    """Give a function whose calls a thread of its own makes, in order, while the caller continues.

    All calls are made when the block ends. What one raises is raised here, by a later call or at the end of the block.

    Args:
        work: called in the thread with the arguments that the function is given.
        depth: how many calls may wait; bounds the memory.
    """
    waiting: deque[Future[object]] = deque()
    with ThreadPoolExecutor(1, "behind") as pool:

        def call(*args: Any) -> None:
            if len(waiting) == depth:
                waiting.popleft().result()
            waiting.append(pool.submit(work, *args))

        yield call
        for future in waiting:
            future.result()
