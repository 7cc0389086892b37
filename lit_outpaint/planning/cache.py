"""Plans in a SQLite file, by what they depend on: nothing is asked twice, and a run can be replayed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lit_outpaint.captions.cache import AnswerStore, question_key
from lit_outpaint.chat.ledger import ledger_of
from lit_outpaint.planning.files import parse_plan_text, plan_text
from lit_outpaint.planning.regions import Region
from lit_outpaint.protocols import Planned, Planner, Written


class _Keyed:
    """Turns every call into a question with a key."""

    def __init__(self, inner: Planner, store: AnswerStore) -> None:
        self.inner, self.store = inner, store
        self.name, self.concurrency = inner.name, inner.concurrency
        self.ledger = ledger_of(inner)

    def identity(self) -> dict[str, Any]:
        """That of the planner whose plans are kept."""
        return self.inner.identity()

    def plan(self, prompt: str, locked: Sequence[Region] = ()) -> Planned:
        """Return the plan that is kept, or a new one; see ``Planner``."""
        question = {
            "planner": self.inner.name,
            "identity": self.inner.identity(),
            "call": "plan",
            "arguments": {"prompt": prompt, "locked": [asdict(region) for region in locked]},
        }
        key = question_key(question)
        known = self.store.get(key)
        if known is not None:
            self.ledger.add(hits=1)
            return _planned(known)
        return self._missed(key, question, prompt, locked)

    def _missed(self, key: str, question: dict[str, Any], prompt: str, locked: Sequence[Region]) -> Planned:
        raise NotImplementedError


class CachedPlanner(_Keyed):
    """Asks another planner only what no one asked before; its plans, all checked, are kept.

    What stands in for a plan that was not made is not kept, so that the planner itself is asked the next time.

    Args:
        inner: whose plans are kept.
        path: SQLite file; made when it is not there. It may be the one of captions. It must lie on a local disk.

    Raises:
        ValueError: the file cannot be used.
    """

    def __init__(self, inner: Planner, path: str) -> None:
        super().__init__(inner, AnswerStore(path))

    def _missed(self, key: str, question: dict[str, Any], prompt: str, locked: Sequence[Region]) -> Planned:
        planned = self.inner.plan(prompt, locked)
        if planned.instead_of:
            return planned
        return _planned(self.store.put(key, question, _written(planned)))


class ReplayPlanner(_Keyed):
    """Takes plans from the cache alone, so that a run can be repeated offline; a miss ends the run.

    Args:
        inner: whose plans were recorded, with the same settings; it is never asked.
        path: the SQLite file of a ``CachedPlanner``; not changed.

    Raises:
        ValueError: there is no such file.
    """

    def __init__(self, inner: Planner, path: str) -> None:
        if not Path(path).is_file():
            raise ValueError(f"a replay needs a file of answers, {path} does not exist; record it with CachedPlanner")
        super().__init__(inner, AnswerStore(path, read_only=True))

    def _missed(self, key: str, question: dict[str, Any], prompt: str, locked: Sequence[Region]) -> Planned:
        raise ValueError(
            f"the cache {self.store.path} must hold every answer of a replay, but has no plan of {self.name} for "
            f"{json.dumps(prompt[:80])} (key {key[:12]}); record it with CachedPlanner and the same settings"
        )


def _written(planned: Planned) -> list[Written]:
    return [Written(plan_text(planned.plan), planned.writer), Written(planned.reasoning, planned.writer)]


def _planned(answer: Sequence[Written]) -> Planned:
    plan, reasoning = answer
    return Planned(parse_plan_text(plan.text), plan.writer, reasoning=reasoning.text)
