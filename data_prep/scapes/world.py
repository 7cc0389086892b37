"""The scapes world: an endless panorama, deterministic from a seed, with exact facts and label maps.

World pixels: x grows to the right without bound, y downwards. The band ``0 <= y < 128`` holds the horizon; above it
lies sky (things float there), below it strata (things lie buried there). Three attributes hold everywhere in one world:
time of day, weather and whether mountains stand behind the horizon. Biomes change along x.

Nothing is stored: every question is answered from hashes of (seed, layer, cell), so a window costs the same anywhere.
"""

from dataclasses import dataclass

import numpy as np

from data_prep.scapes.objects import DRAW, HALF_WIDTH, HEIGHT, Brush
from data_prep.scapes.painter import SUPERSAMPLING, ColourPainter, Ink, LabelPainter, Painter
from data_prep.scapes.palette import (
    BIOME_KINDS,
    BIOMES,
    COLOURS,
    GROUND,
    KINDS,
    LABEL_BIOMES,
    LABEL_SKIES,
    SKY_KINDS,
    STRATA,
    TIME_PALETTES,
    TIMES,
    UNDERGROUND_KINDS,
    WEATHERS,
    lit,
)

WINDOW = 128
"""Side of a window, px."""

HORIZON, SURFACE_END = 74, 138
"""Mean y of the horizon, and where the surface ends and the strata begin, px."""

SLOT, BIOME_CELL, BLEND = 64, 256, 36
"""Spacing of objects, mean length of a biome, and width of the blend between two biomes, px."""

SKY_ROW, STRATA_ROW = 80, 72
"""Vertical spacing of things in the sky and under the ground, px."""

ZENITH = -256
"""y at which the sky reaches its zenith colour, px."""

VISIBLE_SHARE = 0.55
"""An object is named when at least this share of its bounding box lies in the window."""


@dataclass(frozen=True)
class SeenObject:
    """An object of a window: kind, colour (None where a colour makes no sense) and the middle of its box, window px."""

    kind: str
    colour: str | None
    x: float
    y: float


@dataclass(frozen=True)
class Facts:
    """What is true of a window. ``time, weather`` are None without sky, ``mountains`` without a horizon.

    ``biomes`` maps a biome to its share of the surface in the window; empty where no surface is seen.
    """

    time: str | None
    weather: str | None
    mountains: bool | None
    biomes: dict[str, float]
    objects: tuple[SeenObject, ...]


@dataclass(frozen=True)
class Labels:
    """Class index of every pixel, uint8 ``(height, width)`` each; names in ``palette.LABEL_*``."""

    kind: np.ndarray
    colour: np.ndarray
    biome: np.ndarray
    sky: np.ndarray


@dataclass(frozen=True)
class Placed:
    """An object in world pixels: the middle of its foot."""

    kind: str
    colour: str | None
    x: float
    foot: float

    def visible_share(self, x: int, y: int, width: int, height: int) -> float:
        """Share of the bounding box that lies in a view."""
        across = min(self.x + HALF_WIDTH, x + width) - max(self.x - HALF_WIDTH, x)
        down = min(self.foot, y + height) - max(self.foot - HEIGHT, y)
        return max(0.0, across) * max(0.0, down) / (2 * HALF_WIDTH * HEIGHT)


@dataclass(frozen=True, kw_only=True)
class Staged:
    """What a world is told to show instead of drawing it from its seed; the rest follows the world's own laws."""

    time: str
    weather: str
    mountains: bool
    biomes: tuple[str, ...]
    """One biome, or the one on the left of ``border`` and the one on the right of it."""
    border: float = 0.0
    """Where the second biome begins, x in px."""
    objects: tuple[Placed, ...] = ()
    """All the objects there are."""


