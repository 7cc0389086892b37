import pytest

from lit_outpaint.planning.connectors import Band, Kind, Lane, connectors


@pytest.mark.parametrize("side", ["left", "left side", "left-hand side", "left hand side", "far left side"])
@pytest.mark.parametrize("start", ["on", "to", "at"])
def test_the_side_of_a_thing_is_a_relation(start: str, side: str) -> None:
    (found,) = connectors(f"a cat {start} the {side} of a dog")
    assert (found.kind, found.text) == ("left", f"{start} the {side} of")


@pytest.mark.parametrize(
    ("where", "kind", "lane", "band"),
    [
        ("on the left side", "position", "left", None),
        ("on the right-hand side of the picture", "position", "right", None),
        ("in the left corner", "position", "left", None),
        ("far left", "position", "left", None),
        ("(right)", "position", "right", None),
        ("in the top half", "position", None, "top"),
        ("at the bottom edge of the image", "position", None, "bottom"),
        ("in the upper left corner", "position", "left", "top"),
        ("on the right side of the road", "part", "right", None),
        ("in the upper left corner of the room", "part", "left", "top"),
        ("in the top half of the sky", "part", None, "top"),
    ],
)
def test_positions_in_the_picture_and_in_a_place(where: str, kind: Kind, lane: Lane | None, band: Band | None) -> None:
    (found,) = connectors(f"a cat {where}")
    assert (found.kind, found.lane, found.band) == (kind, lane, band)


@pytest.mark.parametrize("where", ["in the left corner of a box", "at the bottom edge of a shelf"])
def test_a_part_of_a_thing_stays_in_the_phrase(where: str) -> None:
    assert not list(connectors(f"a cat {where}"))
