"""A damaged sample costs neither the run nor its reproducibility."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lit_outpaint.data.damaged import MOST_TRIES, DamagedSample, load_whole
from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.data.integrity import check_shard_set
from lit_outpaint.data.loading import EpochSampler, ShardLoader
from lit_outpaint.data.order import SampleRef
from lit_outpaint.data.schema import ShardError


def broken_header(data: bytearray) -> None:
    data[9:40] = b"?" * 31


def garbled_header(data: bytearray) -> None:
    data[:] = data.replace(b'"shape"', b'"shade"')


def absurd_length(data: bytearray) -> None:
    data[:8] = b"\xff" * 8


def infinite(data: bytearray) -> None:
    # Every value, so that all views have some.
    start = 8 + int.from_bytes(data[:8], "little")
    data[start:] = b"\x00\x7c" * ((len(data) - start) // 2)


def spoil(shards: Path, copy: Path, position: int, suffix: str, how: Callable[[bytearray], None]) -> str:
    """Damage a training sample of a copy of a set; its key."""
    shutil.copytree(shards, copy)
    card, index = check_shard_set(copy)
    entry = index.part({shard.name for shard in card.shards["train"]})[position]
    offset, size = entry.span(suffix)
    content = bytearray((copy / entry.shard).read_bytes())
    part = content[offset : offset + size]
    how(part)
    assert len(part) == size
    content[offset : offset + size] = part
    (copy / entry.shard).write_bytes(content)
    return entry.key


def module(shards: Path, **options: Any) -> OutpaintDataModule:
    data = OutpaintDataModule(str(shards), **{"batch_size": 2, "num_workers": 0} | options)
    data.setup("fit")
    return data


def keys_of(loader: ShardLoader) -> list[tuple[str, ...]]:
    return [batch.keys for batch in loader]


@pytest.mark.parametrize("how", [broken_header, garbled_header, absurd_length, infinite])
@pytest.mark.parametrize("position", [0, 7])
def test_a_damaged_sample_is_named_once_and_another_takes_its_place(
    shards: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: Callable[[bytearray], None], position: int
) -> None:
    key = spoil(shards, tmp_path / "set", position, "safetensors", how)
    whole, loader = module(shards).train_dataloader(), module(tmp_path / "set").train_dataloader()
    for epoch in range(2):
        for each in (whole, loader):
            each.epoch_sampler.set_epoch(epoch)
        pairs = [pair for row in zip(keys_of(whole), keys_of(loader), strict=True) for pair in zip(*row, strict=True)]
        assert [one for one, other in pairs if one != other] == [key]
        assert key not in {other for _, other in pairs}
    (line,) = caplog.messages
    assert line.startswith(f"sample {key} in train-0000")
    assert len(loader.damage) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_with_a_damaged_sample_goes_on_exactly_where_it_stopped(
    shards: Path, tmp_path: Path, workers: int
) -> None:
    key = spoil(shards, tmp_path / "set", 3, "safetensors", infinite)
    undisturbed = keys_of(module(tmp_path / "set").train_dataloader())
    for stopped in range(len(undisturbed) if workers == 0 else 2):
        first = module(tmp_path / "set", num_workers=workers).train_dataloader()
        iterator = iter(first)
        begun = [next(iterator).keys for _ in range(stopped)]
        second = module(tmp_path / "set").train_dataloader()
        second.load_state_dict(first.state_dict())
        assert begun + keys_of(second) == undisturbed
    assert key not in {key for batch in undisturbed for key in batch}


def test_ranks_stay_in_step_and_share_the_batches_of_one(shards: Path, tmp_path: Path) -> None:
    spoil(shards, tmp_path / "set", 3, "safetensors", infinite)
    one = module(tmp_path / "set", batch_size=4).train_dataloader()
    ranks = []
    for rank in range(2):
        sampler = EpochSampler(one.epoch_sampler.total, 2, shuffle=True, seed=0, rank=rank, world_size=2)
        ranks.append(keys_of(ShardLoader(one.shards, sampler, num_workers=0, max_damaged=1.0)))
    assert [first + second for first, second in zip(*ranks, strict=True)] == keys_of(one)


def test_windows_and_records_count_too(shards: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def blank(data: bytearray) -> None:
        data[:] = bytes(len(data))

    key = spoil(shards, tmp_path / "set", 5, "webp", blank)
    assert key not in {
        key for batch in keys_of(module(tmp_path / "set", views="online").train_dataloader()) for key in batch
    }
    record = spoil(shards, tmp_path / "other", 6, "json", blank)
    data = module(tmp_path / "other")
    loader = data.train_dataloader()
    loader.shards.needs = (*loader.shards.needs, "captions")  # type: ignore[union-attr]
    assert record not in {key for batch in keys_of(loader) for key in batch}
    assert [key in line for key, line in zip((key, record), caplog.messages, strict=True)] == [True, True]


def test_in_validation_the_one_that_stands_in_does_not_count(shards: Path, tmp_path: Path) -> None:
    shutil.copytree(shards, tmp_path / "set")
    card, index = check_shard_set(tmp_path / "set")
    entry = index.part({shard.name for shard in card.shards["val"]})[1]
    path = tmp_path / "set" / entry.shard
    content = bytearray(path.read_bytes())
    content[entry.span("safetensors")[0] : entry.span("safetensors")[0] + 40] = b"?" * 40
    path.write_bytes(content)
    batches = list(module(tmp_path / "set").val_dataloader())
    counted = [
        key
        for batch in batches
        for key, counts in zip(
            batch.keys, batch.counts.tolist() if batch.counts is not None else [True] * 2, strict=False
        )
        if counts
    ]
    assert len(counted) == len(set(counted)) == card.samples("val") - 1


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_end_the_run_in_one_line(shards: Path, tmp_path: Path, workers: int) -> None:
    key = spoil(shards, tmp_path / "set", 3, "safetensors", broken_header)
    with pytest.raises(ShardError, match=rf"1 of 12 samples are damaged.*max_damaged 0 allows.*{key}") as refusal:
        keys_of(module(tmp_path / "set", max_damaged=0.0, num_workers=workers).train_dataloader())
    assert "\n" not in str(refusal.value)
    with pytest.raises(ShardError, match="cannot read") as refusal:
        keys_of(ShardLoader(*_parts(module(shards)), num_workers=workers, max_damaged=1.0))


def _parts(data: OutpaintDataModule) -> tuple[Any, EpochSampler]:
    """A dataset whose shards are gone, and its order."""
    loader = data.train_dataloader()
    loader.shards.files._path = Path("/nonexistent").joinpath  # type: ignore[union-attr]
    return loader.shards, loader.epoch_sampler


def test_a_set_of_nothing_but_damage_is_given_up() -> None:
    def load(refs: object) -> None:
        raise DamagedSample(0, "no")

    given_up = load_whole(load, [SampleRef(0, 0)], 0, np.zeros(5, np.int32), lambda place: f"sample {place}")
    assert isinstance(given_up, ShardError)
    assert f"{MOST_TRIES} samples in a row are damaged" in str(given_up)
