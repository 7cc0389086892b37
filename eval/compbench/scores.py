"""Figures of a bench from the scores of statements: by category, by skill, and over all prompts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from eval.compbench.items import Item, Scored
from eval.figures import Figure, Target
from eval.functional.atoms import arithmetic_mean, geometric_mean
from eval.functional.bootstrap import Estimate, ratio_estimate

JUDGE_TARGET: Final = Target(">=", 0.98)
"""What the judge must reach on the atoms of true pictures before its word on others counts."""

_ALL: Final = "all"

_ATOMS: Final = "Statements (atoms) that hold, over all statements of the prompts; a long prompt weighs more."
_SKILL: Final = "Statements (atoms) of one kind that hold, over all statements of that kind."
_AM: Final = "Mean over prompts of the share of their statements that hold (GenEval 2's arithmetic mean)."
_GM: Final = (
    "Mean over prompts of the geometric mean of their statements (GenEval 2's): with answers of yes and no, the "
    "prompts of which every statement holds."
)
_PRODUCT: Final = "Mean over prompts of the product of their probabilities, as T2I-CompBench scores noun phrases."
_PAIRS: Final = (
    "Pairs of prompts that no one picture satisfies both, of which all statements of both hold: guessing what the "
    "world shows most often gets none."
)

Ratio = tuple[float, float]
"""What was counted, and of how much."""


class _Row(NamedTuple):
    title: str
    definition: str


def ratios(rows: Sequence[Scored]) -> list[dict[str, Ratio]]:
    """What each prompt adds to every figure, by the key of the figure; that of a pair stands at its first prompt.

    Of several pictures of a prompt a figure takes the mean, so that every prompt weighs the same: pictures of one
    prompt are no independent samples of prompts. A pair's pictures are taken together in their order.
    """
    firsts: dict[str, int] = {}
    kept: list[dict[str, Ratio]] = []
    for index, row in enumerate(rows):
        mine: dict[str, Ratio] = {}
        if row.scores:
            mine |= _of_prompt(row.item, np.array(row.scores))
            if row.item.pair in firsts:
                first = firsts[row.item.pair]
                together = zip(rows[first].scores, row.scores, strict=True)
                both = np.mean([geometric_mean(np.array([*one, *other])) for one, other in together])
                kept[first][f"{row.item.category}.pairs"] = (float(both), 1.0)
            elif row.item.pair is not None:
                firsts[row.item.pair] = index
        if row.clip_sim is not None:
            mine["clip_sim"] = (row.clip_sim, 1.0)
        kept.append(mine)
    return kept


def _of_prompt(item: Item, scores: Float[NDArray[np.float64], "pictures statements"]) -> dict[str, Ratio]:
    hold = scores.mean(axis=0)
    mine: dict[str, Ratio] = {}
    for group in (item.category, _ALL):
        mine[f"{group}.atoms"] = (float(hold.sum()), float(len(hold)))
        mine[f"{group}.am"] = (arithmetic_mean(hold), 1.0)
        mine[f"{group}.gm"] = (float(np.mean([geometric_mean(picture) for picture in scores])), 1.0)
        if item.questions:
            mine[f"{group}.product"] = (float(scores.prod(axis=1).mean()), 1.0)
    for skill in dict.fromkeys(item.skills):
        own = hold[[each == skill for each in item.skills]]
        for group in (item.category, _ALL):
            mine[f"{group}.{skill}"] = (float(own.sum()), float(len(own)))
    return mine


def figures(
    kept: Sequence[Mapping[str, Ratio]], real: Sequence[Mapping[str, Ratio]], clip: str | None, judge: str
) -> list[Figure]:
    """Every figure with its interval, and the same on true pictures beside it.

    Args:
        kept: of the prompts, see `ratios`.
        real: of the same prompts with their true pictures; empty where there are none.
        clip: name of the evaluation CLIP.
        judge: who answers, for the definitions.
    """
    found = [
        Figure(
            key=key,
            title=_row(key, clip, len(kept)).title,
            definition=_row(key, clip, len(kept)).definition + ("" if key == "clip_sim" else f" Judge: {judge}."),
            unit="plain" if key == "clip_sim" else "percent",
            estimate=_estimate(kept, key),
            real=_estimate(real, key) if real else None,
        )
        for key in _in_order(kept)
    ]
    if real and any(f"{_ALL}.atoms" in row for row in real):
        found.append(
            Figure(
                key="judge.atoms",
                title="judge on true pictures: statements that hold",
                definition="Statements that the judge finds in the true pictures of the prompts: the ceiling of all "
                f"figures but CLIP-SIM. Judge: {judge}.",
                unit="percent",
                estimate=_estimate(real, f"{_ALL}.atoms"),
                target=JUDGE_TARGET,
            )
        )
    return found


def lowest_on_true(made: Iterable[Figure]) -> Figure | None:
    """The category that the judge reads worst on true pictures."""
    read = [figure for figure in made if figure.key.endswith(".atoms") and figure.real is not None]
    return min(read, key=lambda figure: figure.real.value if figure.real else 1.0, default=None)


def _estimate(kept: Sequence[Mapping[str, Ratio]], key: str) -> Estimate | None:
    table = np.array([row.get(key, (0.0, 0.0)) for row in kept], dtype=np.float64)
    return ratio_estimate(table[:, 0], table[:, 1]) if table[:, 1].any() else None


def _in_order(kept: Sequence[Mapping[str, Ratio]]) -> list[str]:
    """Categories in the order of the prompts, each with its figures in one order; what is over all prompts last."""
    keys = dict.fromkeys(key for row in kept for key in row)
    groups = [*dict.fromkeys(key.partition(".")[0] for key in keys if "." in key)]
    groups = [*(group for group in groups if group != _ALL), *([_ALL] if _ALL in groups else [])]
    fixed = ("atoms", "am", "gm", "product", "pairs")
    ordered = []
    for group in groups:
        own = [key.partition(".")[2] for key in keys if key.startswith(f"{group}.")]
        skills = [name for name in own if name not in fixed]
        # One skill alone says what all statements say.
        shown = skills if len(skills) > 1 else []
        ordered += [f"{group}.{name}" for name in (*(name for name in fixed if name in own), *shown)]
    return ordered + (["clip_sim"] if "clip_sim" in keys else [])


def _row(key: str, clip: str | None, count: int) -> _Row:
    if key == "clip_sim":
        return _Row(
            f"clip_sim.chunked.{clip}.n{count}",
            f"Mean cosine, not scaled and not clipped, of picture and prompt by the evaluation CLIP {clip}; prompts "
            "beyond its context are read in chunks whose features are averaged.",
        )
    group, _, name = key.partition(".")
    titles = {
        "atoms": _Row("statements that hold", _ATOMS),
        "am": _Row("arithmetic mean of a prompt", _AM),
        "gm": _Row("geometric mean of a prompt", _GM),
        "product": _Row("product of a prompt", _PRODUCT),
        "pairs": _Row("both of a pair", _PAIRS),
    }
    row = titles.get(name) or _Row(f"statements of {name.replace('_', ' ')}", _SKILL)
    return _Row(f"{'all prompts' if group == _ALL else group}: {row.title}", row.definition)
