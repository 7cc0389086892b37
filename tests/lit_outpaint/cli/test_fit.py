"""The training verbs through the real command line, on real shards encoded by the toy family."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from lit_outpaint.__main__ import main
from lit_outpaint.assembly import load_checkpoint_pipeline, load_module
from lit_outpaint.cli.export import export
from lit_outpaint.data.shard_set import load_card
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.pipeline import load_pipeline
from lit_outpaint.system.bfloat16 import warn_where_imitated
from lit_outpaint.testing.runs import toy_arguments

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def run_dir(toy_family: Path, toy_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four steps with validation, a grid and a checkpoint."""
    runs = tmp_path_factory.mktemp("runs")
    config = runs / "callbacks.yaml"
    config.write_text(
        """
trainer:
  callbacks:
    - class_path: lit_outpaint.callbacks.sample_grid.SampleGrid
      init_args: {num_windows: 2, num_inference_steps: 2}
"""
    )
    more = ["--name=toy", "--trainer.max_epochs=1", "--model.optim.lr=1e-3", "--model.objective.loss_region=masked"]
    argv = toy_arguments(toy_family, toy_shards, runs, *more)
    assert main(["fit", "-c", str(config), *argv]) == 0
    return runs / "toy"


def test_a_run_leaves_its_whole_record(run_dir: Path) -> None:
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    assert config["model"]["optim"]["lr"] == 1e-3
    assert config["model"]["context"]["init_args"]["visual_init"] == "gated"
    record = json.loads((run_dir / "run.json").read_text())
    assert record["seed"] == 0
    assert record["command"].startswith("python -m lit_outpaint fit -c ")
    assert record["machine"].endswith("CPU threads") or " x " in record["machine"]
    assert {"torch", "lightning"} <= record["versions"].keys()


def test_a_run_logs_loss_validation_and_speed(run_dir: Path) -> None:
    rows = list(csv.DictReader((run_dir / "metrics.csv").open()))
    assert sum(bool(row["train/loss"]) for row in rows) == 4
    assert any(row["val/loss"] for row in rows)
    assert any(float(row["perf/images_per_s"] or 0) > 0 for row in rows)


def test_a_run_draws_masked_input_prediction_and_target(run_dir: Path) -> None:
    (grid,) = (run_dir / "samples").glob("*.png")
    assert Image.open(grid).size == (3 * 128 + 2 * 2, 2 * 128 + 2)


