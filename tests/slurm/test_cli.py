"""The verbs without a cluster: dry runs, refusals, and a whole sweep on this machine."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lit_outpaint.testing.wandb import read_offline_wandb
from lit_outpaint.training import logger as run_logger
from lit_outpaint.training.logger import wandb_id
from slurm import record as records
from slurm.__main__ import main
from slurm.cluster import Task
from slurm.record import load_record, make_record, save_record
from slurm.status import states, sweep_status
from slurm.sweep_file import load_sweep
from slurm.wandb_results import log_evaluation


def write_base(directory: Path, family: Path, shards: Path) -> Path:
    path = directory / "base.yaml"
    path.write_text(
        f"""
trainer: {{accelerator: cpu, max_steps: 2, num_sanity_val_steps: 0, enable_progress_bar: false, log_every_n_steps: 1}}
model: {{base: {{pretrained: {family}}}}}
data: {{shards: {shards}, batch_size: 2, num_workers: 0}}
"""
    )
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An experiment that parses; nothing of it is read."""
    return write_base(tmp_path, tmp_path, tmp_path)


def sweep_file(base: Path, grid: str = "{data.batch_size: [1, 2]}") -> str:
    path = base.with_name("toy.yaml")
    path.write_text(f"base: {base}\ngrid: {grid}\nseeds: [0, 1]\nreport: [train/loss]\n")
    return str(path)


