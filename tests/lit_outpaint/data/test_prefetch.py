import threading
from queue import Queue

import numpy as np
import pytest

from lit_outpaint.data.prefetch import Prefetch, Turn, turns_of
from lit_outpaint.data.schema import ShardError

TURNS = [Turn(10 * number, 7 - number) for number in range(5)]
SOON_S = 120


def test_turns_follow_first_use() -> None:
    assert turns_of(np.array([4, 4, 2, 4, 2, 7])) == [Turn(0, 4), Turn(2, 2), Turn(5, 7)]


def test_fetching_stays_so_many_shards_ahead_of_reading() -> None:
    fetched: Queue[int] = Queue()
    with Prefetch(TURNS, fetched.put, 1) as reading:
        assert [fetched.get(timeout=SOON_S) for _ in range(2)] == [7, 6]
        reading.reached(9)
        assert fetched.empty()
        reading.reached(10)
        assert fetched.get(timeout=SOON_S) == 5
        assert fetched.empty()
        reading.reached(1000)
        assert [fetched.get(timeout=SOON_S) for _ in range(2)] == [4, 3]


def test_fetching_ends_with_the_reading() -> None:
    fetched: Queue[threading.Thread] = Queue()
    with Prefetch(TURNS, lambda shard: fetched.put(threading.current_thread()), 0):
        thread = fetched.get(timeout=SOON_S)
    thread.join(SOON_S)
    assert not thread.is_alive()
    assert fetched.empty()


@pytest.mark.filterwarnings("error")
def test_a_fault_is_left_to_who_needs_the_shard() -> None:
    tried: Queue[threading.Thread] = Queue()

    def fail(shard: int) -> None:
        tried.put(threading.current_thread())
        raise ShardError("no such shard")

    with Prefetch(TURNS, fail, 3) as reading:
        thread = tried.get(timeout=SOON_S)
        thread.join(SOON_S)
        assert not thread.is_alive()
        reading.reached(20)
    assert tried.empty()
