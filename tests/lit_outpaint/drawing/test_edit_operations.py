import numpy as np
import pytest

from lit_outpaint.drawing.edit_masks import edit_mask
from lit_outpaint.drawing.edit_operations import Edit, EditRules, Seen, Wanted, compare, edits_of
from lit_outpaint.planning.placement import BOUND

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def want(kind: str = "barn", colour: str | None = "red", box: tuple[float, float, float, float] = LEFT) -> Wanted:
    return Wanted(id=f"{colour}-{kind}", kind=kind, colour=colour, box=box, placed=BOUND)


def see(x: float, kind: str = "barn", colour: str | None = "red", size: float = 0.2) -> Seen:
    half = size / 2
    return Seen(kind=kind, colour=colour, box=(x - half, 0.4, x + half, 0.4 + size), share=size * size)


def verdicts(wanted: list[Wanted], seen: list[Seen]) -> list[str]:
    return [finding.verdict for finding in compare(wanted, seen)]


def test_a_thing_in_its_place_and_colour_is_right() -> None:
    assert verdicts([want()], [see(0.25)]) == ["right"]
    assert verdicts([want(colour=None)], [see(0.25, colour="blue")]) == ["right"]


def test_what_is_wrong_is_named() -> None:
    assert verdicts([want()], []) == ["missing"]
    assert verdicts([want()], [see(0.25, colour="blue")]) == ["wrong colour"]
    assert verdicts([want()], [see(0.8)]) == ["misplaced"]
    assert verdicts([want()], [see(0.8, colour="blue")]) == ["misplaced"]
    assert verdicts([want()], [see(0.25, kind="tent")]) == ["missing"]


def test_a_thing_answers_for_one_wanted_thing() -> None:
    both = [want(), want(colour="blue", box=RIGHT)]
    assert verdicts(both, [see(0.25), see(0.75, colour="blue")]) == ["right", "right"]
    assert verdicts(both, [see(0.25)]) == ["right", "missing"]
    assert verdicts([want(), want()], [see(0.25)]) == ["right", "missing"]


def test_a_thing_without_a_place_is_right_anywhere() -> None:
    free = Wanted(id="barn", kind="barn", colour="red", box=LEFT)
    assert verdicts([free], [see(0.9)]) == ["right"]


def test_a_thing_is_held_to_the_axes_that_were_said() -> None:
    top = (0.25, 0.0, 0.75, 0.3)
    for axes, x, y, verdict in (
        ({"down"}, 0.9, 0.1, "right"),
        ({"down"}, 0.5, 0.9, "misplaced"),
        ({"across"}, 0.5, 0.9, "right"),
        ({"across"}, 0.95, 0.1, "misplaced"),
    ):
        wanted = Wanted(id="balloon", kind="balloon", box=top, placed=frozenset(axes))
        seen = Seen(kind="balloon", box=(x - 0.05, y - 0.05, x + 0.05, y + 0.05), share=0.01)
        assert verdicts([wanted], [seen]) == [verdict]


def test_a_thing_too_many_is_one_of_a_kind_that_is_named_and_no_scrap() -> None:
    assert verdicts([want()], [see(0.25), see(0.8)]) == ["right", "extra"]
    assert verdicts([want()], [see(0.25), see(0.8, size=0.05)]) == ["right"]
    assert verdicts([want()], [see(0.25), see(0.8, kind="tent")]) == ["right"]


def test_each_fault_has_its_edit_and_what_is_right_has_none() -> None:
    findings = compare(
        [want(), want("tent", "blue", RIGHT), want("car", "red", LEFT), want("flag", "red", LEFT)],
        [see(0.25), see(0.75, "tent", "red"), see(0.9, "car"), see(0.8)],
    )
    edits = edits_of(findings)
    assert [edit.operation for edit in edits] == ["modify", "move", "add", "remove"]
    assert [len(edit.boxes) for edit in edits] == [1, 2, 1, 1]
    assert [edit.thing for edit in edits] == ["blue-tent", "red-car", "red-flag", "barn"]
    assert edits_of(compare([want()], [see(0.25)])) == []


def test_the_mask_covers_the_edits_with_a_margin_and_spares_what_is_right() -> None:
    findings = compare([want(), want("tent", "blue", RIGHT)], [see(0.45)])
    edits = edits_of(findings)
    barn = findings[0].seen
    assert barn is not None
    mask = edit_mask(edits, [barn.box], 16, 16, EditRules(margin=1 / 16))
    assert mask[:, 9:].all()
    assert not mask[:, :6].any()
    assert mask[0, 7]
    # The barn reaches from 0.35 to 0.55 of the width and from 0.4 to 0.6 of the height.
    assert not mask[7:9, 6:8].any()
    assert not edit_mask([], [barn.box], 16, 16).any()


def test_a_mask_touches_every_cell_that_a_box_meets() -> None:
    mask = edit_mask([Edit("remove", ((0.49, 0.49, 0.51, 0.51),), "barn")], [], 4, 4, EditRules(margin=0.0))
    assert np.argwhere(mask).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


@pytest.mark.parametrize("name", ["slack", "min_extra", "margin"])
def test_rules_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*1\.5"):
        EditRules(**{name: 1.5})
