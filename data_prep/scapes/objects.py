"""The things of the scapes world, each drawn from a handful of large flat shapes.

Shapes are large (about 40 px) and flat on purpose: a window is coded into 1,024 numbers, and what the autoencoder
cannot carry cannot be learnt either. Every drawer gets the middle of the object's foot.
"""

from collections.abc import Callable

from data_prep.scapes.painter import Ink, Painter
from data_prep.scapes.palette import COLOURS, LABEL_COLOURS, LABEL_KINDS, RGB, lit

HALF_WIDTH, HEIGHT = 23.0, 50.0
"""Bounds of every object around its foot, px."""


class Brush:
    """Paints one object: knows its kind, its colour and the light that falls on it."""

    def __init__(self, painter: Painter, kind: str, colour: str | None, tint: tuple[float, float, float]) -> None:
        self._painter, self._tint = painter, tint
        self._kind = LABEL_KINDS.index(kind)
        self._colour = 0 if colour is None else LABEL_COLOURS.index(colour)
        self._main = (0, 0, 0) if colour is None else COLOURS[colour]

    @property
    def main(self) -> Ink:
        """The object's own colour, lit."""
        return Ink(lit(self._main, self._tint), kind=self._kind, colour=self._colour)

    @property
    def shade(self) -> Ink:
        """The object's own colour, a little darker; still counts as that colour."""
        darker = (int(self._main[0] * 0.78), int(self._main[1] * 0.78), int(self._main[2] * 0.78))
        return Ink(lit(darker, self._tint), kind=self._kind, colour=self._colour)

    def plain(self, rgb: RGB) -> Ink:
        """A fixed colour that does not name the object's colour, lit."""
        return Ink(lit(rgb, self._tint), kind=self._kind)

    def polygon(self, points: list[tuple[float, float]], ink: Ink) -> None:
        """Fill a polygon."""
        self._painter.polygon(points, ink)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, ink: Ink) -> None:
        """Fill an axis-aligned ellipse."""
        self._painter.ellipse(cx, cy, rx, ry, ink)

    def box(self, x0: float, y0: float, x1: float, y1: float, ink: Ink) -> None:
        """Fill an axis-aligned rectangle."""
        self._painter.box(x0, y0, x1, y1, ink)


WHITE, DARK, BROWN, STONE = (242, 240, 234), (58, 50, 52), (122, 84, 54), (176, 172, 168)


def _barn(b: Brush, x: float, y: float) -> None:
    b.box(x - 20, y - 24, x + 20, y, b.main)
    roof = [(x - 23, y - 24), (x - 16, y - 36), (x, y - 43), (x + 16, y - 36), (x + 23, y - 24)]
    b.polygon(roof, b.plain(DARK))
    b.box(x - 8, y - 17, x + 8, y, b.plain(WHITE))


def _windmill(b: Brush, x: float, y: float) -> None:
    b.polygon([(x - 13, y), (x - 8, y - 32), (x + 8, y - 32), (x + 13, y)], b.main)
    b.ellipse(x, y - 32, 8, 6, b.shade)
    for dx, dy in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        tip = (x + 16 * dx, y - 32 + 16 * dy)
        b.polygon([(x - 2 * dy, y - 32 + 2 * dx), (x + 2 * dy, y - 32 - 2 * dx), tip], b.plain(WHITE))
        b.polygon([(x, y - 32), (tip[0] - 6 * dx, tip[1]), tip], b.plain(WHITE))


def _tent(b: Brush, x: float, y: float) -> None:
    b.polygon([(x - 23, y), (x, y - 38), (x + 23, y)], b.main)
    b.polygon([(x - 8, y), (x, y - 24), (x + 8, y)], b.plain(DARK))


def _cactus(b: Brush, x: float, y: float) -> None:
    green = b.plain((44, 138, 74))
    b.box(x - 6, y - 40, x + 6, y, green)
    b.ellipse(x, y - 40, 6, 6, green)
    for side, height in ((-1, 20), (1, 14)):
        b.box(min(x, x + 17 * side), y - height - 7, max(x, x + 17 * side), y - height, green)
        b.box(x + 14 * side - 4, y - height - 19, x + 14 * side + 4, y - height, green)


