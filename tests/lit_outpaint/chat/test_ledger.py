import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.chat.ledger import Ledger, Prices, ledger_of
from lit_outpaint.testing.models import ScriptedCaptioner


def test_counts_of_many_threads_add_up() -> None:
    ledger = Ledger()
    with ThreadPoolExecutor(16) as pool:
        for _ in range(2000):
            pool.submit(ledger.add, turns=1, prompt_tokens=3)
            pool.submit(ledger.add_fallback, "timeout")
    assert (ledger["turns"], ledger["prompt_tokens"], ledger.fallbacks) == (2000, 6000, {"timeout": 2000})


def test_the_cost_is_that_of_the_tokens() -> None:
    ledger = Ledger()
    ledger.add(turns=2, prompt_tokens=3_000_000, completion_tokens=500_000)
    prices = Prices(price_prompt=0.5, price_completion=2.0)
    assert ledger.cost(prices) == pytest.approx(2.5)
    assert "3,000,000 prompt and 500,000 answer tokens, cost 2.5" in ledger.text(prices)
    assert "cost" not in ledger.text()
    with pytest.raises(ValueError, match="price_prompt must not be negative, got -1"):
        Prices(price_prompt=-1.0)


def test_parts_sum_up_to_the_whole() -> None:
    ledger = Ledger()
    ledger.add(hits=1)
    before = ledger.copy()
    ledger.add(hits=2, cut=1)
    ledger.add_fallback("server")
    part = ledger.since(before)
    assert (part["hits"], part["cut"], part.fallbacks) == (2, 1, {"server": 1})
    whole = before + pickle.loads(pickle.dumps(part))
    assert (whole["hits"], whole["cut"], whole.fallbacks) == (ledger["hits"], ledger["cut"], ledger.fallbacks)


def test_captioners_that_wrap_share_the_ledger_of_the_one_inside() -> None:
    inside = WithFallback(ScriptedCaptioner(["a lake"]))
    assert ledger_of(WithFallback(inside)) is inside.ledger
    assert Ledger().text() == ""


def test_a_run_ends_with_who_wrote_and_what_repeats_and_is_warned_of_too_many_fallbacks() -> None:
    ledger = Ledger()
    assert (ledger.shares(), ledger.warning()) == ("", "")
    ledger.add(turns=9, at_once=15, repaired=2, by_fallback=2)
    ledger.add_texts([f"a tree {i}" for i in range(18)])
    ledger.add_texts(["A tree 0", "a tree 1"])
    assert ledger.shares() == (
        "  20 captions: 75.0% by the model at once, 10.0% asked for again, 10.0% by another captioner instead, "
        "5.0% from the cache; 2 repeat one before"
    )
    assert ledger.warning() == ""
    ledger.add(by_fallback=1)
    ledger.add_fallback("invalid_answer")
    assert "15.0% of the captions were not written by the model that was asked (invalid_answer)" in ledger.warning()
