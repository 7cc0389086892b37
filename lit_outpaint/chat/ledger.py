"""What captions cost: counts of calls, tokens, retries, repairs, cuts and fallbacks, and a text that says so."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lit_outpaint.system.settings import setting

Kind = Literal[
    "turns",
    "hits",
    "prompt_tokens",
    "completion_tokens",
    "retries",
    "repairs",
    "cut",
    "at_once",
    "repaired",
    "by_fallback",
    "captions",
    "repeats",
]
"""Turns with the model, replies from the cache, tokens, requests sent again after a fault of the server, questions
asked again because the answer did not pass, captions that were cut; captions that passed at once, those that passed
when they were asked for again, those that another captioner wrote; all captions, and those equal to one before."""

MAX_REMEMBERED = 200_000
"""So many different captions are remembered, to tell which are repeats; those that come later count as new."""
WARN_FALLBACK_SHARE = 0.1
"""A run whose model left more than this share of its captions to another captioner is warned of it."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What a language model costs, in any currency."""

    price_prompt: float = setting(0.0)
    """Price of a million prompt tokens, for the count at the end."""
    price_completion: float = setting(0.0)
    """Price of a million tokens of answers."""

    def __post_init__(self) -> None:
        for name in ("price_prompt", "price_completion"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


class Ledger:
    """Counts from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Kind] = Counter()
        self._fallbacks: Counter[str] = Counter()
        self._texts: set[int] = set()

    def add(self, **counts: int) -> None:
        """Add to counts by their kind."""
        assert counts.keys() <= set(get_args(Kind)), f"no such count: {counts}"
        with self._lock:
            for kind, count in counts.items():
                self._counts[kind] += count  # type: ignore[index]

    def add_fallback(self, cause: str) -> int:
        """Count a call that another captioner had to answer; return how many had this cause so far."""
        with self._lock:
            self._fallbacks[cause] += 1
            return self._fallbacks[cause]

    def add_texts(self, texts: Iterable[str]) -> None:
        """Count captions, and those that are equal, up to case, to one that was counted before."""
        with self._lock:
            for text in texts:
                mark = hash(text.lower())
                self._counts["captions"] += 1
                self._counts["repeats"] += mark in self._texts
                if len(self._texts) < MAX_REMEMBERED:
                    self._texts.add(mark)

    def copy(self) -> Ledger:
        """The counts as they stand now."""
        return Ledger() + self

    def since(self, before: Ledger) -> Ledger:
        """What was counted after ``before``, an earlier copy."""
        later = self.copy()
        later._counts.subtract(before._counts)
        later._fallbacks.subtract(before._fallbacks)
        return later

    def __add__(self, other: Ledger) -> Ledger:
        both = Ledger()
        for ledger in (self, other):
            with ledger._lock:
                both._counts.update(ledger._counts)
                both._fallbacks.update(ledger._fallbacks)
        return both

    def __getstate__(self) -> dict[str, Any]:
        copy = self.copy()  # A lock cannot go to another process.
        return {"_counts": copy._counts, "_fallbacks": copy._fallbacks}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.__dict__.update(state)

    def __getitem__(self, kind: Kind) -> int:
        with self._lock:
            return self._counts[kind]

    @property
    def fallbacks(self) -> dict[str, int]:
        """How many calls another captioner had to answer, by cause."""
        with self._lock:
            return {cause: count for cause, count in sorted(self._fallbacks.items()) if count}

    def cost(self, prices: Prices) -> float:
        """Price of the tokens so far."""
        millions = 1e-6 * self["prompt_tokens"], 1e-6 * self["completion_tokens"]
        return millions[0] * prices.price_prompt + millions[1] * prices.price_completion

    def text(self, prices: Prices = Prices(), what: str = "captions") -> str:
        """A few lines for people; empty when there is nothing to tell: no model, no cache, no fallback.

        The cost stands there when a price is given.
        """
        count = self
        if not (count["turns"] or count["hits"] or self.fallbacks):
            return ""
        tokens = f"{count['prompt_tokens']:,} prompt and {count['completion_tokens']:,} answer tokens"
        cost = f", cost {self.cost(prices):.4g}" if prices.price_prompt or prices.price_completion else ""
        causes = ", ".join(f"{cause} {number:,}" for cause, number in self.fallbacks.items())
        return "\n".join(
            [
                f"{what}: {count['turns']:,} turns with the model, {count['hits']:,} replies from the cache",
                f"  {tokens}{cost}",
                f"  {count['retries']:,} retries, {count['repairs']:,} repairs, {count['cut']:,} cut",
                f"  {sum(self.fallbacks.values()):,} fallbacks" + (f" ({causes})" if causes else ""),
            ]
        )

    def shares(self) -> str:
        """A line for people that says who wrote the captions and how many repeat others; empty where there are none."""
        count = self
        if not count["captions"] or not (count["turns"] or count["hits"] or self.fallbacks):
            return ""
        parts = {
            "by the model at once": count["at_once"],
            "asked for again": count["repaired"],
            "by another captioner instead": count["by_fallback"],
        }
        parts["from the cache"] = max(count["captions"] - sum(parts.values()), 0)
        said = ", ".join(f"{number / count['captions']:.1%} {who}" for who, number in parts.items())
        return f"  {count['captions']:,} captions: {said}; {count['repeats']:,} repeat one before"

    def warning(self) -> str:
        """A line where the model left too many captions to another; empty where it did not."""
        share = self["by_fallback"] / max(self["captions"], 1)
        if share <= WARN_FALLBACK_SHARE:
            return ""
        causes = ", ".join(self.fallbacks)
        return (
            f"{share:.1%} of the captions were not written by the model that was asked ({causes}); above "
            f"{WARN_FALLBACK_SHARE:.0%} say so where the results are shown, or take a model that follows its prompts"
        )


def ledger_of(captioner: Any) -> Ledger:
    """The ledger of a captioner, which those that wrap it share; a new one where it keeps none."""
    ledger = getattr(captioner, "ledger", None)
    return ledger if isinstance(ledger, Ledger) else Ledger()
