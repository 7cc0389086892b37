"""One rank, two ranks with DDP, two ranks with sharded weights: the same run, under real process groups."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from data_prep.testing import build_toy_shards
from lit_outpaint.assembly import load_module
from lit_outpaint.cli.consolidate import consolidate
from lit_outpaint.testing.runs import fit_on_ranks
from lit_outpaint.training.averaged_weights import CHECKPOINT_KEY
from lit_outpaint.training.checkpoint import checkpoint_step, is_whole, read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
SHARDED: dict[str, Any] = {}
ONE_FILE = {"sharded_checkpoints": False}


def trained(path: Path) -> dict[str, torch.Tensor]:
    """Weights, average and optimiser state of a checkpoint of either kind, by name."""
    checkpoint = read_checkpoint(path)
    found = {f"weight {name}": value for name, value in checkpoint["state_dict"].items()}
    found |= {f"average {name}": value for name, value in checkpoint[CHECKPOINT_KEY]["averages"].items()}
    for number, values in checkpoint["optimizer_states"][0]["state"].items():
        found |= {f"moment {number} {name}": value for name, value in values.items()}
    return found


def assert_close(path: Path, reference: Path, tolerance: float = 1e-4) -> None:
    ours, other = trained(path), trained(reference)
    assert ours.keys() == other.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, other[name], atol=tolerance, rtol=tolerance, msg=name)


@pytest.fixture(scope="module")
def run(toy_family: Path, toy_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train under a strategy and return the directory and the losses."""

    def train(world_size: int, strategy: Any, **options: Any) -> tuple[Path, list[float]]:
        out = tmp_path_factory.mktemp("ranks")
        return out, fit_on_ranks(world_size, strategy, toy_family, toy_shards, out, **options)

    return train


@pytest.fixture(scope="module")
def one(run: Any) -> tuple[Path, list[float]]:
    return run(1, "auto", steps=6)


@pytest.fixture(scope="module")
def sharded(run: Any) -> tuple[Path, list[float]]:
    return run(2, SHARDED, steps=6)


def test_two_ranks_with_ddp_train_as_one(run: Any, one: tuple[Path, list[float]]) -> None:
    out, losses = run(2, "ddp", steps=6)
    assert losses == pytest.approx(one[1], abs=1e-4)
    assert_close(out / "last.ckpt", one[0] / "last.ckpt")


def test_two_ranks_with_sharded_weights_train_as_one(
    one: tuple[Path, list[float]], sharded: tuple[Path, list[float]]
) -> None:
    assert (sharded[0] / "last.ckpt").is_dir()
    assert sharded[1] == pytest.approx(one[1], abs=1e-4)
    assert_close(sharded[0] / "last.ckpt", one[0] / "last.ckpt")


@pytest.mark.parametrize(
    "strategy", [pytest.param("ddp", marks=pytest.mark.slow), SHARDED], ids=["ddp", "sharded weights"]
)
def test_adapters_train_on_two_ranks_as_on_one(run: Any, strategy: Any) -> None:
    alone, losses = run(1, "auto", steps=3, train="lora")
    together, shared = run(2, strategy, steps=3, train="lora")
    assert shared == pytest.approx(losses, abs=1e-4)
    assert_close(together / "last.ckpt", alone / "last.ckpt")
    assert any(".lora_B." in name for name in trained(alone / "last.ckpt"))


def test_ranks_leave_after_the_same_batch_and_the_run_goes_on_without_shards(
    run: Any, one: tuple[Path, list[float]]
) -> None:
    out, losses = run(2, SHARDED, steps=6, send=1)
    assert len(losses) == 3
    assert checkpoint_step(out / "last.ckpt") == 3
    rest, later = run(1, "auto", steps=6, resume=str(out / "last.ckpt"))
    assert losses + later == pytest.approx(one[1], abs=1e-4)
    assert_close(rest / "last.ckpt", one[0] / "last.ckpt")