def test_last_checkpoint_is_of_the_last_step(run_dir: Path) -> None:
    checkpoint = torch.load(run_dir / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 4
    assert checkpoint["ema"]["step"] == 4


def test_validate_reads_the_model_from_the_checkpoint_and_writes_nothing(
    run_dir: Path, toy_shards: Path, capsys: pytest.CaptureFixture
) -> None:
    argv = [
        f"--data.shards={toy_shards}",
        "--data.num_workers=0",
        "--trainer.accelerator=cpu",
        f"--runs_dir={run_dir.parent}",
        f"--name={run_dir.name}",
        "--trainer.callbacks+=lit_outpaint.callbacks.sample_grid.SampleGrid",
    ]
    before = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")}
    losses = []
    for place in (run_dir / "last.ckpt", "last"):
        assert main(["validate", *argv, f"--ckpt_path={place}"]) == 0
        losses.append(capsys.readouterr().out.split("val/loss")[1].split()[1])
    assert losses[0] == losses[1]
    for place, name in (("best", run_dir.name), ("last", "absent")):
        assert place in refusal(["validate", *argv, f"--name={name}", f"--ckpt_path={place}"], capsys)
    assert before == {path: path.stat().st_mtime_ns for path in run_dir.rglob("*")}, "the run stays as it was"


def test_a_run_goes_on_from_its_checkpoint(run_dir: Path, toy_family: Path, toy_shards: Path, tmp_path: Path) -> None:
    resumed = tmp_path / "on"
    shutil.copytree(run_dir, resumed)
    argv = toy_arguments(toy_family, toy_shards, tmp_path, "--name=on", "--trainer.max_steps=6")
    assert main(["fit", *argv, f"--ckpt_path={resumed / 'last.ckpt'}"]) == 0
    assert torch.load(resumed / "last.ckpt", weights_only=True)["global_step"] == 6
    rows = list(csv.DictReader((resumed / "metrics.csv").open()))
    steps = [int(row["step"]) for row in rows if row["train/loss"]]
    assert steps[:4] == [0, 1, 2, 3], "rows of the first part are kept"
    assert len(steps) == 6
    assert steps == sorted(set(steps))


def test_online_views_train_too_and_imitated_bfloat16_is_said(
    toy_family: Path,
    toy_shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for unit in ("amx_tile", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, f"_is_{unit}_supported", lambda: False)
    warn_where_imitated.cache_clear()
    argv = toy_arguments(toy_family, toy_shards, tmp_path, "--trainer.fast_dev_run=1", "--data.views=online")
    assert main(["fit", *argv, "--data.num_workers=null", "--trainer.precision=bf16-mixed"]) == 0
    assert caplog.text.count("--trainer.precision 32-true is faster") == 1


def test_the_sharded_experiment_goes_on_top_of_coco(capsys: pytest.CaptureFixture) -> None:
    configs = ["-c", f"{ROOT}/experiments/coco.yaml", "-c", f"{ROOT}/experiments/coco_fsdp.yaml"]
    with pytest.raises(SystemExit):
        main(["fit", *configs, "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["trainer"]["strategy"]["class_path"] == "lit_outpaint.training.sharded_strategy.ShardedStrategy"
    assert config["model"]["base"]["gradient_checkpointing"]
    assert config["model"]["base"]["channels_last"], "the rest is coco's"


def test_conditioning_is_chosen_by_field_or_by_class_path(
    toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    by_class = tmp_path / "context.yaml"
    by_class.write_text(
        "model: {context: {class_path: lit_outpaint.models.context.ContextConfig, init_args: {fusion: none}}}"
    )
    argv = toy_arguments(toy_family, toy_shards, tmp_path)
    for choice in (["--model.context.fusion=none"], ["-c", str(by_class)]):
        with pytest.raises(SystemExit):
            main(["fit", *argv, *choice, "--print_config"])
        config = yaml.safe_load(capsys.readouterr().out)
        assert config["model"]["context"]["init_args"]["fusion"] == "none"


def refusal(argv: list[str], capsys: pytest.CaptureFixture) -> str:
    """The one line on stderr of a command that must end with exit code 2."""
    capsys.readouterr()
    try:
        status = main(argv)
    except SystemExit as leave:
        status = leave.code  # type: ignore[assignment]
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert status == 2
    assert len(lines) == 1
    return lines[0]


def test_an_unknown_key_is_refused(
    toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    argv = toy_arguments(toy_family, toy_shards, tmp_path, "--model.optim.learning_rate=1")
    assert "learning_rate" in refusal(["fit", *argv], capsys)
    typo = tmp_path / "typo.yaml"
    typo.write_text("model: {optim: {learning_rate: 1}}")
    assert "learning_rate" in refusal(
        ["fit", "-c", str(typo), *toy_arguments(toy_family, toy_shards, tmp_path)], capsys
    )


def test_a_value_out_of_range_is_refused(
    toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    argv = toy_arguments(toy_family, toy_shards, tmp_path, "--model.ema.decay=1.5")
    assert "ema.decay must lie in [0, 1)" in refusal(["fit", *argv], capsys)


@pytest.mark.parametrize("precision", ["16-mixed", "bf16-true", "64-true", "transformer-engine"])
def test_a_precision_that_does_not_train_is_refused(
    precision: str, toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    argv = toy_arguments(toy_family, toy_shards, tmp_path, f"--trainer.precision={precision}")
    line = refusal(["fit", *argv], capsys)
    assert "trainer.precision" in line
    assert precision in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_a_missing_gpu_is_told_in_one_line(
    toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    argv = toy_arguments(toy_family, toy_shards, tmp_path, "--trainer.accelerator=gpu")
    assert "--trainer.accelerator cpu" in refusal(["fit", *argv], capsys)
    assert list(tmp_path.iterdir()) == []


def test_memory_is_estimated_without_data_and_gpu(
    toy_family: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    configs = ["-c", f"{ROOT}/experiments/coco.yaml"]
    family = [f"--model.base.pretrained={toy_family}", "--model.base.vision=null", f"--runs_dir={tmp_path}"]
    with pytest.raises(SystemExit) as end:
        main(["fit", *configs, *family, "--print_memory=true"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert "one of 4 devices, 16 windows a step" in printed
    assert "buckets" not in printed
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_verb_is_refused(capsys: pytest.CaptureFixture) -> None:
    assert "got 'train'" in refusal(["train"], capsys)


def test_a_missing_config_is_refused(capsys: pytest.CaptureFixture) -> None:
    assert "absent.yaml" in refusal(["fit", "-c", "absent.yaml"], capsys)


def test_a_missing_family_is_refused(toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    argv = toy_arguments(tmp_path / "absent", toy_shards, tmp_path)
    assert "does not exist" in refusal(["fit", *argv], capsys)
    assert list(tmp_path.iterdir()) == []


def test_missing_shards_are_refused_before_anything_is_written(
    toy_family: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    refusal(["fit", *toy_arguments(toy_family, tmp_path / "absent", tmp_path)], capsys)
    assert list(tmp_path.iterdir()) == []


def test_shards_of_another_family_are_refused(
    toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    other = tmp_path / "family"
    other.mkdir()
    for part in toy_family.iterdir():
        (other / part.name).symlink_to(part)
    (other / "text_encoder").unlink()
    from transformers import CLIPTextModel

    text_encoder = CLIPTextModel.from_pretrained(toy_family, subfolder="text_encoder")
    text_encoder.final_layer_norm.weight.data += 1
    text_encoder.save_pretrained(other / "text_encoder")
    assert "text_encoder" in refusal(["fit", *toy_arguments(other, toy_shards, tmp_path / "runs")], capsys)


def test_a_checkpoint_of_another_shape_is_refused(
    run_dir: Path, toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    argv = toy_arguments(toy_family, toy_shards, tmp_path, "--model.context.fusion=channels")
    line = refusal(["fit", *argv, f"--ckpt_path={run_dir / 'last.ckpt'}"], capsys)
    assert "another shape: context.text_fusion.weight must be (32, 64), got (77, 154)" in line


def test_a_damaged_checkpoint_is_refused(
    toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(b"PK\x03\x04cut")
    argv = toy_arguments(toy_family, toy_shards, tmp_path / "runs", f"--ckpt_path={broken}")
    assert "cannot be read" in refusal(["fit", *argv], capsys)


def test_a_run_is_not_written_over(
    run_dir: Path, toy_family: Path, toy_shards: Path, capsys: pytest.CaptureFixture
) -> None:
    argv = toy_arguments(toy_family, toy_shards, run_dir.parent, f"--name={run_dir.name}")
    before = (run_dir / "config.yaml").read_bytes()
    assert "holds a run" in refusal(["fit", *argv], capsys)
    assert (run_dir / "config.yaml").read_bytes() == before


@pytest.fixture(scope="module")
def overlay(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the run, as it is exported."""
    return export(run_dir / "last.ckpt", tmp_path_factory.mktemp("overlay") / "exported")


def test_export_writes_the_averaged_weights_as_an_overlay(run_dir: Path, overlay: Path) -> None:
    assert sorted(path.name for path in overlay.iterdir()) == ["context", "outpaint.json", "unet"]
    averages = torch.load(run_dir / "last.ckpt", weights_only=True)["ema"]["averages"]
    pipeline = load_pipeline(overlay)
    assert torch.equal(pipeline.unet.conv_out.weight, averages["unet.conv_out.weight"])
    assert torch.equal(pipeline.context.gate, averages["context.gate"])


def test_an_exported_model_draws_what_the_checkpoint_draws(run_dir: Path, overlay: Path, tmp_path: Path) -> None:
    full = export(run_dir / "last.ckpt", tmp_path / "exported", full=True)
    pipelines = [load_checkpoint_pipeline(run_dir / "last.ckpt"), load_pipeline(overlay), load_pipeline(full)]
    image, mask = torch.rand(1, 3, 64, 64) * 2 - 1, torch.zeros(1, 1, 64, 64)
    mask[..., 32:] = 1
    two = Sampling(num_inference_steps=2)
    drawn = [
        pipeline.draw(image, mask, ["a lake"], ["a lake at dusk"], sampling=two, generator=[torch.manual_seed(0)])
        for pipeline in pipelines
    ]
    for exported in drawn[1:]:
        torch.testing.assert_close(exported, drawn[0], atol=1e-4, rtol=0)


def test_half_precision_halves_the_files(run_dir: Path, overlay: Path, tmp_path: Path) -> None:
    weights = "unet/diffusion_pytorch_model.safetensors"
    single = overlay / weights
    half = export(run_dir / "last.ckpt", tmp_path / "half", half=True) / weights
    assert half.stat().st_size < 0.6 * single.stat().st_size
    assert load_pipeline(tmp_path / "half").unet.dtype == torch.float32


def test_the_trained_weights_can_be_loaded_instead_of_the_average(run_dir: Path) -> None:
    state = torch.load(run_dir / "last.ckpt", weights_only=True)["state_dict"]
    module = load_module(run_dir / "last.ckpt", averaged=False)
    assert torch.equal(module.unet.conv_out.weight, state["unet.conv_out.weight"])


def test_export_through_the_command_line_refuses_a_full_directory(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    assert "holds something" in refusal(["export", str(run_dir / "last.ckpt"), "--out", str(tmp_path)], capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_export_of_a_missing_checkpoint_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    line = refusal(["export", str(tmp_path / "absent.ckpt"), "--out", str(tmp_path / "out")], capsys)
    assert "found no" in line
    assert list(tmp_path.iterdir()) == []


def test_text_to_image_trains_exports_and_draws(toy_family: Path, toy_shards: Path, tmp_path: Path) -> None:
    argv = toy_arguments(
        toy_family, toy_shards, tmp_path, "--name=t2i", "--trainer.max_steps=4", "--model.optim.lr=1e-2"
    )
    prompt = "--model.context=lit_outpaint.models.context.PromptConfig"
    grid = "--trainer.callbacks+=lit_outpaint.callbacks.sample_grid.SampleGrid"
    assert main(["fit", *argv, "--model.base.task=text_to_image", prompt, grid]) == 0
    assert list((tmp_path / "t2i" / "samples").glob("*.png"))
    overlay, full = tmp_path / "overlay", tmp_path / "full"
    export_last = ["export", str(tmp_path / "t2i" / "last.ckpt"), "--out"]
    assert main([*export_last, str(overlay)]) == 0
    assert main([*export_last, str(full), "--full"]) == 0
    pictures = []
    draw = ["generate", "--prompt", "a lake", "--num_inference_steps", "2", "--device", "cpu"]
    for number, home in enumerate((overlay, full, toy_family)):
        out = tmp_path / f"pictures{number}"
        assert main([*draw, "--model", str(home), "--out", str(out)]) == 0
        pictures.append((out / "0000.png").read_bytes())
    assert pictures[0] == pictures[1], "both exports draw alike"
    assert pictures[2] != pictures[0], "training changed what is drawn"


def test_a_run_continues_with_another_set_only_where_that_is_said(
    run_dir: Path, toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    other = shutil.copytree(toy_shards, tmp_path / "other")
    card = load_card(other)
    card = card.model_copy(update={"settings": card.settings | {"note": "another set"}})
    (other / "card.json").write_text(
        card.model_copy(update={"sha256": card.digest()}).model_dump_json(exclude_unset=True)
    )
    shutil.copytree(run_dir, tmp_path / "runs" / "on")
    before = (tmp_path / "runs" / "on" / "config.yaml").read_bytes()
    argv = toy_arguments(toy_family, other, tmp_path / "runs", "--name=on", "--trainer.max_steps=5", "--ckpt_path=last")
    assert "--data.allow_other_shards" in refusal(["fit", *argv], capsys)
    assert (tmp_path / "runs" / "on" / "config.yaml").read_bytes() == before
    assert main(["fit", *argv, "--data.allow_other_shards=true", "--trainer.limit_val_batches=0"]) == 0


def test_predict_draws_as_it_is_asked(run_dir: Path, toy_shards: Path, tmp_path: Path) -> None:
    argv = [f"--data.shards={toy_shards}", "--data.num_workers=0", "--data.batch_size=2", "--trainer.accelerator=cpu"]
    argv += [f"--runs_dir={tmp_path}", f"--ckpt_path={run_dir / 'last.ckpt'}", "--trainer.limit_predict_batches=1"]
    pictures = []
    for steps in (1, 2):
        asked = [f"--name=steps{steps}", f"--model.sampling.num_inference_steps={steps}"]
        assert main(["predict", *argv, *asked, "--trainer.enable_progress_bar=false"]) == 0
        first, *_ = sorted((tmp_path / f"steps{steps}" / "predictions").glob("*.png"))
        pictures.append(first.read_bytes())
    assert pictures[0] != pictures[1]


def test_variables_of_slurm_without_srun_do_not_make_a_run_wait(
    toy_family: Path, toy_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "4", "SLURM_NNODES": "2"}
    for name, value in reserved.items():
        monkeypatch.setenv(name, value)
    assert main(["fit", *toy_arguments(toy_family, toy_shards, tmp_path, "--trainer.fast_dev_run=1")]) == 0