def test_a_dry_run_prints_the_script_and_leaves_nothing(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIT_OUTPAINT_SLURM_PARTITION", "gpu")
    out = tmp_path / "out"
    words = ["--gpus", "2", "--nodes", "3", "--throttle", "1", "--dry-run", "--", "--data.num_workers=1"]
    assert main(["sweep", sweep_file(base), "--out", str(out), *words]) == 0
    script = capsys.readouterr().out
    assert "#SBATCH --partition=gpu" in script
    assert "#SBATCH --array=0-3%1" in script
    assert "--trainer.devices=2 --trainer.num_nodes=3" in script
    assert "lit_outpaint.callbacks.preemption.Preemption" in script
    assert not out.exists()


@pytest.mark.parametrize(("seeds", "cells"), [("7", 1), ("7,8", 2), ("[7, 8]", 2)])
def test_a_local_dry_run_prints_commands_that_a_shell_takes(
    seeds: str, cells: int, base: Path, capsys: pytest.CaptureFixture
) -> None:
    spaced = "{data.directions: {both: [left, right]}}"
    assert main(["sweep", sweep_file(base, spaced), "--local", "--dry-run", "--seeds", seeds]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == cells
    name, stage, command = lines[0].split(": ", 2)
    assert (name, stage) == ("both-seed7", "train")
    assert shlex.split(command)[:4] == ["python", "-m", "lit_outpaint", "fit"]
    assert "--data.directions=[left, right]" in shlex.split(command)


def test_submit_goes_on_where_it_stopped(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["submit", "-c", str(base), "--dry-run", "--time", "1-0", "--", f"--runs_dir={tmp_path}", "--name=one"]
    assert main(words) == 0
    script = capsys.readouterr().out
    assert "--ckpt_path=last" in script
    assert "#SBATCH --requeue" in script
    assert f"#SBATCH --output={tmp_path}/one/slurm-%j.log" in script


@pytest.mark.parametrize("word", ["--ckpt_path=other.ckpt", "--trainer.devices=2"])
def test_what_submit_decides_itself_is_refused(word: str, base: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["submit", "-c", str(base), "--gpus", "4", "--dry-run", "--", word]) == 2
    assert f"{word.partition('=')[0]} behind -- would have no effect" in capsys.readouterr().err


def test_a_callback_that_is_there_is_not_added_again(base: Path, capsys: pytest.CaptureFixture) -> None:
    own = "--trainer.callbacks=[{class_path: lit_outpaint.callbacks.preemption.Preemption}]"
    assert main(["submit", "-c", str(base), "--dry-run", "--", own]) == 0
    assert capsys.readouterr().out.count("Preemption") == 1


@pytest.mark.parametrize(
    ("grid", "words", "says"),
    [
        ("{data.mask_ration: [0.5]}", [], "mask_ration"),
        ("{model.objective.loss_region: [everywhere]}", [], "loss_region"),
        ("{data.batch_size: [1]}", ["--world", "mars"], "mars"),
        ("{data.batch_size: [1]}", ["--nodes", "0"], "nodes"),
        ("{data.batch_size: [1]}", ["--nope", "0"], "nope"),
        ("{data.batch_size: [1]}", ["--seeds", "one"], "--seeds must be different whole numbers"),
        ("{data.batch_size: [1]}", ["--", "--data.nope=1"], "nope"),
        ("{data.batch_size: [1]}", ["--", "--seed_everything=3"], "--seed_everything behind -- would have no effect"),
        ("{data.shards: {gone: no/such/place}}", ["--local"], "no/such/place"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture, grid: str, words: list[str], says: str
) -> None:
    out = tmp_path / "out"
    given = words if "--" in words[:1] else [*words, "--"]
    assert main(["sweep", sweep_file(base, grid), "--out", str(out), *given]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert says in error
    assert not out.exists()


def test_without_a_cluster_the_way_out_is_named(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["submit", "-c", str(base), "--", f"--runs_dir={tmp_path}"]) == 2
    assert "--local" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["status", "collect", "dashboard"])
def test_what_is_no_sweep_is_refused(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([verb, str(tmp_path)]) == 2
    assert "sweep.json" in capsys.readouterr().err


def test_the_last_job_says_where_a_cell_stands(base: Path, tmp_path: Path) -> None:
    jobs = [{"job_id": "1", "stage": "train"}, {"job_id": "2", "stage": "evaluate"}, {"job_id": "3", "stage": "train"}]
    tasks = [
        Task("1", 0, "FAILED"),
        Task("1", 1, "RUNNING"),
        Task("2", 1, "PENDING"),
        Task("3", 0, "PENDING"),
    ]
    assert states(jobs, tasks) == {("train", 0): "pending", ("train", 1): "running", ("evaluate", 1): "pending"}
    sweep = load_sweep(Path(sweep_file(base)))
    record = make_record(sweep, base, tmp_path / "out", sweep.seeds)
    save_record(record)
    assert [status.stages for status in sweep_status(record)] == [{"train": "missing"}] * 4


def test_a_task_of_an_array_starts_without_loading_torch() -> None:
    code = "import sys, slurm.cli, slurm.cell, slurm.status, slurm.collect; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert records.WANDB_ID_NAME == run_logger.WANDB_ID_NAME


def test_scores_join_the_run_that_training_logged_to(tmp_path: Path) -> None:
    run_dir = tmp_path / "cell"
    assert not log_evaluation(run_dir)
    number = wandb_id(run_dir, "outpaint")
    settings = "{project: outpaint, mode: offline, entity: null, group: ratio, tags: []}"
    (run_dir / "config.yaml").write_text(f"wandb: {settings}\n")
    (run_dir / "eval").mkdir()
    figures = {
        "seam": {"value": 1.25, "curve": [1.0, None, 1.5], "curve_steps": [1, 2, 3]},
        "nothing": {"value": None, "curve": []},
    }
    (run_dir / "eval" / "metrics.json").write_text(json.dumps({"figures": figures}))
    (run_dir / "eval" / "report.html").write_text("<p>panoramas</p>")
    assert log_evaluation(run_dir)
    (run,) = read_offline_wandb(run_dir)
    assert (run["id"], run["group"]) == (number, "ratio")
    assert run["summary"]["eval/seam"] == 1.25
    assert "eval/nothing" not in run["summary"]
    curve = {row["eval_step"]: row.get("eval_by_step/seam") for row in run["rows"] if "eval_step" in row}
    assert curve == {1: 1.0, 2: None, 3: 1.5}
    (page,) = run_dir.glob("wandb/offline-run-*/files/media/html/eval/report*.html")
    assert "panoramas" in page.read_text()


@pytest.mark.slow
def test_a_sweep_on_this_machine_trains_what_is_missing(
    toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    words = ["sweep", sweep_file(write_base(tmp_path, toy_family, toy_shards)), "--out", str(out), "--local", "-j", "2"]
    assert main(words) == 0
    record = load_record(out)
    assert record.missing("train") == []
    first = [torch.load(record.run_dir(cell) / "last.ckpt", weights_only=True)["global_step"] for cell in record.cells]
    assert first == [2, 2, 2, 2]
    lost, kept = (record.run_dir(record.cells[number]) for number in (1, 2))
    (lost / "run.json").unlink()
    before = (kept / "last.ckpt").stat().st_mtime_ns
    assert main(words) == 0
    assert (kept / "last.ckpt").stat().st_mtime_ns == before
    assert (lost / "run.json").exists()
    assert main(["collect", str(out)]) == 0
    assert "no cell is missing" in capsys.readouterr().out
