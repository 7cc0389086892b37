import pytest
import torch
from torch import Tensor

from lit_outpaint.training.draws import BatchDraws, SampleDraws


def all_draws(share: int, **place: int) -> tuple[Tensor, Tensor, Tensor]:
    draws = BatchDraws(3, 17, **place)  # type: ignore[arg-type]
    return draws.uniform(share), draws.normal(torch.empty(share, 4, 2, 2)), draws.integers(share, 1000)


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_together_draw_what_one_rank_draws(world_size: int) -> None:
    ranks = [all_draws(8 // world_size, rank=rank, world_size=world_size) for rank in range(world_size)]
    for whole, shares in zip(all_draws(8), zip(*ranks, strict=True), strict=True):
        assert torch.equal(whole, torch.cat(shares))


def test_draws_depend_on_seed_and_batch_alone() -> None:
    like = torch.empty(4, 1)
    first = BatchDraws(3, 17).normal(like)
    torch.randn(5)
    assert torch.equal(first, BatchDraws(3, 17).normal(like))
    assert not torch.equal(first, BatchDraws(3, 18).normal(like))
    assert not torch.equal(first, BatchDraws(4, 17).normal(like))


def test_drawing_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    all_draws(4)
    assert torch.equal(torch.get_rng_state(), before)


def test_draws_are_spread_as_they_say() -> None:
    draws = BatchDraws(0, 0)
    noise, steps = draws.normal(torch.empty(4096, 8)), draws.integers(4096, 10)
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    assert steps.min() == 0
    assert steps.max() == 9


def test_a_sample_draws_by_its_key_wherever_it_stands() -> None:
    def drawn(keys: str) -> list[tuple[Tensor, Tensor]]:
        draws = SampleDraws(tuple(keys))
        return list(zip(draws.normal(torch.empty(len(keys), 4, 2)), draws.integers(len(keys), 1000), strict=True))

    whole, part = drawn("abcd"), drawn("db")
    for ours, theirs in ((whole[3], part[0]), (whole[1], part[1])):
        assert torch.equal(ours[0], theirs[0])
        assert ours[1] == theirs[1]
    assert len({int(steps) for _, steps in drawn("abcdefgh")}) > 4
