"""Figures of drawn panoramas from what metrics say: values with intervals, the same of real panoramas, and curves.

Every metric is fed as in training (`lit_outpaint.heldout.feed`), panorama by panorama. What is a sum over a sum is kept
for each panorama too, which gives intervals and lets two runs be compared pair by pair. A metric that does not score
real panoramas itself is fed with them a second time, in the place of the drawn ones.
"""

import math
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from eval.figures import SLOPE_TITLE, Figure
from eval.functional.bootstrap import Estimate, ratio_estimate
from eval.metrics.base import Described, Ratio, RatioMetric
from eval.score_names import Scores, Side, parse
from lit_outpaint.heldout.feed import Compared, PanoramaBatch, computed, named_by_geometry
from lit_outpaint.heldout.walks import Geometry
from lit_outpaint.protocols import ImageMetric


class PanoramaScores(NamedTuple):
    """What `score_panoramas` gives."""

    figures: list[Figure]
    ratios: list[dict[str, Ratio]]
    """Of each panorama, by the key of the figure."""


def score_panoramas(
    rows: Iterable[Compared], metrics: Sequence[ImageMetric], geometry: Geometry, num_steps: int
) -> PanoramaScores:
    """Feed panoramas to metrics and put together what they say.

    Args:
        rows: drawn panoramas with the real ones beside them.
        metrics: fresh ones; the first of a family gets the short key.
        geometry: direction, window and stride.
        num_steps: how many steps the panoramas grew by.
    """
    tables = [_MetricTable(metric, geometry) for metric in metrics]
    num_panoramas = 0
    for row in rows:
        num_panoramas += 1
        batch = PanoramaBatch([row], geometry, num_steps)
        for table in tables:
            table.feed(batch)
    figures: list[Figure] = []
    ratios: list[dict[str, Ratio]] = [{} for _ in range(num_panoramas)]
    for table in tables:
        figures += table.figures({figure.key for figure in figures})
        for kept, more in zip(ratios, table.by_panorama(), strict=False):
            kept |= more
    return PanoramaScores(figures, ratios)


