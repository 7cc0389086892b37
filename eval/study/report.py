"""``python -m eval study-report``: what the answers of a study say."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.files import check_out, write_text
from eval.functional.agreement import fleiss_kappa, krippendorff_alpha
from eval.functional.bootstrap import Estimate
from eval.functional.preference import binomial_interval, preference
from eval.report.tables import Section, tables_html, tables_markdown
from eval.study.results import Key, Rater, read_key, read_raters

REPORT_VERSION = 1
_CATEGORIES = (1.0, 0.0, 0.5)


@dataclass(frozen=True, kw_only=True)
class StudyReportConfig:
    """Which answers are read, and how."""

    results: list[Path] = field(metadata={"many": "results", "help": "The files that raters sent."})
    key: Path
    """key.json of the study."""
    out: Path
    """Directory for preferences.json, preferences.md and preferences.html."""
    ties: Literal["half", "drop"] = "half"
    """A tie counts half for each method, or not at all. With one rater ties are always left out."""
    min_checks: float = 0.75
    """Raters with a smaller share of right attention checks are left out."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_checks <= 1:
            raise ValueError(f"--min_checks must lie in [0, 1], got {self.min_checks}")


class Pair(NamedTuple):
    """What was said of two methods."""

    methods: tuple[str, str]
    wins: int
    ties: int
    losses: int
    estimate: Estimate | None
    """The share that prefers the first; None without answers that count."""
    exact: bool
    """Whether the interval is the exact binomial one, of a single rater."""
    kappa: float | None
    alpha: float | None


def study_report(config: StudyReportConfig, yaml: str = "") -> list[Pair]:
    """Read the answers and write the three files.

    Args:
        config: what to do.
        yaml: not used; verbs share a signature.

    Raises:
        ValueError: a file does not fit the key, or no rater passed the attention checks.
    """
    key = read_key(config.key)
    everyone = read_raters(config.results, key)
    raters = [rater for rater in everyone if rater.passed(config.min_checks)]
    if not raters:
        raise ValueError(
            f"at least one rater must pass the attention checks, but all {len(everyone)} failed; see --min_checks"
        )
    check_out(config.out)
    pairs = [pair_of(key, raters, (one, other), config.ties) for one, other in combinations(range(len(key.methods)), 2)]
    facts = _facts(config, key, everyone, raters)
    sections = _sections(config, pairs, facts)
    title = "Human study: " + ", ".join(key.methods)
    write_text(config.out / "preferences.json", json.dumps(_as_json(key, pairs, facts), indent=2) + "\n")
    write_text(config.out / "preferences.md", tables_markdown(title, key.question, sections))
    write_text(config.out / "preferences.html", tables_html(title, key.question, sections))
    print(tables_markdown(title, key.question, sections))
    return pairs


def pair_of(key: Key, raters: Sequence[Rater], methods: tuple[int, int], ties: Literal["half", "drop"]) -> Pair:
    """What raters said of two methods, given as indices."""
    names = [trial.name for trial in key.trials.values() if trial.methods == methods]
    scores = np.full((len(raters), len(names)), np.nan)
    for row, rater in zip(scores, raters, strict=True):
        for answer in rater.answers:
            if answer.trial.methods == methods:
                row[names.index(answer.trial.name)] = answer.score
    wins, ties_seen, losses = (int((scores == value).sum()) for value in (1.0, 0.5, 0.0))
    single = len(raters) == 1
    counted = np.where(scores == 0.5, np.nan, scores) if single or ties == "drop" else scores
    estimate = preference(counted)
    if single and estimate is not None:
        low, high = binomial_interval(wins, wins + losses)
        estimate = estimate._replace(low=low, high=high)
    kappa, alpha = _agreement(scores)
    labels = (key.methods[methods[0]], key.methods[methods[1]])
    return Pair(labels, wins, ties_seen, losses, estimate, single, kappa, alpha)


