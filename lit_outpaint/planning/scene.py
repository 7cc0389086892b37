"""What a prompt says of the whole scene - time of day, weather, mountains behind -, to be said of each region too.

A region's own prompt outweighs the base prompt inside its box; one that is silent about the night is drawn by day.
"""

from __future__ import annotations

import re
from typing import Final

_TIMES: Final = (
    "dawn|day|daylight|dusk|night|evening|morning|noon|afternoon|twilight|sunset|sunrise|moonlight|sunlight|starlight"
)
_WEATHER: Final = "sky|skies|clouds|rain|fog|mist|haze|storm|snowfall"
_SCENE: Final = re.compile(
    rf"\b(?:(?:at|by|in|during) (?:the |a |an )?(?:\w+ )?(?:{_TIMES})"
    rf"|(?:under|beneath|in) (?:the |a |an )?(?:\w+ )?(?:{_WEATHER})"
    r"|on a (?:\w+ )?(?:night|day|morning|evening)"
    r"|with (?:no )?mountains)\b",
    re.IGNORECASE,
)
_IN_THE_SKY: Final = re.compile(r"in (?:the |a |an )?(?:\w+ )?(?:sky|skies|clouds)", re.IGNORECASE)


def scene_of(prompt: str) -> str:
    """The phrases about time, weather and mountains, in order.

    >>> scene_of("a red barn at dusk under a cloudy sky, left of a blue tent")
    'at dusk under a cloudy sky'
    >>> scene_of("a balloon in the open sky")
    ''
    """
    phrases = [match[0] for match in _SCENE.finditer(prompt) if not _IN_THE_SKY.fullmatch(match[0])]
    return " ".join(dict.fromkeys(phrases))
