"""What a prompt says of the whole scene - time of day, mountains behind -, to be said of each region too.

A region's own prompt outweighs the base prompt inside its box; one that is silent about the night is drawn by day. The
weather stays with the base prompt: "a barn under a clear sky" was seen to be drawn as sky alone.
"""

from __future__ import annotations

import re
from typing import Final

_TIMES: Final = (
    "dawn|day|daylight|dusk|night|evening|morning|noon|afternoon|twilight|sunset|sunrise|moonlight|sunlight|starlight"
)
_SCENE: Final = re.compile(
    rf"\b(?:(?:at|by|in|during) (?:the |a |an )?(?:\w+ )?(?:{_TIMES})"
    r"|on a (?:\w+ )?(?:night|day|morning|evening)"
    r"|with (?:no )?mountains)\b",
    re.IGNORECASE,
)


def scene_of(prompt: str, time: str = "") -> str:
    """The phrases about time and mountains, in order.

    Args:
        prompt: of the whole picture.
        time: what it says of the time of one thing; where it names several times, that thing has this one alone.

    >>> scene_of("a red barn at dusk under a cloudy sky, left of a blue tent, with mountains behind")
    'at dusk with mountains'
    >>> scene_of("a desert by day and a forest at night with mountains", "by day")
    'by day with mountains'
    """
    phrases = list(dict.fromkeys(match[0] for match in _SCENE.finditer(prompt)))
    times = [phrase for phrase in phrases if not phrase.lower().startswith("with")]
    if len(times) > 1:
        phrases = [phrase for phrase in phrases if phrase == time or phrase not in times]
    return " ".join(phrases)