def _mushroom(b: Brush, x: float, y: float) -> None:
    b.polygon([(x - 7, y), (x - 6, y - 22), (x + 6, y - 22), (x + 7, y)], b.plain((238, 226, 204)))
    cap = [(x - 22, y - 20), (x - 19, y - 32), (x - 9, y - 41), (x + 9, y - 41), (x + 19, y - 32), (x + 22, y - 20)]
    b.polygon(cap, b.main)
    for dx, dy in ((-10, -29), (3, -34), (12, -26)):
        b.ellipse(x + dx, y + dy, 3.5, 3.5, b.plain(WHITE))


def _pine(b: Brush, x: float, y: float) -> None:
    b.box(x - 4, y - 9, x + 4, y, b.plain(BROWN))
    for half, low, high in ((21, 8, 28), (17, 20, 39), (12, 32, 50)):
        b.polygon([(x - half, y - low), (x, y - high), (x + half, y - low)], b.plain((22, 66, 44)))


def _flag(b: Brush, x: float, y: float) -> None:
    b.box(x - 17, y - 48, x - 13, y, b.plain(DARK))
    b.polygon([(x - 13, y - 47), (x + 22, y - 36), (x - 13, y - 24)], b.main)


def _igloo(b: Brush, x: float, y: float) -> None:
    ice, joint = b.plain((172, 206, 232)), b.plain((134, 176, 212))
    points = [(x - 22, y), (x - 21, y - 11), (x - 15, y - 22), (x - 6, y - 28), (x + 6, y - 28), (x + 15, y - 22)]
    b.polygon([*points, (x + 21, y - 11), (x + 22, y)], ice)
    b.box(x - 21, y - 13, x + 21, y - 10, joint)
    b.ellipse(x, y - 7, 8, 7, b.plain(DARK))
    b.box(x - 8, y - 7, x + 8, y, b.plain(DARK))


def _sailboat(b: Brush, x: float, y: float) -> None:
    b.polygon([(x - 22, y - 11), (x + 22, y - 11), (x + 15, y), (x - 15, y)], b.plain(BROWN))
    b.box(x - 2, y - 47, x + 1, y - 11, b.plain(DARK))
    b.polygon([(x + 1, y - 47), (x + 20, y - 14), (x + 1, y - 14)], b.main)
    b.polygon([(x - 3, y - 40), (x - 3, y - 14), (x - 17, y - 14)], b.shade)


def _lighthouse(b: Brush, x: float, y: float) -> None:
    b.polygon([(x - 12, y), (x - 7, y - 38), (x + 7, y - 38), (x + 12, y)], b.plain(WHITE))
    for low, high in ((4, 13), (22, 31)):
        wide, narrow = 12 - low * 0.13, 12 - high * 0.13
        b.polygon([(x - wide, y - low), (x - narrow, y - high), (x + narrow, y - high), (x + wide, y - low)], b.main)
    b.box(x - 8, y - 44, x + 8, y - 38, b.plain(DARK))
    b.polygon([(x - 9, y - 44), (x, y - 50), (x + 9, y - 44)], b.main)


def _house(b: Brush, x: float, y: float) -> None:
    b.box(x - 17, y - 30, x + 17, y, b.main)
    b.polygon([(x - 21, y - 30), (x, y - 46), (x + 21, y - 30)], b.plain((96, 74, 70)))
    for dx in (-9, 9):
        b.box(x + dx - 4, y - 25, x + dx + 4, y - 17, b.plain(WHITE))
    b.box(x - 4, y - 12, x + 4, y, b.plain(DARK))


def _car(b: Brush, x: float, y: float) -> None:
    b.box(x - 22, y - 17, x + 22, y - 5, b.main)
    b.polygon([(x - 14, y - 17), (x - 9, y - 28), (x + 8, y - 28), (x + 15, y - 17)], b.main)
    b.polygon([(x - 9, y - 18), (x - 6, y - 25), (x + 6, y - 25), (x + 10, y - 18)], b.plain((206, 226, 238)))
    for dx in (-12, 12):
        b.ellipse(x + dx, y - 5, 6, 6, b.plain(DARK))


