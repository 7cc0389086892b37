from collections import Counter
from pathlib import Path

import pytest
import torch

from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.data.loading import EpochSampler, ShardLoader
from lit_outpaint.data.order import SampleRef
from lit_outpaint.testing.models import same_batch


def refs(epoch: int, **options: object) -> list[SampleRef]:
    sampler = EpochSampler(23, **{"batch_size": 4, "shuffle": True, "seed": 5} | options)  # type: ignore[arg-type]
    sampler.set_epoch(epoch)
    taken = list(sampler)
    assert len(taken) == len(sampler)
    return taken


def train_loader(shards: Path, workers: int | None = 0) -> ShardLoader:
    module = OutpaintDataModule(str(shards), batch_size=2, num_workers=workers)
    module.setup("fit")
    return module.train_dataloader()


def test_the_order_follows_from_seed_and_epoch() -> None:
    assert refs(1) == refs(1)
    assert refs(1) != refs(2)
    assert refs(1) != refs(1, seed=6)
    assert len({ref.position for ref in refs(1)}) == 20


def test_two_ranks_see_the_global_batches_of_one() -> None:
    one = refs(3, batch_size=8)
    ranks = [refs(3, batch_size=4, rank=rank, world_size=2) for rank in (0, 1)]
    together = [ref for start in (0, 4) for rank in ranks for ref in rank[start : start + 4]]
    assert together == one


@pytest.mark.parametrize("world_size", [1, 2, 3, 21])
def test_validation_takes_every_sample_in_epoch_zero_and_keeps_ranks_in_step(world_size: int) -> None:
    ranks = [refs(9, shuffle=False, rank=rank, world_size=world_size) for rank in range(world_size)]
    every = [ref for rank in ranks for ref in rank]
    assert sorted(ref.position for ref in every if not ref.fills) == list(range(23))
    assert {ref.epoch for ref in every} == {0}
    assert len({len(rank) for rank in ranks}) == 1
    assert len(every) < 23 + world_size
    assert max(Counter(ref.position for ref in every).values()) <= 2


def test_fewer_samples_than_a_step_takes_are_refused() -> None:
    with pytest.raises(ValueError, match="takes 32 samples"):
        EpochSampler(31, 8, shuffle=True, seed=0, world_size=4)


@pytest.mark.parametrize(
    ("cores", "ranks", "threads", "workers"), [(2, "1", "2", 0), (8, "1", "6", 2), (8, "2", "3", 1), (8, "1", "8", 0)]
)
def test_by_default_there_are_as_many_workers_as_cores_beside_the_threads(
    cores: int, ranks: str, threads: str, workers: int, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lit_outpaint.data.datamodule.usable_cores", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", ranks)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert train_loader(shards, workers=None).num_workers == workers
    assert train_loader(shards, workers=1).num_workers == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_where_it_stopped(shards: Path, workers: int) -> None:
    undisturbed = [batch.keys for batch in train_loader(shards)]
    first = train_loader(shards, workers)
    iterator = iter(first)
    begun = [next(iterator).keys for _ in range(2)]
    second = train_loader(shards, workers)
    second.load_state_dict(first.state_dict())
    assert begun + [batch.keys for batch in second] == undisturbed


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("persistent", [True, False])
def test_workers_make_the_batches_of_the_main_process(shards: Path, workers: int, persistent: bool) -> None:
    here, there = train_loader(shards), train_loader(shards, workers)
    there = ShardLoader(there.shards, there.epoch_sampler, num_workers=workers, persistent_workers=persistent)
    for epoch in range(3):
        for loader in (here, there):
            loader.epoch_sampler.set_epoch(epoch)
        # All are kept: nothing may write over a batch that was handed out. More of them than a worker has slots.
        pairs = list(zip(here, there, strict=True))
        assert len(pairs) == 6
        for one, other in pairs:
            assert same_batch(one, other)


def test_an_epoch_that_is_left_early_does_not_spoil_the_next(shards: Path) -> None:
    loader, reference = train_loader(shards, 2), train_loader(shards)
    for _ in range(3):
        next(iter(loader))
    undisturbed = list(reference)
    for one, other in zip(loader, undisturbed, strict=True):
        assert one.keys == other.keys
        assert torch.equal(one.moments, other.moments)
        assert torch.equal(one.features.visual, other.features.visual)


def test_after_a_resumed_epoch_the_next_one_is_whole(shards: Path) -> None:
    loader = train_loader(shards)
    loader.load_state_dict({"epoch": 0, "batches": 4})
    assert len(list(loader)) == len(loader) - 4
    assert len(list(loader)) == len(loader)


def test_a_finished_epoch_resumes_at_the_next(shards: Path) -> None:
    loader = train_loader(shards)
    loader.load_state_dict({"epoch": 0, "batches": len(loader)})
    reference = train_loader(shards)
    reference.epoch_sampler.set_epoch(1)
    assert [batch.keys for batch in loader] == [batch.keys for batch in reference]


def test_steps_of_another_size_within_an_epoch_are_told(shards: Path, caplog: pytest.LogCaptureFixture) -> None:
    loader = train_loader(shards)
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    loader.load_state_dict(state)
    assert not caplog.text
    loader.load_state_dict({**state, "global_batch": 2 * state["global_batch"]})
    assert "samples are repeated or left out" in caplog.text


@pytest.mark.parametrize("name", ["seed", "shuffle_buffer"])
def test_another_order_within_an_epoch_is_told(shards: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    loader = train_loader(shards)
    next(iter(loader))
    state = loader.state_dict()
    loader.load_state_dict({**state, name: state[name] + 1})
    assert f"data.{name} is not as in the run that wrote the checkpoint" in caplog.text
    caplog.clear()
    older = {key: value for key, value in state.items() if key != name}
    loader.load_state_dict(older)
    loader.load_state_dict({**state, name: state[name] + 1, "batches": 0})
    assert not caplog.text
