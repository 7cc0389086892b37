"""Recaption, Plan, Generate: a prompt becomes a plan of regions, and one denoising run draws them all.

Source: Yang et al. 2024, arXiv:2401.11708; ``docs/rpg.md`` says where paper and code differ, and what is chosen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from lit_outpaint.canvas.compositing import to_uint8
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.drawing.methods import Drawn
from lit_outpaint.models.attention import FullAttention
from lit_outpaint.models.conditioned import ConditionedPipeline
from lit_outpaint.models.latent_concat import LatentConcat
from lit_outpaint.models.region_conditions import RegionPrompt, rule_of
from lit_outpaint.models.regional import RegionalAttention
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.planning.files import plan_text
from lit_outpaint.planning.options import PlanOptions, planned_from_options
from lit_outpaint.planning.reading import says_where
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.protocols import Planned
from lit_outpaint.text_to_image import TextToImagePipeline


class RpgMethod:
    """Plans each prompt and draws it with its regions (`lit_outpaint.drawing.methods.PromptMethod`).

    Args:
        pipeline: draws; takes over the attention rule of the merge.
        sampling: how.
        options: where the plans come from.
        regional: how regions act.
        size: height and width in pixels; the window the model was made for when absent.
        negative_prompt: what guidance pushes away from.

    Raises:
        ValueError: the pipeline has an attention rule of its own, or the options give no plan for a picture.
    """

    def __init__(
        self,
        pipeline: TextToImagePipeline,
        sampling: Sampling,
        options: PlanOptions = PlanOptions(),
        regional: RegionalConfig = RegionalConfig(),
        size: tuple[int, int] | None = None,
        negative_prompt: str | None = None,
    ) -> None:
        self.pipeline, self.sampling, self.options, self.regional = pipeline, sampling, options, regional
        self.size, self.negative_prompt = size, negative_prompt
        if options.plan_file is not None or options.regions is not None:
            _check_unit(planned_from_options("a picture", replace(options, planner=None)))
        read_regions(pipeline, regional)

    def plan(self, prompts: Sequence[str]) -> list[Planned]:
        """A plan for each prompt, in shares of the picture.

        Raises:
            ValueError: a plan file has its boxes in pixels, or the options give no plan.
        """
        planned = [planned_from_options(prompt, self.options) for prompt in prompts]
        for each in planned:
            _check_unit(each)
        return planned

    def is_placed(self, planned: Planned) -> bool:
        """Whether things must stand in their boxes: the user drew them, or the prompt says where things stand."""
        if self.options.plan_file is not None or self.options.regions is not None:
            return True
        return says_where(planned.plan.base_prompt)

    def draw(self, prompts: Sequence[str], generators: Sequence[torch.Generator]) -> Drawn:
        """Draw one picture per prompt."""
        planned = self.plan(prompts)
        return self.draw_plans([each.plan for each in planned], generators, [notes_of(each) for each in planned])

    def draw_plans(
        self,
        plans: Sequence[RegionPlan],
        generators: Sequence[torch.Generator],
        notes: list[dict[str, Any]] | None = None,
    ) -> Drawn:
        """Draw one picture per plan."""
        negative = None if self.negative_prompt is None else [self.negative_prompt] * len(plans)
        windows = self.pipeline.draw(
            [plan.base_prompt for plan in plans],
            sampling=self.sampling,
            generator=list(generators),
            size=self.size,
            negative_prompts=negative,
            regions=[region_prompts(plan, self.regional) for plan in plans],
            end_fraction=self.regional.end_fraction,
        )
        return Drawn(to_uint8(windows), notes or [{} for _ in plans])


def _check_unit(planned: Planned) -> None:
    if planned.plan.unit != "share":
        raise ValueError("a picture takes a plan with boxes in shares, got boxes in px; use it with outpaint")


def read_regions(pipeline: ConditionedPipeline, regional: RegionalConfig) -> None:
    """Let a pipeline read regions by the merge of a configuration.

    Raises:
        ValueError: it has an attention rule of its own, which would be lost.
    """
    if pipeline.attention_rule not in (FullAttention(), RegionalAttention(), LatentConcat()):
        raise ValueError(
            f"regions replace the attention rule, but the model brings its own, {pipeline.attention_rule}; use a model"
            " without one"
        )
    pipeline.set_attention_rule(rule_of(regional))


def region_prompts(plan: RegionPlan, config: RegionalConfig) -> list[RegionPrompt]:
    """The regions of a plan in shares of its window, as a pipeline draws them."""
    return [
        RegionPrompt(
            region.box.as_tuple(),
            region.prompt,
            config.base_ratio if region.base_ratio is None else region.base_ratio,
            region.negative_prompt,
        )
        for region in plan.regions
    ]


def notes_of(planned: Planned) -> dict[str, Any]:
    """What the record of a picture says of its plan."""
    notes: dict[str, Any] = {"plan": json.loads(plan_text(planned.plan)), "planner": planned.writer}
    return notes | {name: value for name in ("instead_of", "reasoning") if (value := getattr(planned, name))}
