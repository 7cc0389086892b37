"""What training verbs make of the size of a set."""

import csv
from pathlib import Path

import pytest

from data_prep.testing import build_toy_shards
from lit_outpaint.__main__ import main
from lit_outpaint.testing.runs import toy_arguments


def test_a_step_that_the_set_does_not_fill_leaves_no_run(
    toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = toy_arguments(toy_family, toy_shards, tmp_path, "--name=filled", "--trainer.max_steps=1")
    assert main(["fit", *argv, "--data.batch_size=640"]) == 2
    assert "lower batch_size" in capsys.readouterr().err
    assert not (tmp_path / "filled").exists()


def test_a_set_without_held_out_windows_is_refused_by_what_needs_them(
    toy_family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"windows": 4, "val_windows": 0, "panoramas": 0, "eval_windows": 0}
    shards = build_toy_shards(tmp_path / "set", toy_family, **sizes)
    for verb in ("validate", "test", "predict"):
        assert main([verb, *toy_arguments(toy_family, shards, tmp_path, "--name=none")]) == 2
        assert f"holds no held-out windows to {verb} on" in capsys.readouterr().err


def test_a_few_batches_are_learnt_by_heart(toy_family: Path, toy_shards: Path, tmp_path: Path) -> None:
    argv = toy_arguments(toy_family, toy_shards, tmp_path, "--name=heart", "--trainer.overfit_batches=1")
    assert main(["fit", *argv, "--trainer.max_steps=4", "--trainer.log_every_n_steps=1"]) == 0
    rows = list(csv.DictReader((tmp_path / "heart" / "metrics.csv").open()))
    assert len([row for row in rows if row["train/loss"]]) == 4
