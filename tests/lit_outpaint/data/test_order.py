import numpy as np
import pytest

from lit_outpaint.data.loading import EpochSampler
from lit_outpaint.data.order import bounded_order, full_order

SHARDS = np.repeat(np.arange(10), 50)


def test_every_order_takes_every_sample_once() -> None:
    for order in (full_order(500, 3, 1), bounded_order(SHARDS, 60, 3, 1)):
        assert sorted(order.tolist()) == list(range(500))


def test_orders_follow_from_seed_and_epoch() -> None:
    first = bounded_order(SHARDS, 60, 3, 1)
    assert (bounded_order(SHARDS, 60, 3, 1) == first).all()
    assert not (bounded_order(SHARDS, 60, 3, 2) == first).all()
    assert not (bounded_order(SHARDS, 60, 4, 1) == first).all()


def test_a_buffer_of_one_reads_whole_shards_from_front_to_back() -> None:
    order = bounded_order(SHARDS, 1, 0, 0).reshape(10, 50)
    assert (np.diff(order, axis=1) == 1).all()
    assert sorted(order[:, 0].tolist()) == list(range(0, 500, 50))
    assert order[:, 0].tolist() != list(range(0, 500, 50))


@pytest.mark.parametrize("buffer", [2, 30, 120])
def test_no_sample_is_further_from_its_unmixed_place_than_the_buffer(buffer: int) -> None:
    unmixed, mixed = bounded_order(SHARDS, 1, 7, 2), bounded_order(SHARDS, buffer, 7, 2)
    moved = np.abs(np.argsort(unmixed) - np.argsort(mixed))
    assert 0 < moved.max() < buffer


def test_few_shards_are_read_at_a_time() -> None:
    order = bounded_order(SHARDS, 40, 0, 0)
    windows = np.lib.stride_tricks.sliding_window_view(SHARDS[order], 50)
    assert max(len(set(window.tolist())) for window in windows) <= 4


def test_ranks_share_a_bounded_order() -> None:
    def keys(batch_size: int, rank: int = 0, world_size: int = 1) -> list[int]:
        sampler = EpochSampler(
            500, batch_size, shuffle=True, seed=1, buffer=60, shards=SHARDS, rank=rank, world_size=world_size
        )
        return [ref.position for ref in sampler]

    one, ranks = keys(20), [keys(10, rank, 2) for rank in (0, 1)]
    assert [key for at in range(0, 250, 10) for rank in ranks for key in rank[at : at + 10]] == one
