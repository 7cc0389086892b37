"""Faithfulness by probe: whether windows show what the ground truth of their panorama says."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from eval.extractors import to_levels
from eval.judge import Judge, load_judge, strip_of
from eval.metrics.base import SIDES, Described, Ratio, RatioMetric, metric_name
from eval.questions import QUESTIONS
from eval.readings import JudgeConfig
from lit_outpaint.heldout.evalset import EvalPanorama, evalset_dir, read_panoramas
from lit_outpaint.protocols import NotComputable, SampleId

_KEYS = [question.key for question in QUESTIONS]
_PROBE = "scapes-probe"


class Faithfulness(RatioMetric):
    """What the probe reads in windows, held to the facts of held-out panoramas; generated and real side by side.

    The only judge with ground truth. Each question (see ``eval.questions``) gives its share over all steps, or of the
    last step alone, and one for every step.

    Args:
        data: the shard set whose evaluation set holds the panoramas and their facts.
        models: a model family with ``probe/``.
        judge: thresholds of the readings.

    Raises:
        ValueError: there is no evaluation set.
        FileNotFoundError: there is no probe.
    """

    side_by_side = True
    generated_hits: Tensor
    generated_asked: Tensor
    generated_windows: Tensor

    def __init__(self, data: Path, models: Path = Path("models/scapes"), judge: JudgeConfig = JudgeConfig()) -> None:
        super().__init__()
        self.judge: Judge = load_judge(models, judge)
        self._truths = {row.key: row for row in read_panoramas(evalset_dir(data))}
        self.num_steps = max(len(row.steps) for row in self._truths.values())
        table = torch.zeros(len(QUESTIONS), self.num_steps, dtype=torch.float64)
        for side in SIDES:
            self.add_state(f"{side}_hits", table.clone(), dist_reduce_fx="sum")
            self.add_state(f"{side}_asked", table.clone(), dist_reduce_fx="sum")
            self.add_state(f"{side}_windows", torch.zeros(self.num_steps, dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]
    ) -> None:
        """Take in a batch.

        Raises:
            ValueError: a sample is no step of a panorama of the evaluation set.
        """
        truths = [self._truth(sample) for sample in samples]
        for side, pictures in zip(SIDES, (generated, reference), strict=True):
            if not len(pictures):
                continue
            maps = self.judge.look(to_levels(pictures).permute(0, 2, 3, 1).cpu().numpy()).maps
            strips = [
                strip_of(item, truth.direction, truth.stride_px / truth.window_px)
                for item, truth in zip(maps, truths, strict=True)
            ]
            readings = {"window": self.judge.read(maps), "strip": self.judge.read(strips)}
            for row, (truth, sample) in enumerate(zip(truths, samples, strict=True)):
                step = sample.step - 1
                facts = {"window": truth.steps[step].facts, "strip": truth.steps[step].strip_facts}
                getattr(self, f"{side}_windows")[step] += 1
                for index, question in enumerate(QUESTIONS):
                    view = question.view
                    tally = question.ask(readings[view][row], facts[view], self.judge.config)
                    getattr(self, f"{side}_hits")[index, step] += tally.hits
                    getattr(self, f"{side}_asked")[index, step] += tally.asked

    def ratios(self) -> dict[str, Ratio]:
        """What makes up each score, by its name."""
        return {name: ratio for name, ratio in self._scores(steps=False).items() if ratio.num}

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name; a question that was never asked has no score."""
        if not int(self.generated_windows.sum()):
            raise NotComputable("faithfulness cannot be computed: there are no windows")
        return {name: ratio.total / ratio.num for name, ratio in self._scores(steps=True).items() if ratio.num}

    def absent(self) -> dict[str, str]:
        """Scores that there is nothing to compute from, with the reason."""
        scores = self._scores(steps=False).items()
        return {name: "the truth has nothing to ask for" for name, ratio in scores if not ratio.num}

    def describe(self, name: str) -> Described:
        """How a score stands in a report."""
        question = QUESTIONS[_KEYS.index(name.split(".")[0])]
        unit = "plain" if question.key.startswith("kinds_unasked") else "percent"
        definition = question.definition.format(**vars(self.judge.config))
        return Described(question.title, unit, definition, question.target)  # type: ignore[arg-type]

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        return "Shares of what the truth has that the probe reads in the windows: " + "; ".join(
            f"{question.key}: {question.title}" for question in QUESTIONS
        )

    def _truth(self, sample: SampleId) -> EvalPanorama:
        truth = self._truths.get(sample.key)
        if truth is None or not 1 <= sample.step <= len(truth.steps):
            raise ValueError(
                f"faithfulness needs windows of steps of the panoramas in its data, got {sample}; give the data that "
                "the panoramas are of"
            )
        return truth

    def _scores(self, steps: bool) -> dict[str, Ratio]:
        scores = {}
        for side, mark in zip(SIDES, ("n", "real-n"), strict=True):
            hits, asked, windows = (getattr(self, f"{side}_{what}") for what in ("hits", "asked", "windows"))
            reached = int(windows.nonzero().max()) + 1 if windows.any() else 0
            for index, question in enumerate(QUESTIONS if reached else ()):
                part = slice(reached - 1 if question.last_step_only else 0, reached)
                whole = Ratio(float(hits[index, part].sum()), float(asked[index, part].sum()))
                name = metric_name(question.key, _PROBE, f"{mark}{round(whole.num)}")
                scores[name] = whole
                for step in range(reached) if steps else ():
                    scores[metric_name(name, f"step{step + 1}")] = Ratio(
                        float(hits[index, step]), float(asked[index, step])
                    )
        return scores
