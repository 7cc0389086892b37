"""A conditioning part and an attention rule of somebody's own, named in YAML alone, from training to scores."""

import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eval.cli import main as evaluate
from lit_outpaint.__main__ import main
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.pipeline import OutpaintPipeline, load_pipeline

ROOT = Path(__file__).resolve().parents[2]


def recipe() -> str:
    """The parts that CONTRIBUTING.md shows how to write."""
    blocks = re.findall(r"^ +```python\n(.*?)^ +```$", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.M | re.S)
    (own,) = (block for block in blocks if "ConditioningConfig" in block)
    return textwrap.dedent(own)


@pytest.fixture(scope="module")
def own_parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The module ``parts_of_a_test``, importable."""
    home = tmp_path_factory.mktemp("own")
    (home / "parts_of_a_test.py").write_text(recipe())
    sys.path.insert(0, str(home))
    yield
    sys.path.remove(str(home))
    sys.modules.pop("parts_of_a_test", None)


@pytest.fixture(scope="module")
def config(own_parts: None, toy_family: Path, toy_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "own.yaml"
    path.write_text(
        f"""
trainer: {{accelerator: cpu, enable_progress_bar: false, enable_model_summary: false}}
model:
  base: {{pretrained: {toy_family}}}
  context: {{class_path: parts_of_a_test.LocalOnlyConfig, init_args: {{factor: 2.0}}}}
  attention: {{class_path: parts_of_a_test.FirstRows, init_args: {{count: 1}}}}
  optim: {{lr: 1.0e-3}}
data: {{shards: {toy_shards}, batch_size: 2, num_workers: 0}}
"""
    )
    return path


@pytest.fixture(scope="module")
def run_dir(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps that was resumed to four."""
    runs = tmp_path_factory.mktemp("runs")
    fit = ["fit", "-c", str(config), f"--runs_dir={runs}", "--name=parts"]
    assert main([*fit, "--trainer.max_steps=2"]) == 0
    assert main([*fit, "--trainer.max_steps=4", "--ckpt_path=last"]) == 0
    return runs / "parts"


@pytest.fixture(scope="module")
def overlay(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("overlay") / "exported"
    assert main(["export", str(run_dir / "last.ckpt"), "--out", str(out)]) == 0
    return out


def test_a_run_with_own_parts_resumes_bit_for_bit(config: Path, run_dir: Path, tmp_path: Path) -> None:
    fit = ["fit", "-c", str(config), f"--runs_dir={tmp_path}", "--name=whole", "--trainer.max_steps=4"]
    assert main(fit) == 0
    whole, parts = (torch.load(path / "last.ckpt", weights_only=True) for path in (tmp_path / "whole", run_dir))
    assert whole["state_dict"].keys() == parts["state_dict"].keys()
    assert "context.offset" in whole["state_dict"]
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][name]), name
    assert parts["hyper_parameters"]["attention"] == {
        "class_path": "parts_of_a_test.FirstRows",
        "init_args": {"count": 1},
    }


def test_validate_finds_the_parts_by_the_checkpoint(
    run_dir: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [f"--data.shards={toy_shards}", "--data.num_workers=0", "--trainer.accelerator=cpu"]
    assert main(["validate", *flags, f"--runs_dir={tmp_path}", f"--ckpt_path={run_dir / 'last.ckpt'}"]) == 0
    assert "val/loss" in capsys.readouterr().out


@pytest.mark.parametrize("full", [False, True])
def test_the_parts_are_in_force_in_every_export(run_dir: Path, overlay: Path, tmp_path: Path, full: bool) -> None:
    model = overlay
    if full:
        model = tmp_path / "full"
        assert main(["export", str(run_dir / "last.ckpt"), "--out", str(model), "--full"]) == 0
    pipelines = [load_pipeline(model)] + ([OutpaintPipeline.from_pretrained(model)] if full else [])
    image, mask = torch.rand(1, 3, 64, 64) * 2 - 1, torch.zeros(1, 1, 64, 64)
    mask[..., 32:] = 1
    two_steps = Sampling(num_inference_steps=2)
    for pipeline in pipelines:
        assert type(pipeline.context).__name__ == "LocalOnly"
        assert pipeline.context.config.factor == 2.0
        assert repr(pipeline.attention_rule) == "FirstRows(count=1)"

        def draw(local: str, pipeline: OutpaintPipeline = pipeline) -> torch.Tensor:
            generator = [torch.Generator().manual_seed(0)]
            return pipeline.draw(image, mask, [local], ["a view"], generator=generator, sampling=two_steps)

        # The first row is the mark that begins every caption, and a text encoder never looks ahead.
        foreseen = draw("a lake")
        assert torch.equal(foreseen, draw("a meadow with a red barn"))
        pipeline.set_attention_rule(type(pipeline.attention_rule)(count=77))
        assert not torch.equal(draw("a lake"), draw("a meadow with a red barn"))
        assert not torch.equal(draw("a lake"), foreseen)


@pytest.mark.parametrize("engine", ["steps", "joint"])
def test_the_parts_are_in_force_in_both_engines(overlay: Path, tmp_path: Path, engine: str) -> None:
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "in.png")

    def outpaint(name: str, caption: str) -> np.ndarray:
        given = {"image": tmp_path / "in.png", "caption": caption, "steps": "right:2", "model": overlay}
        given |= {"out": tmp_path / name, "engine": engine, "num_inference_steps": 2, "seam": "none", "device": "cpu"}
        assert main(["outpaint", *(str(part) for item in given.items() for part in (f"--{item[0]}", item[1]))]) == 0
        return np.asarray(Image.open(tmp_path / name / "panorama.png"))

    one, other = outpaint("one", "a wide view of a lake"), outpaint("other", "a wide view of a desert at night")
    assert one.shape == (64, 128, 3)
    assert np.array_equal(one, other)


def test_an_evaluation_draws_with_the_parts(run_dir: Path, family: Path, evalset: Path, tmp_path: Path) -> None:
    given = {"checkpoint": run_dir / "last.ckpt", "models": family, "data": evalset, "out": tmp_path / "report"}
    given |= {"panoramas": 1, "steps": 1, "sampling.num_inference_steps": 2, "figures": "few"}
    assert evaluate(["run", *(str(part) for item in given.items() for part in (f"--{item[0]}", item[1]))]) == 0
    assert json.loads((tmp_path / "report" / "metrics.json").read_text())["figures"]


def test_what_implements_no_rule_is_refused_in_one_line(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = ["fit", "-c", str(config), f"--runs_dir={tmp_path}", "--trainer.max_steps=1"]
    with pytest.raises(SystemExit, match="2"):
        main([*fit, "--model.attention=builtins.dict"])
    assert capsys.readouterr().err.count("\n") == 1