class _MetricTable:
    """One metric, what it was fed with, and its figures."""

    def __init__(self, metric: Any, geometry: Geometry) -> None:
        self._metric, self._geometry = metric, geometry
        self._ceiling = None if getattr(metric, "side_by_side", False) else deepcopy(metric)
        self._alone = deepcopy(metric) if isinstance(metric, RatioMetric) else None
        self._ratios: list[dict[str, Ratio]] = []
        self._keys: dict[str, str] = {}
        self._num_panoramas = 0

    def feed(self, batch: PanoramaBatch) -> None:
        """Show the metric one panorama."""
        self._num_panoramas += 1
        if self._alone is None:
            batch.feed(self._metric)
        else:
            # Looked at once and then added to the rest, so that nothing is computed twice.
            self._alone.reset()
            batch.feed(self._alone)
            self._ratios.append(dict(self._alone.ratios()))
            self._metric.merge_state(self._alone)
        if self._ceiling is not None:
            batch.feed(self._ceiling, real_alone=True)

    def figures(self, taken: set[str]) -> list[Figure]:
        """All of them, under keys that are not taken."""
        values, missing = computed(self._metric)
        scores = Scores(values, {} if self._ceiling is None else computed(self._ceiling).values)
        figures = []
        for base, name in scores.names.items():
            short = ".".join(base.split(".")[: getattr(self._metric, "key_parts", 1)])
            made = self._of_base(scores, base, name, short)
            if taken & {figure.key for figure in made}:
                short, made = base, self._of_base(scores, base, name, base)
            self._keys[base] = short
            figures += made
        absent = self._metric.absent() if values and hasattr(self._metric, "absent") else {}
        for text, reason in (missing | absent).items():
            told = self._described(text) if text in absent else self._plainly(text)
            base, side = parse(text)[:2]
            if side:
                continue
            key = base.split(".")[0]
            figures.append(_figure(base if key in taken else key, told, None, reason=reason))
        return figures

    def by_panorama(self) -> list[dict[str, Ratio]]:
        """The ratios of each panorama by the key of their figure; those of real panoramas are left out."""
        rows = []
        for ratios in self._ratios:
            names = {text: parse(text) for text in ratios}
            ends = {"beyond_real": ".beyond_real", "": ""}
            rows.append(
                {
                    self._keys[name.base] + (ends[name.side] or (f".{name.slope}" if name.slope else "")): ratios[text]
                    for text, name in names.items()
                    if name.side in ends and name.base in self._keys
                }
            )
        return rows

    def _of_base(self, scores: Scores, base: str, name: str, key: str) -> list[Figure]:
        """The figures of one number: its value, its slope over steps, its slope beyond that of real panoramas."""
        told = self._described(name)
        drawn, real = (scores.points(base, side) for side in ("", "real"))
        curve: dict[str, Any] = {
            "curve_steps": tuple(sorted(drawn)),
            "curve": tuple(drawn[step] for step in sorted(drawn)),
            "real_curve": tuple(real.get(step) for step in sorted(drawn)) if real else (),
        }
        figures = []
        if scores.value(base, "") is not None:
            values = (self._value(scores, base, side) for side in ("", "real"))
            figures.append(_figure(key, told, *values, **curve))
        slope, real_slope, beyond = (self._slope(scores, base, side) for side in ("", "real", "beyond_real"))
        if slope is not None:
            plain = told._replace(title=f"{told.title}{SLOPE_TITLE}", target=None)
            figures.append(_figure(f"{key}.slope", plain, slope, real_slope, **({} if figures else curve)))
        if beyond is not None:
            plain = told._replace(title=f"{told.title}, slope beyond that of the real panorama", target=None)
            figures.append(_figure(f"{key}.beyond_real", plain, beyond, None))
        if not figures:
            last = max(drawn)
            ends = (self._point(points.get(last), name) for points in (drawn, real))
            plain = told._replace(title=f"{told.title}, step {last}")
            figures.append(_figure(f"{key}.step{last}", plain, *ends, **curve))
        return figures

    def _value(self, scores: Scores, base: str, side: Side) -> Estimate | None:
        found = scores.value(base, side)
        if found is None:
            return None
        sums = [ratio for row in self._ratios for text, ratio in row.items() if parse(text)[:2] == (base, side)]
        if not sums:
            return Estimate(found.value, math.nan, math.nan, self._num_panoramas, found.num)
        estimate = ratio_estimate(*(np.array([ratio[index] for ratio in sums]) for index in (0, 1)))
        return estimate._replace(num_items=found.num or estimate.num_items)

    def _slope(self, scores: Scores, base: str, side: Side) -> Estimate | None:
        value, *bounds = (scores.value(base, side, end) for end in ("slope", "slope_low", "slope_high"))
        if value is None:
            return None
        low, high = (math.nan if bound is None else bound.value for bound in bounds)
        return Estimate(value.value, low, high, self._num_panoramas, value.num)

    def _point(self, value: float | None, name: str) -> Estimate | None:
        return None if value is None else Estimate(value, math.nan, math.nan, self._num_panoramas, parse(name).num)

    def _described(self, name: str) -> Described:
        if not hasattr(self._metric, "describe"):
            return self._plainly(named_by_geometry(name, self._metric.view, self._geometry))
        told: Described = self._metric.describe(name)
        if told.title != name:
            return told
        return told._replace(title=named_by_geometry(name, self._metric.view, self._geometry))

    def _plainly(self, title: str) -> Described:
        return Described(title, "plain", getattr(self._metric, "definition", ""), None)


def _figure(key: str, told: Described, estimate: Estimate | None, real: Estimate | None = None, **more: Any) -> Figure:
    return Figure(
        key=key,
        title=told.title,
        definition=told.definition,
        unit=told.unit,
        estimate=estimate,
        real=real,
        target=told.target,
        **more,
    )
