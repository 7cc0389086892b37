"""The swappable parts: what the core asks of a captioner, a planner, a scorer and a metric, and nothing more.

Implementations need no base class; a YAML names them by ``class_path``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from numpy import ndarray
    from PIL.Image import Image
    from torch import Tensor

    # Only for types: preparation on plain nodes has captioners without torch.
    from lit_outpaint.canvas.geometry import Box, Direction
    from lit_outpaint.planning.regions import Region, RegionPlan


class CaptionError(RuntimeError):
    """A captioner could not write a caption; the caller may turn to another captioner.

    Args:
        message: one line for people.
        cause: one word to count by and to keep in records: ``no_text``, ``blind``, ``invalid_answer``, or a cause of
            ``lit_outpaint.chat.requests``.
        kept: of several captions that were asked for, those that it did write.
    """

    def __init__(self, message: str, cause: str = "no_text", kept: tuple[Written, ...] = ()) -> None:
        super().__init__(message)
        self.cause, self.kept = cause, kept


class Written(NamedTuple):
    """A text and who wrote it."""

    text: str
    writer: str
    """Name of the captioner whose text this is."""
    instead_of: str = ""
    """The captioner that was asked first and why it wrote nothing; empty when it wrote itself."""


@runtime_checkable
class Captioner(Protocol):
    """Writes captions for what a picture does not show: a language model, a cache, rules or a fixed list.

    Every method may be called from ``concurrency`` threads at once and raises ``CaptionError`` when it has no text.
    """

    name: str
    """Who writes, as it stands in records: for example ``rules``, ``file`` or ``openai:llava-1.6``."""
    concurrency: int
    """How many calls are worth making at once."""

    def identity(self, call: str) -> dict[str, Any]:
        """What the answers to ``call`` (a method's name) depend on besides its arguments, as JSON values.

        Caches and cards are keyed by it: model, parameters, checksum of the prompt; never a key or an address.
        ``sees`` in it says whether the answer depends on the picture.
        """
        ...

    def imagine(self, caption: str, n: int) -> list[Written]:
        """Return ``n`` captions of what could lie around the frame that ``caption`` describes."""
        ...

    def summarise(self, captions: Sequence[str]) -> Written:
        """Return one caption of the whole scene that the captions describe in parts."""
        ...

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
        """Return one non-empty sentence for the next window.

        Args:
            view: what lies at the growing side; None when the caller shows nothing.
            direction: the side that grows.
            global_caption: the whole scene.
            previous: the most recent local captions, newest last.
            seen: things that the captions so far have put on the canvas, most recent last.
            step: number of the step, from 0.
        """
        ...

    def describe(self, image: Image) -> Written:
        """Return one sentence that says what a picture shows."""
        ...


class Planned(NamedTuple):
    """A plan of regions and who made it."""

    plan: RegionPlan
    writer: str
    """Name of the planner whose plan this is."""
    instead_of: str = ""
    """The planner that was asked first and why it made none; empty when it made the plan itself."""
    reasoning: str = ""
    """What it said on the way, for people."""


@runtime_checkable
class Planner(Protocol):
    """Says what stands where on a picture: a language model, rules, or a cache.

    ``plan`` may be called from ``concurrency`` threads at once.
    """

    name: str
    """Who plans, as it stands in records: for example ``rules`` or ``openai:gpt-4o``."""
    concurrency: int
    """How many calls are worth making at once."""

    def identity(self) -> dict[str, Any]:
        """What plans depend on besides their arguments, as JSON values; caches are keyed by it."""
        ...

    def plan(self, prompt: str, locked: Sequence[Region] = ()) -> Planned:
        """Return a plan in shares of the picture, with the prompt as its base prompt.

        Args:
            prompt: the whole picture.
            locked: regions that stand already, in shares; they come first in the plan, unchanged, and everything else
                is planned around them.

        Raises:
            ValueError: the prompt holds no word, or the locked regions overlap.
        """
        ...


class Candidate(NamedTuple):
    """One of several versions of a window, to choose from."""

    window: UInt8[ndarray, "h w 3"]
    """As it would stand on the canvas: known pixels, and the new ones after the seam treatment."""
    decoded: UInt8[ndarray, "h w 3"]
    """As the model drew it, the known side included."""
    new: Box
    """The new part, in window coordinates."""
    local_caption: str
    """What the window was asked to show."""
    global_caption: str
    """The whole scene."""


@runtime_checkable
class CandidateScorer(Protocol):
    """Says which version of a window to keep."""

    def score(self, candidates: Sequence[Candidate]) -> list[float]:
        """Return a finite number per version of one window; the highest is kept, the first among equals."""
        ...


class SampleId(NamedTuple):
    """Which picture of an evaluation a row is. Whatever is random or split in a metric depends on it alone."""

    key: str
    """Of the panorama, or of the picture where it is no panorama."""
    step: int = 0
    """How many steps had been taken when the window was whole; 0 is the start window."""

    def __str__(self) -> str:
        return f"{self.key}/{self.step}"


class NotComputable(ValueError):
    """A metric has too little to be computed from; to be reported as such, never as 0."""


View = Literal["window", "strip", "panorama"]
"""What a metric looks at: the window of a step, the part of it that the step added, or the whole picture."""
CaptionOf = Literal["local", "global"]


@runtime_checkable
class ImageMetric(Protocol):
    """A score over pictures, accumulated in batches and over ranks.

    ``update`` and ``reset`` return nothing. They are not annotated so, because the command line, which compares
    annotations, reads None in this file and in others as two things.
    """

    view: View
    """Which pictures it wants to be fed."""
    caption: CaptionOf
    """Which captions it wants; whole panoramas come with global ones."""
    from_step: int
    """Which windows and strips it wants: 1 leaves the start windows out, which are real; 0 takes them in."""

    def update(self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]) -> Any:
        """Take in a batch.

        Args:
            generated: pictures ``(B, 3, H, W)`` in [-1, 1].
            reference: the real pictures beside them; for metrics of two sets either may come alone, the other with 0
                rows.
            captions: one per picture.
            samples: one per picture; hand in each sample once over all ranks.
        """
        ...

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in on all ranks, each under a name that says its definition.

        Raises:
            NotComputable: on every rank alike, when there is too little to compute from.
        """
        ...

    def reset(self) -> Any:
        """Forget everything taken in."""
        ...


Span = tuple[int, int]
"""Characters of a caption, from the first to behind the last."""


class EntityPair(NamedTuple):
    """An attribute and the thing that has it."""

    attribute: Span
    entity: Span


@runtime_checkable
class EntityParser(Protocol):
    """Finds the attribute-entity pairs of a caption."""

    def pairs(self, caption: str) -> list[EntityPair]:
        """The pairs, in the order of their attributes."""
        ...