def test_consolidating_keeps_every_tensor(sharded: tuple[Path, list[float]], tmp_path: Path) -> None:
    one_file = consolidate(sharded[0] / "last.ckpt", tmp_path / "whole.ckpt")
    assert one_file.is_file()
    assert_close(one_file, sharded[0] / "last.ckpt", tolerance=0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.ckpt"]


@pytest.mark.slow
def test_a_run_on_one_device_goes_on_sharded_and_back(run: Any, one: tuple[Path, list[float]]) -> None:
    begun, first = run(1, "auto", steps=2)
    middle, second = run(2, ONE_FILE, steps=4, resume=str(begun / "last.ckpt"))
    assert (middle / "last.ckpt").is_file()
    end, third = run(2, SHARDED, steps=6, resume=str(middle / "last.ckpt"))
    assert first + second + third == pytest.approx(one[1], abs=1e-4)
    assert_close(end / "last.ckpt", one[0] / "last.ckpt")


def test_a_sharded_checkpoint_is_loaded_as_a_module(sharded: tuple[Path, list[float]]) -> None:
    module = load_module(sharded[0] / "last.ckpt")
    averages = read_checkpoint(sharded[0] / "last.ckpt")[CHECKPOINT_KEY]["averages"]
    assert torch.equal(module.unet.conv_out.weight, averages["unet.conv_out.weight"])


def test_a_sharded_checkpoint_with_a_damaged_part_is_not_whole(sharded: tuple[Path, list[float]]) -> None:
    path = sharded[0] / "last.ckpt"
    assert is_whole(path)
    part = path / "rank-001.pt"
    data = part.read_bytes()
    try:
        part.write_bytes(data[: len(data) // 2])
        assert not is_whole(path)
        part.unlink()
        assert not is_whole(path)
    finally:
        part.write_bytes(data)


@pytest.mark.slow
def test_the_held_out_loss_does_not_depend_on_the_number_of_ranks(toy_family: Path, tmp_path: Path) -> None:
    shards = build_toy_shards(tmp_path / "shards", toy_family)  # Five windows are held out.
    found = {
        name: fit_on_ranks(world_size, strategy, toy_family, shards, tmp_path / name, validate=True)
        for name, world_size, strategy in (("one", 1, "auto"), ("ddp", 2, "ddp"), ("sharded", 2, SHARDED))
    }
    assert found["ddp"] == pytest.approx(found["one"], rel=1e-5)
    assert found["sharded"] == pytest.approx(found["one"], rel=1e-5)


@pytest.mark.slow
def test_compiled_and_sharded_weights_train_as_one(run: Any, one: tuple[Path, list[float]]) -> None:
    # Two steps, before validation: that would compile everything once more.
    _, losses = run(2, SHARDED, steps=2, compile=True)
    assert losses == pytest.approx(one[1][:2], abs=1e-4)


@pytest.mark.slow
def test_muon_is_refused_with_sharded_weights(toy_family: Path, toy_shards: Path, tmp_path: Path) -> None:
    words = (
        "-c experiments/coco_fsdp.yaml --model.optim.name=muon --trainer.accelerator=cpu --trainer.devices=1"
        f" --model.base.pretrained={toy_family} --data.shards={toy_shards} --data.batch_size=2 --data.num_workers=0"
        f" --runs_dir={tmp_path} --trainer.max_steps=1"
    )
    command = [sys.executable, "-m", "lit_outpaint", "fit", *words.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr[-3000:]
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert "optim.name muon" in line


@pytest.mark.slow
def test_fifty_steps_agree_between_strategies(run: Any) -> None:
    reference, losses = run(1, "auto", steps=50)
    for strategy in ("ddp", SHARDED):
        out, ours = run(2, strategy, steps=50)
        assert max(abs(a - b) for a, b in zip(ours, losses, strict=True)) < 1e-4
        assert_close(out / "last.ckpt", reference / "last.ckpt")


@pytest.mark.slow
def test_activation_checkpointing_changes_nothing_but_memory(run: Any, sharded: tuple[Path, list[float]]) -> None:
    out, losses = run(2, SHARDED, steps=6, gradient_checkpointing=True)
    assert losses == pytest.approx(sharded[1], abs=1e-5)
    assert all(math.isfinite(loss) for loss in losses)
    assert_close(out / "last.ckpt", sharded[0] / "last.ckpt")
