from pathlib import Path

import pytest

from eval.report.loss_curve import read_loss_curve


def _csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_rows_without_a_loss_are_left_out(tmp_path: Path) -> None:
    path = _csv(tmp_path / "metrics.csv", "epoch,step,train/loss,val/loss\n0,9,0.5,\n0,10,,0.4\n0,19,0.25,\n")
    assert read_loss_curve(path) == ([9.0, 19.0], [0.5, 0.25])


def test_long_runs_are_averaged_into_few_points(tmp_path: Path) -> None:
    rows = "".join(f"{step},{step % 2}\n" for step in range(1000))
    curve = read_loss_curve(_csv(tmp_path / "m.csv", "step,train/loss_step\n" + rows), num_points=100)
    assert curve.losses == [0.5] * 100
    assert curve.steps[0] == 4.5


def test_file_without_a_loss_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train/loss"):
        read_loss_curve(_csv(tmp_path / "m.csv", "step,val/loss\n1,2\n"))
    with pytest.raises(FileNotFoundError, match=r"metrics\.csv"):
        read_loss_curve(tmp_path / "absent.csv")


def test_losses_of_a_run_that_diverged_end_where_they_were_numbers(tmp_path: Path) -> None:
    rows = "".join(f"{step},{loss}\n" for step, loss in enumerate(["0.5", "0.4", "nan", "inf"]))
    curve = read_loss_curve(_csv(tmp_path / "metrics.csv", f"step,train/loss\n{rows}"))
    assert curve.losses == [0.5, 0.4]
