"""Captions of the steps to come, asked for in threads while windows are drawn, so that waiting for them is hidden.

What a captioner is told of a step (the captions before it, what they name, what it sees) is fixed by the plan, so a
caption does not depend on when it is asked for. It is asked for as soon as it can be: by a captioner that sees, when
what it looks at is on the canvas; by one that does not, when the captions before it are written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from lit_outpaint.canvas.graph import Graph, PlannedStep
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.captions.objects import things_seen
from lit_outpaint.protocols import Captioner, Written

MAX_PREVIOUS = 32
"""A captioner is told of the captions of at most this many steps."""

ReadView = Callable[[PlannedStep], UInt8[ndarray, "_ _ 3"]]

CAPTIONS_NAME = "captions.jsonl"
"""What ``captions_ahead`` has written, in the directory of the canvas."""


class CaptionQueue:
    """Writes the local captions of a plan's steps ahead of time; a context that ends its threads.

    Args:
        captioner: is called from ``captioner.concurrency`` threads.
        graph: the plan.
        canvas: holds the captions of finished steps.
        global_caption: the whole scene.
        given: captions that need no captioner, by step.
        read_view: what a captioner is shown of a step; None shows nothing to any.
    """

    def __init__(
        self,
        captioner: Captioner,
        graph: Graph,
        canvas: Canvas,
        global_caption: str,
        given: Mapping[int, Written],
        read_view: ReadView | None,
    ) -> None:
        self._captioner, self._graph, self._canvas = captioner, graph, canvas
        self._global_caption, self._given, self._read_view = global_caption, dict(given), read_view
        self._sees = read_view is not None and bool(captioner.identity("next_local").get("sees", True))
        self._asked: dict[int, Future[Written]] = {}
        self._num_threads = max(captioner.concurrency, 1)
        self._pool = ThreadPoolExecutor(self._num_threads, thread_name_prefix="captions")

    def __enter__(self) -> CaptionQueue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def take(self, batch: Sequence[int]) -> list[Written]:
        """The captions of the steps of a batch; those of later steps are asked for on the way, but not waited for.

        Raises:
            Exception: whatever the captioner raised.
        """
        for step in [step for step in self._asked if step in self._given or self._canvas.is_done(step)]:
            del self._asked[step]
        ahead = self._graph.following(batch[-1], max(2 * self._num_threads, len(batch)))
        for step in (*batch, *ahead):
            self._ask(step)
        return [self._given[step] if step in self._given else self._asked[step].result() for step in batch]

    def write_all(self, path: Path, should_stop: Callable[[], bool]) -> None:
        """Write the captions of all steps that have none yet, into a file that a killed run continues with.

        Args:
            path: a JSON line per caption; those it holds are not asked for again.
            should_stop: asked before each step.

        Raises:
            ValueError: a line of the file holds no caption.
        """
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []  # A kill may tear the last one.
        self._given = dict(_read(line, f"{path}:{number}") for number, line in enumerate(lines, 1)) | self._given
        with path.open("r+b" if path.exists() else "wb") as file:
            file.truncate(sum(len(line) + 1 for line in lines))
            file.seek(0, os.SEEK_END)
            for (step,) in self._graph.batches(1):
                if step in self._given or self._canvas.is_done(step):
                    continue
                if should_stop():
                    break
                (written,) = self.take([step])
                self._given[step] = written
                file.write(json.dumps({"step": step, **written._asdict()}).encode() + b"\n")
                file.flush()

    def _ask(self, step: int) -> None:
        """Ask for a caption, unless it is there, asked for, or cannot be asked for yet.

        Threads may wait for captions that were asked for before; as they take up work in that order, one always goes
        on. All reading from the canvas happens here, in the caller's thread.
        """
        if step in self._asked or step in self._given or self._canvas.is_done(step):
            return
        planned = self._graph[step]
        before = self._graph.before(step, MAX_PREVIOUS)
        previous = [self._caption_of(earlier) for earlier in before]
        if None in previous or (self._sees and not all(map(self._canvas.is_done, planned.depends))):
            return
        view = self._read_view(planned) if self._sees and self._read_view is not None else None

        def write() -> Written:
            told = [caption.result().text if isinstance(caption, Future) else str(caption) for caption in previous]
            return self._captioner.next_local(
                view=None if view is None else Image.fromarray(view),
                direction=planned.direction,
                global_caption=self._global_caption,
                previous=told,
                seen=things_seen(told),
                step=step,
            )

        self._asked[step] = self._pool.submit(write)

    def _caption_of(self, step: int) -> str | Future[Written] | None:
        """What is there of a step's caption: the text, a promise, or nothing."""
        if step in self._given:
            return self._given[step].text
        if self._canvas.is_done(step):
            return self._canvas.record(step).local_caption
        return self._asked.get(step)


def _read(line: bytes, where: str) -> tuple[int, Written]:
    """The step and the caption of a line that `CaptionQueue.write_all` wrote."""
    try:
        entry = json.loads(line)
        step, written = int(entry.pop("step")), Written(**entry)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{where} must be the caption of a step, but is damaged; delete the file") from error
    if not all(isinstance(value, str) for value in written):
        raise ValueError(f"{where} must be the caption of a step, but is damaged; delete the file")
    return step, written
