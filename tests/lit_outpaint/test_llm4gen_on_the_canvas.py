"""Methods in pairs, through the command line: LLM4GEN in the windows of a canvas, and in their regions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.__main__ import main
from lit_outpaint.testing.models import TOY_WINDOW_PX

LONG = "a meadow with a blue car and a red barn, " * 9
"""More than the 77 tokens that the toy text encoder reads."""
CAPTION = "a meadow with a red barn, a lake with a boat and a desert with a green cactus"


@pytest.fixture(scope="module")
def model(toy_family: Path, toy_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outpainting model that reads a language model, after one step of training."""
    directory = tmp_path_factory.mktemp("canvas")
    config = directory / "config.yaml"
    config.write_text(
        f"""
trainer: {{accelerator: cpu, enable_progress_bar: false, enable_model_summary: false, max_steps: 1}}
model:
  base: {{pretrained: {toy_family}}}
  language_online: true
  language:
    class_path: lit_outpaint.models.language.CausalLanguage
    init_args: {{path: models/scapes/lm, length: 160}}
  context:
    class_path: lit_outpaint.models.language_context.LanguageContextConfig
    init_args: {{init: plain, heads: 4, canvas: {{visual_init: plain}}}}
data: {{shards: {toy_shards}, batch_size: 4, num_workers: 0, directions: [right]}}
"""
    )
    assert main(["fit", "-c", str(config), f"--runs_dir={directory}", "--name=run"]) == 0
    assert main(["export", str(directory / "run" / "last.ckpt"), "--out", str(directory / "model")]) == 0
    return directory / "model"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "first.png"
    side = (TOY_WINDOW_PX, TOY_WINDOW_PX, 3)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, side, dtype=np.uint8)).save(path)
    return path


def _steps(model: Path, image: Path, out: Path, *more: str) -> list[dict[str, Any]]:
    given = ["--image", str(image), "--caption", CAPTION, "--model", str(model), "--out", str(out), "--device", "cpu"]
    assert main(["outpaint", *given, "--steps", "right:1,left:1", "--num_inference_steps", "1", *more]) == 0
    lines = [json.loads(line) for line in (out / "steps.jsonl").read_text().splitlines()]
    return sorted(lines, key=lambda step: step["step"])


def test_the_windows_of_a_canvas_read_what_only_the_language_model_can(
    model: Path, image: Path, tmp_path: Path
) -> None:
    """Captions that differ behind what the text encoder reads."""
    checksums = []
    for end in ("a yellow tent", "a green cactus"):
        captions = tmp_path / f"{end}.txt"
        captions.write_text(f"{LONG}{end}\n" * 2)
        steps = _steps(model, image, tmp_path / end, "--captions", str(captions))
        assert all("local" in step["truncated"] for step in steps)
        checksums.append([step["checksum"] for step in steps])
    assert all(one != other for one, other in zip(*checksums, strict=True))


@pytest.mark.parametrize("merge", ["attention_crop", "latent_concat"])
def test_regions_in_the_windows_read_it_too(model: Path, image: Path, tmp_path: Path, merge: str) -> None:
    layout = ["--layout", "auto", "--merge", merge]
    both = _steps(model, image, tmp_path / "both", *layout)
    alone = _steps(model, image, tmp_path / "alone", *layout, "--base_ratio", "1")
    assert [step["local_caption"] for step in both] == [step["local_caption"] for step in alone]
    assert all(one["checksum"] != other["checksum"] for one, other in zip(both, alone, strict=True))


def test_all_windows_together_read_it_too(model: Path, image: Path, tmp_path: Path) -> None:
    assert len(_steps(model, image, tmp_path / "joint", "--engine", "joint")) == 2
