"""The weights in the repository load where they are promised to load, and stay within their size."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors import safe_open

from data_prep.scapes.palette import LABEL_BIOMES, LABEL_COLOURS, LABEL_KINDS, LABEL_SKIES
from data_prep.scapes.score_tables import blocks, weights_hash
from lit_outpaint.models.probe import ScapesProbe
from lit_outpaint.pipeline import load_pipeline

FAMILY = Path(__file__).parents[1] / "models" / "scapes"
LIMIT_MIB = 46


def test_stock_diffusers_draws_from_a_prompt() -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(FAMILY)  # As the card says it: no type is named.
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    image = pipeline("a red barn in a meadow", num_inference_steps=2, generator=generator, output_type="np").images[0]
    assert image.shape == (128, 128, 3)
    assert np.isfinite(image).all()
    assert image.std() > 0.05


def test_the_outpainting_checkpoint_loads_on_top_of_the_family() -> None:
    pipeline = load_pipeline(FAMILY / "outpaint")
    assert pipeline.unet.config.in_channels == 9
    assert pipeline.window_px == 128


def test_the_base_unet_is_small_and_stock() -> None:
    unet = UNet2DConditionModel.from_pretrained(FAMILY, subfolder="unet")
    assert sum(p.numel() for p in unet.parameters()) <= 5_000_000


def test_all_weights_are_half_precision_safetensors_within_the_limit() -> None:
    weights = sorted(FAMILY.rglob("*.safetensors"))
    assert sum(path.stat().st_size for path in weights) <= LIMIT_MIB * 2**20
    for path in weights:
        with safe_open(path, framework="pt") as file:
            dtypes = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118 (no mapping)
        assert dtypes <= {torch.float16, torch.int64}, path
    assert not [path for path in FAMILY.rglob("*") if path.suffix in (".bin", ".pt", ".ckpt", ".pkl")]


def test_scores_that_are_told_are_those_of_the_weights_that_ship() -> None:
    root = FAMILY.parents[1]
    documents = {"docs/figures.md": 7, "docs/evaluation.md": 2, "models/scapes/README.md": 1}
    documents |= {"docs/rpg.md": 3} | {f"docs/{name}.md": 1 for name in ("compbench", "family", "llm4gen")}
    told = {name: blocks((root / name).read_text()) for name in documents}
    assert {name: len(found) for name, found in told.items()} == documents
    for path, found in told.items():
        stale = [name for name, stamp in found if stamp != weights_hash(FAMILY, name)]
        assert not stale, f"{path} tells scores of other weights in {stale}; docs/family.md says what to run"


@pytest.mark.parametrize("probe", ["probe", "steering_probe"])
def test_the_probes_name_the_classes_of_the_world(probe: str) -> None:
    config = ScapesProbe.from_pretrained(FAMILY / probe).config
    named = [list(config[key]) for key in ("kinds", "colours", "biomes", "skies")]
    assert named == [list(names) for names in (LABEL_KINDS, LABEL_COLOURS, LABEL_BIOMES, LABEL_SKIES)]


def test_the_probe_that_steers_is_not_the_one_that_scores() -> None:
    scoring, steering = (ScapesProbe.from_pretrained(FAMILY / name).config for name in ("probe", "steering_probe"))
    notes = json.loads((FAMILY / "training.json").read_text())
    assert list(scoring["widths"]) != list(steering["widths"])
    assert notes["probe"]["seed"] != notes["steering_probe"]["seed"]


@pytest.mark.parametrize("part", ["vae", "clip", "eval_clip", "probe", "steering_probe", "base", "outpaint"])
def test_the_record_says_how_each_part_was_trained(part: str) -> None:
    note = json.loads((FAMILY / "training.json").read_text())[part]
    assert note["steps"] > 0
    assert {"seed", "minutes", "windows", "machine", "parameters"} <= note.keys()
