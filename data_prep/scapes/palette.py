"""Names and colours of the scapes world.

Everything below the sky is lit: its colour is multiplied by the tint of the time of day, so that "night stays night"
is a property of every pixel and not only of the sky.
"""

from dataclasses import dataclass

RGB = tuple[int, int, int]

TIMES = ("dawn", "day", "dusk", "night")
WEATHERS = ("clear", "cloudy")
BIOMES = ("meadow", "desert", "forest", "snowfield", "lake", "town")
COLOURS: dict[str, RGB] = {"red": (206, 44, 40), "yellow": (244, 204, 46), "blue": (48, 84, 206)}


@dataclass(frozen=True, kw_only=True)
class TimePalette:
    """Colours of one time of day: sky from horizon to zenith, clouds, mountains, and the tint of all lit things."""

    horizon: RGB
    middle: RGB
    zenith: RGB
    cloud: RGB
    mountain: RGB
    tint: tuple[float, float, float]


TIME_PALETTES: dict[str, TimePalette] = {
    "dawn": TimePalette(
        horizon=(255, 216, 186),
        middle=(228, 182, 206),
        zenith=(128, 138, 202),
        cloud=(255, 236, 232),
        mountain=(156, 130, 164),
        tint=(1.0, 0.92, 0.92),
    ),
    "day": TimePalette(
        horizon=(208, 234, 250),
        middle=(122, 188, 242),
        zenith=(58, 118, 212),
        cloud=(252, 252, 254),
        mountain=(126, 142, 164),
        tint=(1.0, 1.0, 1.0),
    ),
    "dusk": TimePalette(
        horizon=(255, 152, 78),
        middle=(204, 92, 98),
        zenith=(72, 44, 106),
        cloud=(240, 178, 150),
        mountain=(104, 62, 92),
        tint=(1.0, 0.78, 0.66),
    ),
    "night": TimePalette(
        horizon=(50, 60, 102),
        middle=(22, 28, 62),
        zenith=(8, 10, 30),
        cloud=(84, 92, 122),
        mountain=(32, 36, 60),
        tint=(0.52, 0.56, 0.74),
    ),
}

GROUND: dict[str, tuple[RGB, RGB]] = {
    "meadow": ((126, 194, 84), (98, 168, 66)),
    "desert": ((238, 212, 148), (220, 186, 116)),
    "forest": ((56, 112, 64), (42, 90, 50)),
    "snowfield": ((244, 248, 254), (222, 232, 246)),
    "lake": ((84, 154, 204), (58, 124, 178)),
    "town": ((158, 158, 164), (116, 116, 124)),
}
"""Far and near ground of every biome by day."""

STRATA: tuple[RGB, ...] = ((134, 96, 62), (112, 108, 104), (74, 66, 84))
"""Soil, stone and deep rock, from the surface downwards."""

KINDS: dict[str, bool] = {
    "barn": True,
    "windmill": True,
    "tent": True,
    "cactus": False,
    "mushroom": True,
    "pine": False,
    "flag": True,
    "igloo": False,
    "sailboat": True,
    "lighthouse": True,
    "house": True,
    "car": True,
    "balloon": True,
    "bird": False,
    "star": False,
    "crystal": True,
    "fossil": False,
    "boulder": False,
}
"""Every object kind, and whether it comes in several colours."""

BIOME_KINDS: dict[str, tuple[str, str]] = {
    "meadow": ("barn", "windmill"),
    "desert": ("tent", "cactus"),
    "forest": ("mushroom", "pine"),
    "snowfield": ("flag", "igloo"),
    "lake": ("sailboat", "lighthouse"),
    "town": ("house", "car"),
}
SKY_KINDS = ("balloon", "bird")
UNDERGROUND_KINDS = ("crystal", "fossil", "boulder")

LABEL_KINDS = ("none", *KINDS)
LABEL_COLOURS = ("none", *COLOURS)
LABEL_BIOMES = ("none", *BIOMES)
LABEL_SKIES = ("none", *TIMES, "cloud", "mountain")
"""Class names of the label maps, by index."""


def lit(rgb: RGB, tint: tuple[float, float, float]) -> RGB:
    """Colour of a surface under the light of a time of day; channels in [0, 255]."""
    return (int(rgb[0] * tint[0]), int(rgb[1] * tint[1]), int(rgb[2] * tint[2]))
