"""What a command may change of a run that it resumes, and when it may touch it."""

from pathlib import Path
from typing import Any

import pytest

from lit_outpaint.cli import outpaint
from lit_outpaint.cli.outpaint import main
from lit_outpaint.runs.directory import only_user_of
from lit_outpaint.runs.record import OutpaintRecord
from lit_outpaint.testing.outpaint import argv_of, outpaint_as_rank


def test_a_setting_that_is_given_counts_even_if_it_is_the_default(
    arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv_of({**arguments, "--steps": "right:1"}), "--batch_size", "2"]) == 0
    resumed: list[Any] = []

    def enough(parser: Any, settings: Any) -> None:
        resumed.append(settings)
        raise ValueError("enough")

    monkeypatch.setattr("lit_outpaint.cli.outpaint._Parts", enough)
    more = ["--resume", arguments["--out"], "--steps", "left:1"]
    for words in ([], ["--batch_size", "8", "--device", "auto"]):
        assert main([*more, *words]) == 2
    assert [(settings.batch_size, settings.device) for settings in resumed] == [(2, "cpu"), (8, "auto")]
    capsys.readouterr()
    assert main([*more, "--seed", "0"]) == 2
    assert "got --seed" in capsys.readouterr().err


def test_a_run_that_another_process_draws_is_left_alone(
    arguments: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(arguments["--out"])
    assert main(argv_of({**arguments, "--steps": "right:1"})) == 0
    (run / "canvas.zarr" / "c.partial").write_bytes(b"what the other one is writing")
    (run / "steps.jsonl").write_bytes((run / "steps.jsonl").read_bytes() + b'{"step": 1, "the line in h')
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with only_user_of(run):
        for words in (["--edit_step", "0", "--edit_seed", "5"], ["--undo"], ["--steps", "left:1"]):
            assert main(["--resume", str(run), *words]) == 2
            assert "another process is at work" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_run_that_another_process_is_about_to_begin_is_left_to_it(
    arguments: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = argv_of({**arguments, "--steps": "right:1"})
    begun = tmp_path / ".run.partial"
    (begun / "canvas.zarr").mkdir(parents=True)
    (begun / "canvas.zarr" / "zarr.json").write_text("what the other one is writing")
    with only_user_of(begun):
        assert main(argv) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line == f"error: another process is at work on {tmp_path / 'run'}; wait for it or stop it"
        assert (begun / "canvas.zarr" / "zarr.json").read_text() == "what the other one is writing"
    assert main(argv) == 0, "what a killed process left is cleared"
    assert not begun.exists()


def test_one_of_two_commands_that_are_given_at_once_draws(
    arguments: dict[str, str], tmp_path: Path, processes: Any
) -> None:
    argv = argv_of({**arguments, "--steps": "right:8"})
    both = [processes.Process(target=outpaint_as_rank, args=(rank, 2, argv, tmp_path)) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    said = [(tmp_path / f"{rank}.err").read_text() for rank in range(2)]
    codes = [process.exitcode for process in both]
    assert min(codes) == 0, said
    assert all(code == 0 or "another process is at work on" in line for code, line in zip(codes, said, strict=True))
    assert OutpaintRecord.load(tmp_path / "run").finished
    assert not list(tmp_path.glob(".run*"))


@pytest.mark.parametrize(("name", "value"), [("seed", None), ("dtype", None), ("seed", "x"), ("caption", None)])
def test_a_record_that_somebody_spoilt_is_refused_by_its_name(
    arguments: dict[str, str], capsys: pytest.CaptureFixture[str], name: str, value: object
) -> None:
    assert main(argv_of({**arguments, "--steps": "right:1"})) == 0
    run = Path(arguments["--out"])
    record = OutpaintRecord.load(run)
    record.model_copy(update={"config": {**record.config, name: value}}).save(run)
    capsys.readouterr()
    assert main(["--resume", str(run), "--steps", "left:1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {run / 'run.yaml'} is no run record (config")
    assert name in line


def test_steps_that_the_engine_cannot_draw_are_refused_before_the_run_asks_for_them(
    arguments: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    joint = ["--engine", "joint", "--joint_memory_mib", "1"]
    assert main([*argv_of({**arguments, "--steps": "right:1"}), *joint]) == 0
    before = (Path(arguments["--out"]) / "run.yaml").read_bytes()
    assert main(["--resume", arguments["--out"], "--steps", "right:99"]) == 2
    assert "joint_memory_mib" in capsys.readouterr().err
    assert (Path(arguments["--out"]) / "run.yaml").read_bytes() == before


def test_an_edit_made_while_the_same_command_loads_its_model_is_kept(
    arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = argv_of({**arguments, "--steps": "right:2"})
    run, loaded = Path(arguments["--out"]), outpaint._Parts.outpainter
    assert main(argv) == 0
    unfinished = OutpaintRecord.load(run).model_copy(update={"finished": False})
    unfinished.save(run)

    def slowly_loaded(parts: Any, *own: Any) -> Any:
        monkeypatch.setattr(outpaint._Parts, "outpainter", loaded)
        assert main(["--resume", str(run)]) == 0
        assert main(["--resume", str(run), "--edit_step", "1", "--edit_seed", "5"]) == 0
        return loaded(parts, *own)

    monkeypatch.setattr(outpaint._Parts, "outpainter", slowly_loaded)
    assert main(argv) == 0
    assert [edit.seed for edit in OutpaintRecord.load(run).edits] == [5]