class World:
    """One endless panorama.

    Args:
        seed: of everything.
        staged: scene attributes, biomes and objects that are given; None draws them from the seed too.
    """

    def __init__(self, seed: int, staged: Staged | None = None) -> None:
        self.seed = seed
        self._staged = staged
        self.time = staged.time if staged else TIMES[int(self._uniform("time") * len(TIMES))]
        self.weather = staged.weather if staged else WEATHERS[int(self._uniform("weather") * len(WEATHERS))]
        self.mountains = staged.mountains if staged else self._uniform("mountains") < 0.5
        # Even and odd biome cells draw from two disjoint halves, so that neighbours always differ.
        order = sorted(BIOMES, key=lambda biome: self._uniform("half", BIOMES.index(biome)))
        self._halves = (order[: len(order) // 2], order[len(order) // 2 :])
        self._palette = TIME_PALETTES[self.time]

    def render(self, x: int, y: int = 0, width: int = WINDOW, height: int = WINDOW) -> np.ndarray:
        """Picture of a view, uint8 ``(height, width, 3)``."""
        painter = ColourPainter(self._background(x, y, width, height), x, y)
        self._paint(painter, x, y, width, height)
        return painter.pixels()

    def labels(self, x: int, y: int = 0, width: int = WINDOW, height: int = WINDOW) -> Labels:
        """Exact class of every pixel of a view."""
        painter = LabelPainter(self._label_background(x, y, width, height), x, y)
        self._paint(painter, x, y, width, height)
        codes = painter.codes().view(np.uint8).reshape(height, width, 4)
        return Labels(kind=codes[..., 0], colour=codes[..., 1], biome=codes[..., 2], sky=codes[..., 3])

    def facts(self, x: int, y: int = 0, width: int = WINDOW, height: int = WINDOW) -> Facts:
        """What is true of a view; objects count when at least ``VISIBLE_SHARE`` of their box is in it."""
        seen = [
            SeenObject(placed.kind, placed.colour, placed.x - x, placed.foot - HEIGHT / 2 - y)
            for placed in self._objects(x, y, width, height)
            if placed.visible_share(x, y, width, height) >= VISIBLE_SHARE
        ]
        sky, surface = y < HORIZON - 16, y < SURFACE_END - 16 and y + height > HORIZON + 16
        return Facts(
            time=self.time if sky else None,
            weather=self.weather if sky else None,
            mountains=self.mountains if sky and surface else None,
            biomes=self._biome_shares(x, width) if surface else {},
            objects=tuple(sorted(seen, key=lambda o: o.x)),
        )

    def biome_at(self, x: float) -> str:
        """Name of the biome at a place."""
        return self._biome(self._biome_cell(x))

    def _uniform(self, layer: str, *cell: int) -> float:
        """A number in [0, 1) that belongs to (seed, layer, cell): splitmix64 over the parts."""
        state = self.seed & _MASK
        for part in (_layer_hash(layer), *cell):
            state = _splitmix((state ^ (part & _MASK)) & _MASK)
        return (state >> 11) / (1 << 53)

    def _biome(self, cell: int) -> str:
        if self._staged:
            return self._staged.biomes[0 if cell < 1 else -1]
        half = self._halves[cell % 2]
        return half[int(self._uniform("biome", cell) * len(half))]

    def _biome_border(self, cell: int) -> float:
        """Where biome cell ``cell`` begins, x in px."""
        if self._staged:
            # Cells 0 and 1 share the whole world; with one biome both are the same.
            return self._staged.border if cell == 1 else (cell - 1) * _ENDLESS
        return cell * BIOME_CELL + (self._uniform("border", cell) - 0.5) * 0.5 * BIOME_CELL

    def _biome_cell(self, x: float) -> int:
        cell = int(x // BIOME_CELL)
        if x < self._biome_border(cell):
            return cell - 1
        return cell + 1 if x >= self._biome_border(cell + 1) else cell

    def _biome_weights(self, xs: np.ndarray) -> dict[str, np.ndarray]:
        """Weight of every biome per column; the weights of a column sum to 1, borders blend linearly."""
        first, last = self._biome_cell(xs[0] - BLEND), self._biome_cell(xs[-1] + BLEND)
        weights: dict[str, np.ndarray] = {}
        rise = np.ones_like(xs)
        for cell in range(first, last + 1):
            after = np.clip((xs - self._biome_border(cell + 1)) / BLEND + 0.5, 0.0, 1.0)
            biome = self._biome(cell)
            weights[biome] = weights.get(biome, np.zeros_like(xs)) + rise - after
            rise = after
        return weights

    def _biome_shares(self, x: int, width: int) -> dict[str, float]:
        weights = self._biome_weights(np.arange(x, x + width, 2, dtype=np.float64))
        shares = {biome: round(float(weight.mean()), 4) for biome, weight in weights.items()}
        return {biome: share for biome, share in shares.items() if share > 0.0}

    def _wave(self, xs: np.ndarray, layer: str, amplitude: float) -> np.ndarray:
        """A smooth random curve: two sines whose phases belong to the world."""
        slow = np.sin(xs * (2 * np.pi / 310) + self._uniform(layer, 0) * 6.28)
        return amplitude * (0.7 * slow + 0.3 * np.sin(xs * (2 * np.pi / 127) + self._uniform(layer, 1) * 6.28))

    def _edges(self, xs: np.ndarray) -> list[np.ndarray]:
        """Height of the borders per column, y in px: horizon, near ground, soil, stone, deep rock."""
        near = HORIZON + 30 + self._wave(xs, "near", 5.0)
        strata = (SURFACE_END, SURFACE_END + 76, SURFACE_END + 168)
        waves = [depth + self._wave(xs, f"strata{i}", 7.0) for i, depth in enumerate(strata)]
        return [HORIZON + self._wave(xs, "horizon", 3.0), near, *waves]

    def _background(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        """Sky gradient, ground and strata at the painter's size, uint8."""
        s = SUPERSAMPLING
        xs, ys = x + (np.arange(width * s) + 0.5) / s, y + (np.arange(height * s) + 0.5) / s
        p = self._palette
        stops = np.array([p.zenith, p.middle, p.horizon], dtype=np.float64)
        gradient = np.stack([np.interp(ys, [ZENITH, 0, HORIZON], stops[:, c]) for c in range(3)], axis=-1)
        pixels = np.repeat(gradient.astype(np.uint8)[:, None], width * s, axis=1)
        if y + height <= HORIZON - 8:
            return pixels
        weights = self._biome_weights(xs)
        far, near = (
            sum(weight[:, None] * np.array(lit(GROUND[biome][tone], p.tint)) for biome, weight in weights.items())
            for tone in (0, 1)
        )
        layers = [far, near, *(np.broadcast_to(np.array(rgb, dtype=np.float64), far.shape) for rgb in STRATA)]
        for edge, colour in zip(self._edges(xs), layers, strict=True):
            below = ys[:, None] >= edge[None]
            np.copyto(pixels, colour.astype(np.uint8)[None], where=below[..., None])
        return pixels

    def _label_background(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        """Class codes of sky, biomes and strata, int32 ``(height, width)``; strata are 0 everywhere."""
        xs, ys = x + np.arange(width) + 0.5, y + np.arange(height) + 0.5
        horizon, _, surface_end, *_ = self._edges(xs)
        weights = self._biome_weights(xs)
        names = list(weights)
        indices = np.array([LABEL_BIOMES.index(name) for name in names], dtype=np.int32)
        dominant = indices[np.argmax(np.stack([weights[name] for name in names]), axis=0)] << 16
        codes = np.full((height, width), LABEL_SKIES.index(self.time) << 24, dtype=np.int32)
        codes = np.where(ys[:, None] >= horizon, dominant[None], codes)
        return np.where(ys[:, None] >= surface_end, np.int32(0), codes)

    def _paint(self, painter: Painter, x: int, y: int, width: int, height: int) -> None:
        if self.mountains and y < HORIZON < y + height + 60:
            self._paint_mountains(painter, x, width)
        if self.weather == "cloudy" and y < HORIZON:
            self._paint_clouds(painter, x, y, width, height)
        for placed in self._objects(x, y, width, height):
            tint = (1.0, 1.0, 1.0) if placed.kind in UNDERGROUND_KINDS else self._palette.tint
            DRAW[placed.kind](Brush(painter, placed.kind, placed.colour, tint), placed.x, placed.foot)

    def _paint_mountains(self, painter: Painter, x: int, width: int) -> None:
        ink = Ink(self._palette.mountain, sky=LABEL_SKIES.index("mountain"))
        cell_px = 72
        for cell in range((x - cell_px * 2) // cell_px, (x + width + cell_px * 2) // cell_px + 1):
            peak = cell * cell_px + 16 + self._uniform("peak", cell) * 40
            height = 24 + self._uniform("height", cell) * 18
            half = height * 1.5
            xs = np.arange(peak - half, peak + half + 4, 4.0)
            foot = HORIZON + self._wave(xs, "horizon", 3.0)
            # The foot follows the horizon, so that no mountain stands in front of the ground.
            painter.polygon([(peak, HORIZON - height), *zip(xs[::-1].tolist(), foot[::-1].tolist(), strict=True)], ink)

    def _paint_clouds(self, painter: Painter, x: int, y: int, width: int, height: int) -> None:
        ink = Ink(self._palette.cloud, sky=LABEL_SKIES.index("cloud"))
        for row in range((y - 40) // SKY_ROW, min(0, (y + height) // SKY_ROW) + 1):
            for cell in range((x - 48) // SLOT, (x + width + 48) // SLOT + 1):
                cx = cell * SLOT + 16 + self._uniform("cloud", row, cell) * 32
                cy = row * SKY_ROW + 16 + self._uniform("cloudy", row, cell) * 12
                r = 9 + self._uniform("puff", row, cell) * 3
                for dx, dy, size in ((-r, 2, 0.75), (0, -2, 1.0), (r, 2, 0.8)):
                    painter.ellipse(cx + dx, cy + dy, r * size * 1.25, r * size, ink)

    def _objects(self, x: int, y: int, width: int, height: int) -> list[Placed]:
        """Objects whose box may touch a view, back to front."""
        if self._staged:
            return [placed for placed in self._staged.objects if placed.visible_share(x, y, width, height) > 0.0]
        slots = range((x - 32) // SLOT, (x + width + 32) // SLOT + 1)
        found = [self._surface_object(slot) for slot in slots] if y < 128 and y + height > 40 else []
        for row in range((y - 8) // SKY_ROW, min(-1, (y + height) // SKY_ROW) + 1):
            found += [self._sky_object(row, slot) for slot in slots]
        first_row = max(0, (y - SURFACE_END - 8) // STRATA_ROW)
        for row in range(first_row, (y + height - SURFACE_END) // STRATA_ROW + 1):
            found += [self._buried_object(row, slot) for slot in slots]
        return [placed for placed in found if placed and placed.visible_share(x, y, width, height) > 0.0]

    def _place(self, layer: str, kinds: tuple[str, ...], cell: tuple[int, ...], foot: float) -> Placed:
        kind = kinds[int(self._uniform(layer + "kind", *cell) * len(kinds))]
        names = list(COLOURS)
        colour = names[int(self._uniform(layer + "colour", *cell) * len(names))] if KINDS[kind] else None
        x = cell[-1] * SLOT + SLOT / 2 + (self._uniform(layer + "x", *cell) - 0.5) * 14
        return Placed(kind, colour, x, foot + (self._uniform(layer + "y", *cell) - 0.5) * 12)

    def _surface_object(self, slot: int) -> Placed | None:
        if self._uniform("empty", slot) < 0.12:
            return None
        biome = self.biome_at(slot * SLOT + SLOT / 2)
        return self._place("surface", BIOME_KINDS[biome], (slot,), HORIZON + 34)

    def _sky_object(self, row: int, slot: int) -> Placed | None:
        starry = self.time == "night" and self.weather == "clear"
        draw, foot = self._uniform("floating", row, slot), row * SKY_ROW + 74
        if draw < 0.3:
            return self._place("sky", SKY_KINDS, (row, slot), foot)
        return self._place("star", ("star",), (row, slot), foot) if starry and draw < 0.8 else None

    def _buried_object(self, row: int, slot: int) -> Placed | None:
        if self._uniform("buried", row, slot) >= 0.55:
            return None
        return self._place("strata", UNDERGROUND_KINDS, (row, slot), SURFACE_END + 8 + row * STRATA_ROW + 60)


_MASK = (1 << 64) - 1
_ENDLESS = 1e9
"""Farther than any view, px."""


def _splitmix(state: int) -> int:
    """One round of splitmix64 (Steele, Lea, Flood 2014), a public-domain integer mixer."""
    state = (state + 0x9E3779B97F4A7C15) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


def _layer_hash(layer: str) -> int:
    # int.from_bytes is stable between runs, unlike hash(str).
    return _splitmix(int.from_bytes(layer.encode()[:8].ljust(8, b"\0"), "little") ^ len(layer) << 3)
