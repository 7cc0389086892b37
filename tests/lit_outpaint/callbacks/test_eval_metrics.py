"""The callback under the real Trainer, on real shards of the toy family."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from eval.metrics import Curve, Drift, Seam
from lit_outpaint.__main__ import main
from lit_outpaint.callbacks.eval_metrics import EvalMetrics, curves
from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.heldout.evalset import PANORAMAS_NAME, EvalPanorama, EvalStep, WindowFacts, evalset_dir, write_rows
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
from lit_outpaint.outpainter import OutpainterConfig
from lit_outpaint.testing.models import TOY_WINDOW_PX

QUICK = OutpainterConfig(num_inference_steps=1, guidance_scale=1.0)


COUNT, STEPS, STRIDE_PX = 3, 2, TOY_WINDOW_PX // 2


@pytest.fixture(scope="module")
def heldout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Panoramas of noise, in the layout of a shard set's evaluation set."""
    data = tmp_path_factory.mktemp("heldout")
    directory = evalset_dir(data)
    directory.mkdir()
    facts = WindowFacts(time=None, weather=None, mountains=None, biomes={}, objects=[])
    rng = np.random.default_rng(0)
    rows = []
    for index in range(COUNT):
        pixels = rng.integers(0, 256, (TOY_WINDOW_PX, TOY_WINDOW_PX + STEPS * STRIDE_PX, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(directory / f"p{index}.png")
        rows.append(
            EvalPanorama(
                key=f"p{index}",
                image=f"p{index}.png",
                window_px=TOY_WINDOW_PX,
                stride_px=STRIDE_PX,
                direction="right",
                global_caption="a wide view at dusk",
                first_caption="a meadow",
                first_facts=facts,
                steps=[EvalStep(local_caption="a lake", facts=facts, strip_facts=facts)] * STEPS,
            )
        )
    write_rows(directory / PANORAMAS_NAME, rows)
    return data


def _callback(heldout: Path, **settings: Any) -> EvalMetrics:
    metrics = [Drift(TOY_WINDOW_PX, STRIDE_PX, steps=(0, 1, 2)), Seam(), Curve(Seam(), steps=(1, 2))]
    settings = {"panoramas": COUNT, "steps": STEPS, "batch_size": 2, "sampling": QUICK, **settings}
    return EvalMetrics(metrics, heldout, **settings)


def _trainer(out: Path, callback: EvalMetrics, **settings: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        callbacks=[callback],
        logger=CSVLogger(out, name="", version=""),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=out,
        **settings,
    )


def _validated(family: Path, shards: Path, heldout: Path, out: Path, **settings: Any) -> dict[str, Any]:
    """Scores of untrained weights."""
    torch.manual_seed(0)
    module = OutpaintModule(ModelConfig(pretrained=str(family)))
    data = OutpaintDataModule(str(shards), batch_size=2, num_workers=0)
    (scores,) = _trainer(out, _callback(heldout), **settings).validate(module, data, verbose=False)
    return {name.removeprefix("val/"): value for name, value in scores.items() if name != "val/loss"}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Ranks compute on one thread each; some processors round in another way on two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def alone(
    toy_family: Path, toy_shards: Path, heldout: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    return _validated(toy_family, toy_shards, heldout, tmp_path_factory.mktemp("alone"), devices=1)


def test_two_ranks_score_like_one(
    alone: dict[str, Any], toy_family: Path, toy_shards: Path, heldout: Path, tmp_path: Path
) -> None:
    found = _validated(toy_family, toy_shards, heldout, tmp_path, devices=2, strategy="ddp_fork")
    assert found == {name: pytest.approx(value, rel=1e-6, abs=1e-9) for name, value in alone.items()}
    assert not (tmp_path / "eval").exists(), "validation alone leaves a run as it is"


def test_scores_say_windows_strides_and_counts(alone: dict[str, Any]) -> None:
    assert any(name.startswith("drift.lightness.window64-stride32-right.n3.step1") for name in alone)
    assert any(name == "seam.right-stridehalf.n6.window64-stride32-right" for name in alone)
    points = curves(alone)
    assert points["seam.right-stridehalf.n3.window64-stride32-right"][0][0] == 1
    assert len(points["drift.lightness.window64-stride32-right.n3"]) == 3


def test_fit_goes_on_as_if_nothing_had_been_drawn(
    toy_family: Path, toy_shards: Path, heldout: Path, tmp_path: Path
) -> None:
    weights = []
    for callback in (_callback(heldout, every_n_steps=2), None):
        torch.manual_seed(0)
        module = OutpaintModule(ModelConfig(pretrained=str(toy_family)))
        data = OutpaintDataModule(str(toy_shards), batch_size=2, num_workers=0)
        out = tmp_path / str(len(weights))
        trainer = _trainer(out, callback or _Silent(), max_steps=3, val_check_interval=1, num_sanity_val_steps=0)
        trainer.fit(module, data)
        assert any(parameter.requires_grad for parameter in module.unet.parameters())
        weights.append(torch.cat([parameter.detach().flatten() for parameter in module.parameters()]))
    assert torch.equal(weights[0], weights[1])
    written = sorted(path.name for path in (tmp_path / "0" / "eval").iterdir())
    assert written == ["step-0000001", "step-0000003"]
    first = tmp_path / "0" / "eval" / "step-0000001"
    assert json.loads((first / "metrics.json").read_text())
    pictures = list(first.glob("*.png"))
    assert len(pictures) == COUNT
    picture = pictures[0]
    assert Image.open(picture).size == (128, 128)


def test_the_pictures_of_all_ranks_are_logged(
    toy_family: Path, toy_shards: Path, heldout: Path, tmp_path: Path
) -> None:
    module = OutpaintModule(ModelConfig(pretrained=str(toy_family)))
    data = OutpaintDataModule(str(toy_shards), batch_size=2, num_workers=0)
    settings = {"max_steps": 1, "val_check_interval": 1, "num_sanity_val_steps": 0}
    trainer = _trainer(tmp_path, _callback(heldout), devices=2, strategy="ddp_fork", **settings)
    trainer.loggers = [TensorBoardLogger(tmp_path, name="", version="")]
    trainer.fit(module, data)
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0})
    events.Reload()
    assert events.Tags()["images"] == [f"val/panorama/p{index}" for index in range(COUNT)]


class _Silent(EvalMetrics):
    """The callback switched off."""

    def __init__(self) -> None:
        super().__init__([Seam()])

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        pass

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        pass


def test_validations_between_two_scorings_are_left_out() -> None:
    callback = EvalMetrics([Seam()], every_n_steps=100)
    assert callback._due(7)
    callback.load_state_dict({"scored_at": 7})
    assert callback.state_dict() == {"scored_at": 7}
    assert [step for step in (7, 8, 106, 107, 300) if callback._due(step)] == [7, 107, 300]


def test_metrics_are_named_by_class_path_in_a_run(
    toy_family: Path, toy_shards: Path, heldout: Path, tmp_path: Path
) -> None:
    callback = {
        "class_path": "lit_outpaint.callbacks.eval_metrics.EvalMetrics",
        "init_args": {
            "data": str(heldout),
            "panoramas": 1,
            "steps": 1,
            "sampling": {"num_inference_steps": 1},
            "metrics": [
                {"class_path": "eval.metrics.Seam"},
                {
                    "class_path": "eval.metrics.Curve",
                    "init_args": {"metric": {"class_path": "eval.metrics.Seam"}, "steps": [1]},
                },
            ],
        },
    }
    config = tmp_path / "callbacks.yaml"
    config.write_text(yaml.safe_dump({"trainer": {"callbacks": [callback]}}))
    flags = {
        "data.shards": toy_shards,
        "data.batch_size": 2,
        "data.num_workers": 0,
        "model.base.pretrained": toy_family,
        "runs_dir": tmp_path,
        "name": "toy",
        "trainer.accelerator": "cpu",
        "trainer.max_epochs": 1,
        "trainer.limit_train_batches": 1,
        "trainer.limit_val_batches": 1,
        "trainer.enable_progress_bar": "false",
    }
    assert main(["fit", "-c", str(config), *(f"--{name}={value}" for name, value in flags.items())]) == 0
    metrics = json.loads(next((tmp_path / "toy" / "eval").glob("*/metrics.json")).read_text())
    assert len([name for name in metrics if name.startswith("seam.")]) == 4


def test_classes_that_are_no_metrics_are_refused() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(EvalMetrics)
    with pytest.raises(Exception, match="ImageMetric"):
        parser.parse_args(["--metrics", '[{"class_path": "eval.judge.JudgeConfig"}]'])


def test_the_documented_callback_parses() -> None:
    text = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text()
    documented = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--callbacks", type=list[Callback])
    parsed = parser.parse_object({"callbacks": documented["trainer"]["callbacks+"]})
    names = [metric.class_path for metric in parsed.callbacks[0].init_args.metrics]
    assert names == [f"eval.metrics.{name}" for name in ("FID", "ClipSim", "Drift", "Curve")]


@pytest.mark.parametrize("setting", [{"panoramas": 0}, {"steps": 0}, {"every_n_steps": 0}, {"shown": -1}])
def test_counts_must_be_positive(setting: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        EvalMetrics([Seam()], **setting)


def test_too_few_panoramas_are_told_before_the_first_step(
    toy_family: Path, toy_shards: Path, heldout: Path, tmp_path: Path
) -> None:
    module = OutpaintModule(ModelConfig(pretrained=str(toy_family)))
    data = OutpaintDataModule(str(toy_shards), batch_size=2, num_workers=0)
    with pytest.raises(ValueError, match="must be at most"):
        _trainer(tmp_path, _callback(heldout, panoramas=99)).validate(module, data, verbose=False)
