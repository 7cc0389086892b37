"""What a second command makes of a run: replaced, or drawn with otherwise."""

from pathlib import Path

import pytest
import torch

from lit_outpaint.__main__ import main
from lit_outpaint.testing.runs import toy_arguments


def test_nothing_is_left_of_a_run_that_is_replaced(toy_family: Path, toy_shards: Path, tmp_path: Path) -> None:
    argv = toy_arguments(toy_family, toy_shards, tmp_path, "--name=twice", "--trainer.limit_val_batches=0")
    kept = ["--trainer.max_steps=2", "--checkpoint.save_top_k=-1", "--checkpoint.every_n_train_steps=2"]
    assert main(["fit", *argv, *kept]) == 0
    for name in ("samples/step-0000002.png", "eval/step-0000002/metrics.json"):
        (tmp_path / "twice" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "twice" / name).touch()
    (tmp_path / "twice" / "wandb_run.txt").write_text("before")
    assert main(["fit", *argv, "--trainer.max_steps=1", "--overwrite=true"]) == 0
    left = {path.name for path in (tmp_path / "twice").iterdir()}
    assert not left & {"step=0000002.ckpt", "samples", "eval", "wandb_run.txt"}
    assert torch.load(tmp_path / "twice" / "last.ckpt", weights_only=True)["global_step"] == 1


def test_a_project_of_wandb_without_a_logger_is_refused(
    toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    argv = toy_arguments(toy_family, toy_shards, tmp_path, "--wandb.project=p", "--trainer.logger=false")
    capsys.readouterr()
    assert main(["fit", *argv]) == 2
    assert "trainer.logger, which is false" in capsys.readouterr().err


def test_what_is_not_asked_of_predict_is_as_it_was_trained(toy_family: Path, toy_shards: Path, tmp_path: Path) -> None:
    trained = ["--model.sampling.guidance_scale=7.5", "--model.sampling.num_inference_steps=2"]
    argv = toy_arguments(toy_family, toy_shards, tmp_path)
    assert main(["fit", *argv, "--name=drawn", "--trainer.max_steps=1", *trained, "--trainer.limit_val_batches=0"]) == 0
    checkpoint = [f"--ckpt_path={tmp_path / 'drawn' / 'last.ckpt'}", "--trainer.limit_predict_batches=1"]
    config = tmp_path / "more.yaml"
    config.write_text("model: {sampling: {num_inference_steps: 4}}\n")

    def predicted(name: str, *asked: str) -> list[bytes]:
        assert main(["predict", *argv, *checkpoint, f"--name={name}", *asked]) == 0
        return [path.read_bytes() for path in sorted((tmp_path / name / "predictions").glob("*.png"))]

    scale, steps = "--model.sampling.guidance_scale", "--model.sampling.num_inference_steps"
    # 3.0 is the default, which is asked for here none the less.
    one_asked, other_asked = predicted("a", f"{scale}=3.0"), predicted("b", "-c", str(config))
    assert one_asked == predicted("c", f"{scale}=3.0", f"{steps}=2")
    assert other_asked == predicted("d", f"{scale}=7.5", f"{steps}=4")
    assert one_asked != other_asked


def test_memory_of_all_devices_is_that_of_those_that_are_there(
    toy_family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family = [f"--model.base.pretrained={toy_family}", f"--runs_dir={tmp_path}", "--data.shards=absent"]
    with pytest.raises(SystemExit):
        main(["fit", *family, "--print_memory=true", "--trainer.devices=-1", "--trainer.accelerator=cpu"])
    assert "one of 1 devices" in capsys.readouterr().out


def test_memory_is_of_the_rows_that_the_conditioning_makes(capsys: pytest.CaptureFixture[str]) -> None:
    def activations(*more: str) -> float:
        configs = [word for file in ("experiments/llm4gen_scapes.yaml", *more) for word in ("-c", file)]
        with pytest.raises(SystemExit):
            main(["fit", *configs, "--print_memory=true", "--data.shards=absent"])
        (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("activations"))
        return float(line.split()[1])

    assert activations("experiments/ablations/clip_only.yaml") < activations()
