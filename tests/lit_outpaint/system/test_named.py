"""Parts that files name by class and arguments."""

from dataclasses import dataclass

import pytest

from lit_outpaint.system.named import build, described


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A base that no command line was ever told of."""

    size: int = 1


@dataclass(frozen=True, kw_only=True)
class Square(Shape):
    """One of its kinds."""

    turned: bool = False


def test_a_part_is_made_again_from_its_description() -> None:
    square = Square(size=3, turned=True)
    assert build(described(square), Shape) == square


def test_a_part_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be made"):
        build({"class_path": "pathlib.Path", "init_args": {}}, Shape)
