import tempfile
from pathlib import Path

import pytest
import torch

from lit_outpaint.training.checkpoint import check_shapes, checkpoint_step, newest_checkpoint, publish, read_checkpoint
from lit_outpaint.training.sharded_checkpoint import AnyCheckpointIO


def test_another_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"conv must be \(3,\), got \(2,\)"):
        check_shapes({"conv": torch.zeros(2)}, {"conv": torch.zeros(3)})


def test_missing_and_surplus_weights_are_named() -> None:
    with pytest.raises(ValueError, match="lacks gate"):
        check_shapes({}, {"gate": torch.zeros(1)})
    with pytest.raises(ValueError, match="has gate too"):
        check_shapes({"gate": torch.zeros(1)}, {})


def test_equal_shapes_pass() -> None:
    check_shapes({"conv": torch.zeros(3)}, {"conv": torch.ones(3)})


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04cut"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read"):
        read_checkpoint(path)


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    torch.save({"state_dict": Trap(), "hyper_parameters": {}}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="cannot be read"):
        read_checkpoint(tmp_path / "last.ckpt")
    assert not (tmp_path / "sprung").exists()


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match="without state_dict"):
        read_checkpoint(tmp_path / "other.ckpt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_checkpoint(tmp_path / "absent.ckpt")


def written(path: Path, step: int) -> Path:
    torch.save({"global_step": step, "state_dict": {"w": torch.zeros(1000)}}, path)
    return path


def test_the_checkpoint_before_stays_beside_the_newest(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        publish(written(tmp_path / "last.ckpt.part", step), tmp_path / "last.ckpt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "previous.ckpt"]
    assert [checkpoint_step(tmp_path / name) for name in ("last.ckpt", "previous.ckpt")] == [3, 2]
    assert newest_checkpoint(tmp_path) == tmp_path / "last.ckpt"


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_newest_checkpoint_is_passed_over(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path / "previous.ckpt", 1)
    last = written(tmp_path / "last.ckpt", 2)
    data = bytearray(last.read_bytes())
    if damage == "gone":
        last.unlink()
    else:
        data[len(data) // 2] ^= 1
        last.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    assert newest_checkpoint(tmp_path) == tmp_path / "previous.ckpt"
    assert ("last.ckpt is damaged" in caplog.text) == (damage != "gone")


def test_a_new_run_has_no_checkpoint_and_a_ruined_one_is_refused(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    (tmp_path / "last.ckpt").write_bytes(b"cut")
    with pytest.raises(ValueError, match="start over with --overwrite true"):
        newest_checkpoint(tmp_path)


def test_saving_needs_no_directory_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/none")
    AnyCheckpointIO().save_checkpoint({"state_dict": {"one": torch.ones(3)}, "hyper_parameters": {}}, tmp_path / "a")
    assert torch.equal(read_checkpoint(tmp_path / "a")["state_dict"]["one"], torch.ones(3))
