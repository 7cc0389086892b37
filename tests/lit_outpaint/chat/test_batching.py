"""Calls from many threads answered together."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from lit_outpaint.chat.batching import Batcher


def test_every_caller_gets_its_own_answer_and_batches_are_as_full_as_allowed() -> None:
    sizes: list[int] = []

    def work(numbers: Sequence[int]) -> list[int]:
        sizes.append(len(numbers))
        time.sleep(0.005)
        return [number**2 for number in numbers]

    batcher: Batcher[int, int] = Batcher(work, batch_size=4, max_wait_s=0.2)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(batcher, range(64))) == [number**2 for number in range(64)]
    assert max(sizes) == 4
    assert sum(sizes) == 64
    assert len(sizes) <= 20


def test_work_runs_in_one_thread_at_a_time() -> None:
    busy = threading.Lock()

    def work(numbers: Sequence[int]) -> list[int]:
        assert busy.acquire(blocking=False)
        time.sleep(0.002)
        busy.release()
        return list(numbers)

    batcher: Batcher[int, int] = Batcher(work, batch_size=2, max_wait_s=0.0)
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(batcher, range(50))) == list(range(50))


def test_a_lonely_call_waits_no_longer_than_it_must() -> None:
    batcher: Batcher[int, int] = Batcher(list, batch_size=8, max_wait_s=0.05)
    start = time.monotonic()
    assert batcher(3) == 3
    assert 0.04 < time.monotonic() - start < 2


def test_a_failure_reaches_everyone_in_the_batch_and_no_one_after_it() -> None:
    def work(numbers: Sequence[int]) -> list[int]:
        if 0 in numbers:
            raise KeyError("zero")
        return list(numbers)

    batcher: Batcher[int, int] = Batcher(work, batch_size=3, max_wait_s=5.0)
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(batcher, number) for number in range(3)]
        for call in calls:
            with pytest.raises(RuntimeError, match="zero") as caught:
                call.result(timeout=10)
            assert isinstance(caught.value.__cause__, KeyError)
        assert list(pool.map(batcher, (4, 5, 6))) == [4, 5, 6]


def test_an_interrupt_goes_to_its_thread_and_frees_the_others() -> None:
    def work(numbers: Sequence[int]) -> list[int]:
        raise KeyboardInterrupt

    batcher: Batcher[int, int] = Batcher(work, batch_size=2, max_wait_s=5.0)
    ends: list[type[BaseException]] = []

    def call(number: int) -> None:
        try:
            batcher(number)
        except BaseException as error:
            ends.append(type(error))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert sorted(end.__name__ for end in ends) == ["KeyboardInterrupt", "RuntimeError"]


def test_too_few_answers_are_a_failure_not_a_hang() -> None:
    batcher: Batcher[int, int] = Batcher(lambda numbers: [], batch_size=1, max_wait_s=0.0)
    with pytest.raises(RuntimeError, match="1 questions got 0 answers"):
        batcher(1)
