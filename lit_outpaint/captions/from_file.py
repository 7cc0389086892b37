"""Captions from a file: one local caption per step, written beforehand."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lit_outpaint.protocols import CaptionError, Written
from lit_outpaint.system.text import clean
from lit_outpaint.system.text_files import read_text, text_lines

if TYPE_CHECKING:
    from PIL.Image import Image

    from lit_outpaint.canvas.geometry import Direction


class FileCaptioner:
    """Reads out the captions of a file, one a step; it cannot look.

    Args:
        path: a text file with one caption a line, or a ``.yaml`` file with a list of captions.
        shuffle_seed: takes them from wrong places, drawn by this seed: captions of the right kind that belong to other
            pictures, the ablation that shows what their place is worth. In a run none keeps its place; preparation,
            which has no order, gets others than it asks about, drawn by the question. Without it there is nothing to be
            imagined or summarised.

    Raises:
        ValueError: the file cannot be read, holds no caption, or is no list of captions; or one caption alone is to be
            shuffled.
    """

    concurrency = 1

    def __init__(self, path: str, shuffle_seed: int | None = None) -> None:
        self.path, self.shuffle_seed = path, shuffle_seed
        self.name = "file" if shuffle_seed is None else "file:shuffled"
        self.captions = read_captions(Path(path))
        if shuffle_seed is not None:
            if len(self.captions) < 2:
                raise ValueError(f"{path} must hold at least two captions for shuffle_seed, got one")
            self.captions = _displaced(self.captions, random.Random(shuffle_seed))

    def identity(self, call: str) -> dict[str, Any]:
        """Checksum of the captions in their order."""
        del call
        return {"captions_sha256": hashlib.sha256("\n".join(self.captions).encode()).hexdigest(), "sees": False}

    def imagine(self, caption: str, n: int) -> list[Written]:
        """Shuffled: ``n`` different captions of other pictures.

        Raises:
            CaptionError: the file is read in its order, so it holds no imaginary captions; or fewer than n others.
        """
        return self._drawn("imagine", [caption], n)

    def summarise(self, captions: Sequence[str]) -> Written:
        """Shuffled: a caption of another picture.

        Raises:
            CaptionError: the file is read in its order, so it holds no summary.
        """
        return self._drawn("summarise", captions, 1)[0]

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
        """Return the caption of line ``step``.

        Raises:
            CaptionError: the file ends before.
        """
        del view, direction, global_caption, previous, seen
        if step >= len(self.captions):
            raise CaptionError(f"{self.path} holds {len(self.captions)} captions, step {step + 1} needs one more")
        return Written(self.captions[step], self.name)

    def describe(self, image: Image) -> Written:
        """A file cannot look: raises ``CaptionError``."""
        raise CaptionError(f"{self.path} holds local captions only; to describe needs a captioner that sees", "blind")

    def _drawn(self, call: str, asked: Sequence[str], n: int) -> list[Written]:
        """Captions that depend on the question alone, so that ranks and restarts get the same, and are none of it."""
        if self.shuffle_seed is None:
            raise CaptionError(
                f"{self.path} is read one caption a step; to {call} needs another captioner, or a shuffle_seed"
            )
        others = [text for text in self.captions if text not in asked]
        if n > len(others):
            raise CaptionError(f"{self.path} holds {len(others)} captions of other pictures, {n} were asked for")
        question = "\n".join(asked)
        chosen = random.Random(f"{self.shuffle_seed} {call} {question}").sample(others, n)
        return [Written(text, self.name) for text in chosen]


def _displaced(captions: Sequence[str], rng: random.Random) -> list[str]:
    """All captions in an order in which none keeps its place: one cycle through all places (Sattolo 1986)."""
    moved = list(captions)
    for place in range(len(moved) - 1, 0, -1):
        other = rng.randrange(place)
        moved[place], moved[other] = moved[other], moved[place]
    return moved


def read_captions(path: Path) -> list[str]:
    """Read the captions of a text or YAML file; see `FileCaptioner` for its form and errors."""
    text = read_text(path, "the captions file")
    if path.suffix in (".yaml", ".yml"):
        lines = [(f"{path}, entry {number}", line) for number, line in enumerate(_yaml_list(path, text), 1)]
    else:
        lines = [(f"{path}:{number}", line) for number, line in text_lines(text)]
    if not lines:
        raise ValueError(f"the captions file must hold at least one caption, got an empty {path}")
    captions = []
    for where, line in lines:
        try:
            captions.append(clean(line))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    return captions


def _yaml_list(path: Path, text: str) -> list[str]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"the captions file {path} must be YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(
            f"the captions file {path} must be a list of texts, got {type(value).__name__}; quote each caption"
        )
    return value
