"""Places of square crops in wide pictures."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, stack


class Place(NamedTuple):
    """Upper left corner of a crop, in pixels."""

    top: int
    left: int


def crop_grid(height: int, width: int, size: int, stride: int) -> list[Place]:
    """Places of all whole crops on a regular grid from the upper left corner, row by row; what remains is left out.

    Raises:
        ValueError: no crop fits, or the stride is not positive.
    """
    if stride < 1:
        raise ValueError(f"stride must be positive, got {stride}")
    if not 1 <= size <= min(height, width):
        raise ValueError(f"a crop of {size} px must fit into the picture, which is {width} x {height} px")
    rows, columns = range(0, height - size + 1, stride), range(0, width - size + 1, stride)
    return [Place(top, left) for top in rows for left in columns]


def cut(picture: Float[Tensor, "c hh ww"], places: Sequence[Place], size: int) -> Float[Tensor, "n c size size"]:
    """The crops of a picture at these places."""
    return stack([picture[:, top : top + size, left : left + size] for top, left in places])
