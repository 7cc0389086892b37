"""Captions from a file: one local caption per step, written beforehand."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lit_outpaint.captions.scene import clean
from lit_outpaint.protocols import CaptionError, Written

if TYPE_CHECKING:
    from PIL.Image import Image

    from lit_outpaint.canvas.geometry import Direction


class FileCaptioner:
    """Reads out the captions of a file, one a step; it cannot imagine, summarise or look.

    Args:
        path: a text file with one caption a line, or a ``.yaml`` file with a list of captions.
        shuffle_seed: reads them in another order, drawn by this seed: right captions in wrong places, the ablation
            that shows what their place is worth.

    Raises:
        ValueError: the file cannot be read, holds no caption, or is no list of captions.
    """

    concurrency = 1

    def __init__(self, path: str, shuffle_seed: int | None = None) -> None:
        self.path = path
        self.name = "file" if shuffle_seed is None else "file:shuffled"
        self.captions = read_captions(Path(path))
        if shuffle_seed is not None:
            random.Random(shuffle_seed).shuffle(self.captions)

    def identity(self, call: str) -> dict[str, Any]:
        """Checksum of the captions in their order."""
        del call
        return {"captions_sha256": hashlib.sha256("\n".join(self.captions).encode()).hexdigest(), "sees": False}

    def imagine(self, caption: str, n: int) -> list[Written]:
        """A file holds no imaginary captions: raises ``CaptionError``."""
        raise CaptionError(f"{self.path} holds local captions only; imaginary captions need another captioner")

    def summarise(self, captions: Sequence[str]) -> Written:
        """A file holds no summary: raises ``CaptionError``."""
        raise CaptionError(f"{self.path} holds local captions only; a summary needs another captioner")

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


def read_captions(path: Path) -> list[str]:
    """Read the captions of a text or YAML file; see `FileCaptioner` for its form and errors."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the captions file must be a readable UTF-8 text, got {path}: {_reason(error)}") from error
    if path.suffix in (".yaml", ".yml"):
        lines = _yaml_list(path, text)
    else:
        lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"the captions file must hold at least one caption, got an empty {path}")
    return [clean(line) for line in lines]


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


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8"
