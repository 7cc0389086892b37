"""What of a sample differs from epoch to epoch besides its view: which caption, which crop, mirrored or not.

All of it follows from (seed, epoch, key), like views, so that a resumed run sees what an undisturbed one sees.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

_SIDES: Final = re.compile(r"\b(?:left|right)(?:most|wards?)?\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What training varies; held-out samples stay as they are."""

    captions: bool = False
    """Take all captions of a picture in turn, one an epoch, instead of the same one."""
    crops: bool = False
    """Take another square of the picture in each epoch, instead of the middle one."""
    flips: bool = False
    """Mirror half of the pictures, by chance in each epoch."""

    def caption(self, captions: Sequence[str], seed: int, epoch: int, key: str) -> str:
        """The caption of an epoch; ``n`` epochs in a row see ``n`` captions, each once."""
        if not self.captions:
            return captions[0]
        return captions[(_number("caption", seed, key) + epoch) % len(captions)]

    def place(self, seed: int, epoch: int, key: str) -> Callable[[int], int]:
        """From the pixels that do not fit into the square to how many of them lie left of it or above."""
        if not self.crops:
            return lambda spare: spare // 2
        number = _number("crop", seed, epoch, key)
        return lambda spare: number % (spare + 1)

    def mirrored(self, captions: Sequence[str], seed: int, epoch: int, key: str) -> bool:
        """Whether the picture is mirrored; never where one of its captions tells left from right."""
        if not self.flips or any(_SIDES.search(caption) for caption in captions):
            return False
        return _number("flip", seed, epoch, key) % 2 == 1


def _number(*parts: object) -> int:
    """64 bits that hang on the parts alone."""
    # sha256 rather than hash(): the latter differs between processes.
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest()[:8])