def _agreement(scores: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Kappa over the items that every rater answered, alpha over all that two or more did."""
    counts = np.stack([(scores == category).sum(axis=0) for category in _CATEGORIES], axis=1)
    full = counts[counts.sum(axis=1) == len(scores)]
    kappa = fleiss_kappa(full) if len(scores) > 1 and len(full) else None
    return kappa, krippendorff_alpha(counts)


def _facts(config: StudyReportConfig, key: Key, everyone: Sequence[Rater], raters: Sequence[Rater]) -> dict[str, Any]:
    answers = [answer for rater in raters for answer in rater.answers if not answer.trial.is_check]
    placed = [answer.chose_place == "first" for answer in answers if answer.chose_place != "tie"]
    return {
        "study": key.study,
        "raters": len(everyone),
        "raters_left_out": [rater.number for rater in everyone if rater not in raters],
        "raters_incomplete": [rater.number for rater in raters if len(rater.answers) < len(key.trials)],
        "min_checks": config.min_checks,
        "ties": config.ties,
        "answers": len(answers),
        "share_of_first_place": float(np.mean(placed)) if placed else None,
        "median_seconds_per_pair": float(np.median([answer.ms for answer in answers])) / 1000 if answers else None,
    }


def _sections(config: StudyReportConfig, pairs: Sequence[Pair], facts: dict[str, Any]) -> list[Section]:
    exact = any(pair.exact for pair in pairs)
    tie_rule = "are left out" if exact or config.ties == "drop" else "count half for each method"
    how = (
        "With one rater the interval is the exact binomial one (Clopper-Pearson) over items."
        if exact
        else "Intervals: bootstrap that redraws raters and items, each with replacement."
    )
    rows = [
        (
            pair.methods[0],
            pair.methods[1],
            "no answers" if pair.estimate is None else f"{100 * pair.estimate.value:.1f} %",
            "-" if pair.estimate is None else f"{100 * pair.estimate.low:.1f} .. {100 * pair.estimate.high:.1f}",
            f"{pair.wins} / {pair.ties} / {pair.losses}",
        )
        for pair in pairs
    ]
    agreement = [(*pair.methods, _told(pair.kappa), _told(pair.alpha)) for pair in pairs]
    return [
        Section(
            "Preferences",
            (f"The share of answers that prefer the first method, with a 95 % interval. Ties {tie_rule}. {how}",),
            ("first", "second", "first preferred", "95 % interval", "wins / ties / losses"),
            rows,
        ),
        Section(
            "Agreement of raters",
            (
                "For the answers first, second and tie, without an order. Fleiss' kappa over the items that every "
                "rater answered, Krippendorff's alpha over all; 1 is full agreement, 0 chance. A dash: it needs two "
                "raters and answers that are not all alike.",
            ),
            ("first", "second", "Fleiss' kappa", "Krippendorff's alpha"),
            agreement,
        ),
        Section(
            "Answers",
            (
                "Raters are left out when they get fewer attention checks right than min_checks; answers of raters who "
                "did not finish count. The share of first places (left, or upper) among answers without ties is near "
                "one half when places do not sway raters.",
            ),
            ("what", "value"),
            [(name.replace("_", " "), _value(value)) for name, value in facts.items()],
        ),
    ]


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)}" + (f" (numbers {', '.join(map(str, value))})" if value else "")
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _as_json(key: Key, pairs: Sequence[Pair], facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": REPORT_VERSION,
        "question": key.question,
        **facts,
        "pairs": [
            {
                "methods": list(pair.methods),
                "wins": pair.wins,
                "ties": pair.ties,
                "losses": pair.losses,
                "preference": None if pair.estimate is None else pair.estimate.value,
                "interval_95": None if pair.estimate is None else [pair.estimate.low, pair.estimate.high],
                "interval": "exact binomial" if pair.exact else "bootstrap over raters and items",
                "fleiss_kappa": pair.kappa,
                "krippendorff_alpha": pair.alpha,
            }
            for pair in pairs
        ],
    }
