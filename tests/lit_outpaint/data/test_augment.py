from lit_outpaint.data.augment import Augment

FIVE = [f"caption {number}" for number in range(5)]
ALL = Augment(captions=True, crops=True, flips=True)


def test_as_many_epochs_as_captions_see_each_once() -> None:
    for first in (0, 7):
        seen = [ALL.caption(FIVE, 0, epoch, "key") for epoch in range(first, first + 5)]
        assert sorted(seen) == FIVE
    assert len({ALL.caption(FIVE, 0, 0, f"key{number}") for number in range(50)}) == 5, "pictures begin anywhere"


def test_without_it_a_sample_is_the_same_in_every_epoch() -> None:
    plain = Augment()
    assert {plain.caption(FIVE, 0, epoch, "key") for epoch in range(9)} == {FIVE[0]}
    assert {plain.place(0, epoch, "key")(11) for epoch in range(9)} == {5}
    assert not any(plain.mirrored(FIVE, 0, epoch, "key") for epoch in range(9))


def test_crops_lie_anywhere_and_half_of_the_pictures_are_mirrored() -> None:
    assert {ALL.place(0, epoch, "key")(10) for epoch in range(200)} == set(range(11))
    assert 60 < sum(ALL.mirrored(FIVE, 0, epoch, "key") for epoch in range(200)) < 140


def test_what_tells_left_from_right_is_not_mirrored() -> None:
    for caption in ("a dog on the left", "Leftmost of three", "it looks rightwards"):
        assert not any(ALL.mirrored([*FIVE, caption], 0, epoch, "key") for epoch in range(20)), caption
    assert any(ALL.mirrored(["a bright loft"], 0, epoch, "key") for epoch in range(20))
