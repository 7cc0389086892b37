"""The pictures that windows were cut from: kept beside the raw windows where their features are wanted, too.

A model that draws looks at more than a window shows: at the canvas behind it. In training the picture around the
window plays that part (``data.visual_view: picture``). No text is ever written of it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, cast

from pydantic import Field

from data_prep.tars import TarWriter, read_samples
from lit_outpaint.canvas.geometry import Box, Direction, new_box
from lit_outpaint.canvas.placing import behind
from lit_outpaint.data.schema import IMAGE_SUFFIX, RECORD_SUFFIX, Strict, parse_view

_FOLDER: Final = "pictures"


class WindowPlace(Strict):
    """Where a window lies in its picture: its upper left corner, px."""

    x: int = Field(ge=0)
    y: int = Field(ge=0)


class Around(NamedTuple):
    """The picture around a window."""

    image: bytes
    """WebP, in the scale of the window."""
    place: WindowPlace


def pictures_of(raw: Path, stem: str) -> Path:
    """The tar of the pictures of a raw shard."""
    return raw / _FOLDER / f"{stem}.tar"


def around_writer(raw: Path, stem: str) -> TarWriter:
    """Begin that tar."""
    path = pictures_of(raw, stem)
    path.parent.mkdir(exist_ok=True)
    return TarWriter(path)


def add_around(tar: TarWriter, key: str, around: Around) -> None:
    """Write the picture of one window."""
    tar.add(key, {IMAGE_SUFFIX: around.image, RECORD_SUFFIX: around.place.model_dump_json().encode()})


def read_around(path: Path) -> Iterator[tuple[str, Around]]:
    """Keys and pictures of a raw shard, in the order of its windows.

    Raises:
        ShardError: the tar is damaged.
    """
    for key, members in read_samples(path, (IMAGE_SUFFIX, RECORD_SUFFIX)):
        yield key, Around(members[IMAGE_SUFFIX].data, WindowPlace.model_validate_json(members[RECORD_SUFFIX].data))


def seen_box(view: str, place: WindowPlace, window_px: int, size: tuple[int, int]) -> Box:
    """What is visible of a picture when one side of a window grows: straight behind the seam, at most a window far.

    Drawing looks as far (``visual_source: canvas_so_far``).

    >>> seen_box("right.0.5", WindowPlace(x=64, y=0), 128, (256, 128)).as_tuple()
    (0, 0, 128, 128)
    >>> seen_box("left.0.5", WindowPlace(x=64, y=0), 128, (224, 128)).as_tuple()
    (128, 0, 224, 128)

    Args:
        view: name of a view; a corner sees what the view of its first side does.
        place: where the window lies.
        window_px: its side.
        size: width and height of the picture.
    """
    growth, ratio = parse_view(view)
    direction = cast(Direction, growth.partition("+")[0])
    window = Box(0, 0, window_px, window_px)
    back = behind(direction, window, new_box(direction, round(ratio * window_px), window_px), window_px)
    assert back is not None  # Something of every view is known.
    seen = back.shift(place.x, place.y).intersection(Box(0, 0, *size))
    assert seen is not None  # The window's own known side lies in the picture.
    return seen