def _balloon(b: Brush, x: float, y: float) -> None:
    b.ellipse(x, y - 32, 17, 18, b.main)
    b.polygon([(x - 12, y - 21), (x + 12, y - 21), (x + 4, y - 9), (x - 4, y - 9)], b.shade)
    b.box(x - 5, y - 8, x + 5, y, b.plain(BROWN))


def _bird(b: Brush, x: float, y: float) -> None:
    ink = b.plain((64, 60, 74))
    b.polygon([(x - 20, y - 34), (x - 4, y - 26), (x, y - 21), (x - 2, y - 18), (x - 9, y - 24)], ink)
    b.polygon([(x + 20, y - 34), (x + 4, y - 26), (x, y - 21), (x + 2, y - 18), (x + 9, y - 24)], ink)
    b.ellipse(x, y - 22, 4, 6, ink)


def _star(b: Brush, x: float, y: float) -> None:
    # Stars shine: no tint would make them grey at the only time they are seen.
    ink = Ink((246, 240, 196), kind=LABEL_KINDS.index("star"))
    for dx, dy, r in ((-13, -34, 6.0), (12, -20, 5.0)):
        cx, cy, q = x + dx, y + dy, r * 0.32
        b.polygon([(cx, cy - r), (cx + q, cy - q), (cx + r, cy), (cx + q, cy + q)], ink)
        b.polygon([(cx, cy + r), (cx - q, cy + q), (cx - r, cy), (cx - q, cy - q)], ink)
        b.polygon([(cx, cy - r), (cx + q, cy + q), (cx, cy + r), (cx - q, cy - q)], ink)
        b.polygon([(cx - r, cy), (cx + q, cy - q), (cx + q, cy + q)], ink)


def _crystal(b: Brush, x: float, y: float) -> None:
    b.polygon([(x - 17, y), (x - 20, y - 20), (x - 13, y - 30), (x - 5, y - 20), (x - 3, y)], b.shade)
    b.polygon([(x + 17, y), (x + 20, y - 16), (x + 14, y - 25), (x + 6, y - 16), (x + 2, y)], b.shade)
    b.polygon([(x - 9, y), (x - 9, y - 30), (x, y - 43), (x + 9, y - 30), (x + 9, y)], b.main)


def _fossil(b: Brush, x: float, y: float) -> None:
    bone, gap = b.plain((226, 212, 178)), b.plain((150, 124, 92))
    for radius, ink in ((19, bone), (14, gap), (10, bone), (5, gap)):
        b.ellipse(x + (19 - radius) * 0.3, y - 21, radius, radius, ink)
    b.box(x - 19, y - 21, x - 11, y - 5, bone)


def _boulder(b: Brush, x: float, y: float) -> None:
    outline = [(x - 21, y - 6), (x - 16, y - 24), (x - 2, y - 33), (x + 14, y - 28), (x + 21, y - 12), (x + 15, y)]
    b.polygon([*outline, (x - 14, y)], b.plain(STONE))
    b.polygon([(x - 16, y - 24), (x - 2, y - 33), (x + 14, y - 28), (x, y - 22)], b.plain((206, 202, 198)))


DRAW: dict[str, Callable[[Brush, float, float], None]] = {
    "barn": _barn,
    "windmill": _windmill,
    "tent": _tent,
    "cactus": _cactus,
    "mushroom": _mushroom,
    "pine": _pine,
    "flag": _flag,
    "igloo": _igloo,
    "sailboat": _sailboat,
    "lighthouse": _lighthouse,
    "house": _house,
    "car": _car,
    "balloon": _balloon,
    "bird": _bird,
    "star": _star,
    "crystal": _crystal,
    "fossil": _fossil,
    "boulder": _boulder,
}
"""Drawer of every object kind."""
