from pathlib import Path

import pytest

from data_prep.__main__ import main
from data_prep.testing import TOY_COCO_SETTINGS, build_toy_coco
from lit_outpaint.testing.models import slurm_step, torchrun


def test_ranks_in_any_order_end_with_the_bytes_of_one_process(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = build_toy_coco(tmp_path / "coco")
    flags = ["--root", str(root), "--val_split=val2017", "--workers=1"]
    flags += [f"--{name}={value}" for name, value in TOY_COCO_SETTINGS.items()]
    encode = ["--models", str(models), "--device=cpu"]
    assert main(["all", "--source=coco", "--out", str(tmp_path / "one"), *flags, *encode]) == 0
    out = ["--out", str(tmp_path / "many")]
    for stage, more in (("coco", flags), ("caption", []), ("encode", encode)):
        for rank in (2, 0, 1):
            # The stages before must be whole; the last rank to end says that this one is.
            with monkeypatch.context() as patch:
                for name, value in slurm_step(rank, 3, 2).items():
                    patch.setenv(name, value)
                assert main([stage, *out, *more]) == 0
            if (stage, rank) == ("coco", 2):
                assert main(["caption", *out]) == 2
                assert "not complete" in capsys.readouterr().err
    assert main(["pack", *out, "--workers=1"]) == 0
    for path in (tmp_path / "one").iterdir():
        assert (tmp_path / "many" / path.name).read_bytes() == path.read_bytes()


def test_all_is_no_command_for_many_ranks(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in torchrun(0, 4, 2).items():
        monkeypatch.setenv(name, value)
    assert main(["all", "--out", str(tmp_path / "set"), "--models", str(models)]) == 2
    assert "runs as one process" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_ranks_with_other_settings_do_not_wipe_the_work_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = [
        "--windows=4",
        "--val_windows=0",
        "--panoramas=0",
        "--eval_windows=0",
        "--samples_per_shard=2",
        "--workers=1",
    ]
    command = ["scapes", "--out", str(tmp_path), *sizes, "--world_size=2"]
    assert main([*command, "--rank=0"]) == 0
    before = sorted(path.name for path in (tmp_path / "work" / "raw").iterdir())
    assert main([*command, "--rank=1", "--seed=5"]) == 2
    assert "other settings" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "work" / "raw").iterdir()) == before
