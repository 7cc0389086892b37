"""Calls from many threads answered together, in batches.

There is no thread of its own: whoever calls while nobody leads becomes the leader, gathers what waits, works for all of
them, and hands over. So nothing has to be shut down, and a failure always has callers to go to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class _Call(Generic[Question, Answer]):
    """A question and, once it is done, its answer or what went wrong."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.done = False
        self.answer: Answer | None = None
        self.error: BaseException | None = None


class Batcher(Generic[Question, Answer]):
    """Turns a function of a batch into one that is called with single questions from many threads.

    Args:
        work: answers a batch, in its order; runs in one thread at a time.
        batch_size: most questions in a batch.
        max_wait_s: how long a batch that is not full waits for others to join.
    """

    def __init__(
        self, work: Callable[[Sequence[Question]], Sequence[Answer]], *, batch_size: int, max_wait_s: float
    ) -> None:
        self._work, self._batch_size, self._max_wait_s = work, batch_size, max_wait_s
        self._changed = threading.Condition()
        self._waiting: list[_Call[Question, Answer]] = []
        self._led = False

    def __call__(self, question: Question) -> Answer:
        """Return the answer, once the batch that the question rides in is done.

        Raises:
            RuntimeError: the batch failed; its cause is what ``work`` raised.
        """
        call: _Call[Question, Answer] = _Call(question)
        with self._changed:
            self._waiting.append(call)
            self._changed.notify_all()
        while batch := self._batch_to_lead(call):
            self._lead(batch)
        if call.error is not None:
            raise RuntimeError(f"the batch failed: {call.error}") from call.error
        return call.answer  # type: ignore[return-value]

    def _batch_to_lead(self, call: _Call[Question, Answer]) -> list[_Call[Question, Answer]]:
        """Wait until the call is done, which gives an empty batch, or until this thread is the one to lead."""
        with self._changed:
            self._changed.wait_for(lambda: call.done or not self._led)
            if call.done:
                return []
            self._led = True
            try:
                self._changed.wait_for(lambda: len(self._waiting) >= self._batch_size, self._max_wait_s)
            except BaseException:  # An interrupt: another takes over.
                self._led = False
                self._waiting.remove(call)
                self._changed.notify_all()
                raise
            batch, self._waiting = self._waiting[: self._batch_size], self._waiting[self._batch_size :]
            return batch

    def _lead(self, batch: list[_Call[Question, Answer]]) -> None:
        error: BaseException | None = None
        answers: Sequence[Answer] = ()
        try:
            answers = self._work([call.question for call in batch])
            if len(answers) != len(batch):
                error = RuntimeError(f"{len(batch)} questions got {len(answers)} answers")
        except BaseException as raised:
            error = raised
            if not isinstance(raised, Exception):
                raise  # An interrupt is for this thread; the others are told in ``finally``.
        finally:
            with self._changed:
                for number, call in enumerate(batch):
                    call.error, call.done = error, True
                    if error is None:
                        call.answer = answers[number]
                self._led = False
                self._changed.notify_all()
