import pytest

from lit_outpaint.captions.negations import affirmed


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a beach without people", "a beach"),
        ("a meadow without a big lake", "a meadow"),
        ("a meadow with no trees and a barn", "a meadow and a barn"),
        ("a barn but no tent", "a barn but"),
        ("a beach without people, boats and umbrellas, a dog", "a beach , a dog"),
        ("a beach without people, a dog", "a beach , a dog"),
        ("a street without a car or a bus in a town", "a street in a town"),
        ("a garden free of weeds", "a garden"),
        ("neither cats nor dogs", ""),
        ("a notebook on a table", "a notebook on a table"),
    ],
)
def test_what_is_denied_is_left_out(text: str, left: str) -> None:
    assert " ".join(affirmed(text).split()) == left


def test_a_text_of_any_length_is_read_at_once() -> None:
    for text in ("without " * 20_000, "no a, " * 20_000, "without " + "x, " * 20_000, "not " + "y and " * 20_000):
        affirmed(text)
