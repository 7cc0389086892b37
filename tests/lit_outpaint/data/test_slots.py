import pytest
import torch

from lit_outpaint.data.slots import Slots


def test_each_turn_of_each_worker_has_its_place() -> None:
    slots = Slots(2, 3, 20)
    taken = {
        (worker, turn): torch.full((20,), 10 * worker + turn, dtype=torch.uint8)
        for worker in (0, 1)
        for turn in range(3)
    }
    for place, content in taken.items():
        slots.take(*place)[:20].copy_(content)
    assert all(torch.equal(slots.look(*place)[:20], content) for place, content in taken.items())


def test_a_batch_that_lost_its_place_is_not_taken_for_another() -> None:
    slots = Slots(1, 3, 20)
    for turn in range(4):
        slots.take(0, turn)
    with pytest.raises(RuntimeError, match="overwritten"):
        slots.look(0, 0)
    slots.look(0, 1)


def test_a_slot_holds_what_was_asked_for() -> None:
    slots = Slots(1, 2, 21)
    assert slots.size >= 21
    assert len(slots.take(0, 0)) == slots.size
