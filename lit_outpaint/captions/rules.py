"""Captions by rules: deterministic, offline, good enough to stand in for a language model.

It serves as the baseline without a language model, and as the last resort when one fails. It works on captions alone:
it sees no picture and knows no data set.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_outpaint.captions.objects import noun_phrases
from lit_outpaint.captions.scene import Scene, content_words, elements, read_scene
from lit_outpaint.protocols import CaptionError, Written
from lit_outpaint.system.text import clean

if TYPE_CHECKING:
    from PIL.Image import Image

    from lit_outpaint.canvas.geometry import Direction

MAX_SUMMARY_WORDS = 50
"""A global caption stays below the 77 tokens of a text encoder (about 1.3 tokens a word)."""
_TRIES_PER_CAPTION = 40
_FEW_PLACES = 3
"""A walk through fewer places than these names the things in them, too."""

_GENERIC_PLACES = (
    "an open field",
    "a winding path",
    "a row of trees",
    "a small house",
    "a quiet stretch of water",
    "a rocky slope",
    "a wooden fence",
    "tall grass",
    "a low wall",
    "a patch of flowers",
    "a stone bridge",
    "bare ground",
)
_SKY = re.compile(
    r"\b(?:sky|skies|clouds?|birds?|balloons?|stars?|moon|sun|kites?|planes?|airplanes?|rainbow)\b", re.IGNORECASE
)
_UNDERGROUND = re.compile(
    r"\b(?:underground|soil|earth|strata|roots?|caves?|caverns?|tunnels?|fossils?|bedrock|buried|depths?|seabed|crystals?|gems?|ore)\b",
    re.IGNORECASE,
)


class RuleCaptioner:
    """Writes captions by rules; the same input gives the same output, on every machine.

    Args:
        corpus: captions of other pictures. ``imagine`` picks from it what could lie around a picture; without it, it
            names generic places. The captioner never sees the pictures.
    """

    name = "rules"
    concurrency = 1

    def __init__(self, corpus: Sequence[str] = ()) -> None:
        self.corpus = tuple(corpus)

    def identity(self, call: str) -> dict[str, Any]:
        """Checksum of the rules, and of the corpus where it counts."""
        identity: dict[str, Any] = {"rules_sha256": _rules_sha256(), "sees": False}
        if call == "imagine" and self.corpus:
            identity["corpus_sha256"] = hashlib.sha256("\n".join(self.corpus).encode()).hexdigest()
        return identity

    def imagine(self, caption: str, n: int) -> list[Written]:
        """Return ``n`` distinct captions of what could lie around the frame, none contradicting ``caption``.

        They name places only: time of day, weather and mountains are left to those who saw the picture.

        Raises:
            ValueError: the caption holds no word, or ``n`` is negative.
        """
        if n < 0:
            raise ValueError(f"the number of imaginary captions must not be negative, got {n}")
        seen = [read_scene(caption)]
        found: list[str] = []
        rng = random.Random(hashlib.sha256(clean(caption).encode()).digest())
        for _ in range(n * _TRIES_PER_CAPTION if self.corpus else 0):
            if len(found) == n:
                break
            scene = read_scene(self.corpus[rng.randrange(len(self.corpus))])
            if not any(scene.same_place(other) or scene.contradicts(other) for other in seen):
                seen.append(scene)
                found.append(scene.place)
        return [self._written(text) for text in found + _generic_places(rng, seen[0], n - len(found))]

    def summarise(self, captions: Sequence[str]) -> Written:
        """Return one caption: time, weather and mountains that any caption names, then the distinct places.

        Where captions disagree on a global attribute the first to name it is followed.

        Raises:
            ValueError: there is no caption, or one holds no word.
        """
        if not captions:
            raise ValueError("a summary needs at least one caption, got none")
        scenes = [read_scene(caption) for caption in captions]
        time = next((scene.time for scene in scenes if scene.time), None)
        weather = next((scene.weather for scene in scenes if scene.weather), None)
        mountains = next((scene.mountains for scene in scenes if scene.mountains is not None), None)
        opening = ["a wide view", time, weather, "with mountains" if mountains else None]
        head = " ".join(part for part in opening if part)
        places = _enumerate(_distinct_places(scenes, MAX_SUMMARY_WORDS - len(head.split())))
        return self._written(f"{head}: {places}")

    def next_local(
        self,
        *,
        view: Image | None,
        direction: Direction,
        global_caption: str,
        previous: Sequence[str],
        seen: Sequence[str],
        step: int,
    ) -> Written:
        """Walk through the places that the global caption lists; never empty, the last one again only if it is alone.

        Going right walks forward, going left backward; up and down take what belongs to the sky or under the ground.
        Where fewer than three places are listed, the things that they name are further choices, one by one. Of the
        places ahead the first with something that is not ``seen`` yet is taken, else the first that the latest
        captions leave out.

        Raises:
            ValueError: the global caption holds no word.
        """
        del view  # Rules cannot look.
        if direction in ("up", "down"):
            places, offset = _vertical_places(direction, global_caption), step
        else:
            places = elements(global_caption)
            offset = step + 1 if direction == "right" else -(step + 1)
        towards = -1 if direction == "left" else 1
        ahead = [places[(offset + towards * i) % len(places)] for i in range(len(places))]
        if direction in ("left", "right") and len(places) < _FEW_PLACES:
            ahead += _things_in(places)
        latest = {clean(caption) for caption in previous[1 - len(ahead) :]} if len(ahead) > 1 else ()
        there = frozenset[str]().union(*map(content_words, seen))
        fresh = [place for place in ahead if place not in latest]
        new = [place for place in fresh if not content_words(place) <= there]
        return self._written((new or fresh or ahead)[0])

    def describe(self, image: Image) -> Written:
        """Rules cannot look: raises ``CaptionError``."""
        del image
        raise CaptionError("rules cannot look at a picture; give its caption, or a captioner that sees", "blind")

    def _written(self, text: str) -> Written:
        return Written(text, self.name)


@cache
def _rules_sha256() -> str:
    """Checksum of the source that decides what is written: this module and its lexicons."""
    sources = (Path(__file__).with_name(name) for name in ("rules.py", "scene.py", "objects.py", "negations.py"))
    return hashlib.sha256(b"\n".join(path.read_bytes() for path in sources)).hexdigest()


def _distinct_places(scenes: Sequence[Scene], max_words: int) -> list[str]:
    """The places in order, without those an earlier one names already, as many as fit."""
    kept: list[Scene] = []
    num_words = 0
    for scene in scenes:
        size = len(scene.place.split()) + 1
        if any(scene.same_place(other) for other in kept) or (kept and num_words + size > max_words):
            continue
        kept.append(scene)
        num_words += size
    return [scene.place for scene in kept]


def _enumerate(places: Sequence[str]) -> str:
    if len(places) < 3:
        return ", and ".join(places)
    return ", ".join(places[:-1]) + ", and " + places[-1]


def _generic_places(rng: random.Random, scene: Scene, n: int) -> list[str]:
    places = [place for place in _GENERIC_PLACES if not read_scene(place).same_place(scene)]
    rng.shuffle(places)
    return [places[i] if i < len(places) else f"{places[i % len(places)]}, further on ({i})" for i in range(n)]


def _things_in(places: Sequence[str]) -> list[str]:
    """What places name beside themselves; the last first, since that is where a caption says what lies around."""
    things = [thing for place in places for thing in reversed(noun_phrases(place))]
    return [thing for thing in dict.fromkeys(things) if thing not in places]


def _vertical_places(direction: Direction, global_caption: str) -> list[str]:
    """What the caption lists for the sky (up) or the underground (down), else a plain phrase for it."""
    wanted = _SKY if direction == "up" else _UNDERGROUND
    listed = [place for place in elements(global_caption) if wanted.search(place)]
    if listed:
        return listed
    if direction == "down":
        return ["layers of earth underground"]
    scene = read_scene(global_caption)
    sky = {"under a clear sky": "a clear sky", "under a cloudy sky": "a cloudy sky"}.get(
        scene.weather or "", "the open sky"
    )
    return [f"{sky} {scene.time}" if scene.time else sky]
