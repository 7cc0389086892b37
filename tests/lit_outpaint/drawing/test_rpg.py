"""Pictures of plans: the identities of RPG through the whole pipeline, at toy size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy import ndarray

from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.drawing.methods import BaseMethod, PromptMethod
from lit_outpaint.drawing.rpg import RpgMethod
from lit_outpaint.models.regional_config import Merge, RegionalConfig
from lit_outpaint.planning.options import PlanOptions
from lit_outpaint.planning.placement import BOUND, FREE
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.testing.models import build_toy_family
from lit_outpaint.text_to_image import TextToImagePipeline, load_text_to_image

PROMPT = "a red barn to the left of a blue tent"
SAMPLING = Sampling(num_inference_steps=3)
MERGES: list[Merge] = ["attention_crop", "latent_concat"]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_toy_family(tmp_path_factory.mktemp("family"))


@pytest.fixture
def pipeline(family: Path) -> TextToImagePipeline:
    return load_text_to_image(family)


def noise(count: int = 1) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in range(count)]


def base(family: Path, prompts: Sequence[str], size: tuple[int, int] | None = None) -> ndarray:
    method = BaseMethod(load_text_to_image(family), SAMPLING, size)
    return method.draw(prompts, noise(len(prompts))).pixels


def off(one: ndarray, other: ndarray) -> int:
    """Largest difference in levels of 0..255; rounding may turn a level."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("size", [None, (64, 104)])
def test_a_base_ratio_of_1_draws_what_the_base_draws(
    family: Path, pipeline: TextToImagePipeline, merge: Merge, size: tuple[int, int] | None
) -> None:
    method = RpgMethod(pipeline, SAMPLING, regional=RegionalConfig(merge=merge, base_ratio=1.0), size=size)
    assert isinstance(method, PromptMethod)
    assert off(method.draw([PROMPT], noise()).pixels, base(family, [PROMPT], size)) <= 1


@pytest.mark.parametrize("merge", MERGES)
def test_one_full_region_without_base_draws_its_prompt(
    family: Path, pipeline: TextToImagePipeline, merge: Merge
) -> None:
    options = PlanOptions(regions="1", regional_prompt=["a lake with a boat"])
    method = RpgMethod(pipeline, SAMPLING, options, RegionalConfig(merge=merge, base_ratio=0.0))
    assert off(method.draw([PROMPT], noise()).pixels, base(family, ["a lake with a boat"])) <= 1


@pytest.mark.parametrize("merge", MERGES)
def test_regions_that_end_at_once_draw_what_the_base_draws(
    family: Path, pipeline: TextToImagePipeline, merge: Merge
) -> None:
    regional = RegionalConfig(merge=merge, base_ratio=0.0, end_fraction=0.0)
    drawn = RpgMethod(pipeline, SAMPLING, regional=regional).draw([PROMPT], noise()).pixels
    plain = base(family, [PROMPT])
    assert off(drawn, plain) <= 1
    for end_fraction in (0.5, 1.0):
        regional = RegionalConfig(merge=merge, base_ratio=0.0, end_fraction=end_fraction)
        changed = RpgMethod(pipeline, SAMPLING, regional=regional).draw([PROMPT], noise()).pixels
        assert off(changed, plain) > 1


@pytest.mark.parametrize("merge", MERGES)
def test_a_picture_does_not_depend_on_its_batch(family: Path, pipeline: TextToImagePipeline, merge: Merge) -> None:
    """Pictures with other numbers of regions beside it, and one with none."""
    method = RpgMethod(pipeline, SAMPLING, regional=RegionalConfig(merge=merge))
    prompts = [PROMPT, "a red flag, a tent and a barn", "a meadow"]
    together = method.draw(prompts, noise(3)).pixels
    alone = method.draw([PROMPT], noise()).pixels
    assert off(together[:1], alone) <= 1


def test_a_negative_prompt_of_a_region_acts_there(pipeline: TextToImagePipeline) -> None:
    method = RpgMethod(pipeline, SAMPLING, regional=RegionalConfig(base_ratio=0.0))
    plain = RegionPlan.from_grid(PROMPT, "1,1", ["a red barn", "a blue tent"])
    refusing = RegionPlan.from_grid(PROMPT, "1,1", ["a red barn", "a blue tent"], negative_prompt="a cactus")
    without, with_one = (method.draw_plans([plan], noise()).pixels for plan in (plain, refusing))
    assert off(without, with_one) > 1


def test_the_negative_prompt_of_the_run_in_all_regions_is_that_of_the_run(
    family: Path, pipeline: TextToImagePipeline
) -> None:
    options = PlanOptions(regions="1", regional_prompt=[PROMPT])
    regional = RegionalConfig(base_ratio=0.0)
    run = RpgMethod(pipeline, SAMPLING, options, regional, negative_prompt="a cactus").draw([PROMPT], noise()).pixels
    plan = RegionPlan.from_grid(PROMPT, "1", [PROMPT], negative_prompt="a cactus")
    region = RpgMethod(pipeline, SAMPLING, regional=regional).draw_plans([plan], noise()).pixels
    assert off(run, region) <= 1


def test_the_record_tells_the_plan(pipeline: TextToImagePipeline) -> None:
    (notes,) = RpgMethod(pipeline, SAMPLING).draw([PROMPT], noise()).notes
    assert notes["planner"] == "rules"
    assert [region["prompt"] for region in notes["plan"]["regions"]] == ["a red barn", "a blue tent"]


def test_things_are_placed_where_the_prompt_or_the_user_says_so(pipeline: TextToImagePipeline) -> None:
    method = RpgMethod(pipeline, SAMPLING)
    said, unsaid = (method.placements(planned.plan) for planned in method.plan([PROMPT, "a red barn and a blue tent"]))
    assert set(said.values()) == {frozenset({"across"})}
    assert set(unsaid.values()) == {FREE}
    own = RpgMethod(pipeline, SAMPLING, PlanOptions(regions="1", regional_prompt=["a barn"]))
    assert own.placements(own.plan(["a barn"])[0].plan) == {"barn": BOUND}
