"""The plan of a run: which side grows how many times, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lit_outpaint.canvas.geometry import VAE_FACTOR, Box, Direction, anchor_window, check_direction, next_window


@dataclass(frozen=True)
class Plan:
    """Directions in runs, ``(("right", 8), ("left", 4))``: eight steps right, then four left."""

    runs: tuple[tuple[Direction, int], ...]

    def __len__(self) -> int:
        return sum(count for _, count in self.runs)

    def __iter__(self) -> Iterator[Direction]:
        for direction, count in self.runs:
            for _ in range(count):
                yield direction

    def __str__(self) -> str:
        return ",".join(f"{direction}:{count}" for direction, count in self.runs)

    def __add__(self, more: Plan) -> Plan:
        return Plan(self.runs + more.runs)

    def extent(self, image_box: Box, stride_px: int, window_px: int) -> Box:
        """What the canvas will span when the plan is done."""
        anchor = anchor_window(image_box, window_px)
        box = image_box
        for direction, count in self.runs:
            first, _ = next_window(box, direction, window_px, stride_px, anchor)
            more = (count - 1) * stride_px
            sideways = {"left": -more, "right": more}.get(direction, 0)
            upright = {"up": -more, "down": more}.get(direction, 0)
            box = box.union(first.shift(sideways, upright))
        return box


def parse_steps(text: str) -> Plan:
    """Read ``right:8,left:4``; a direction without a number counts once.

    Raises:
        ValueError: an unknown direction, a count that is no positive number, or nothing at all.
    """
    runs: list[tuple[Direction, int]] = []
    for part in text.split(","):
        name, colon, number = part.strip().partition(":")
        check_direction(name)
        try:
            count = int(number) if colon else 1
        except ValueError:
            count = 0
        if count < 1:
            raise ValueError(
                f"steps must be a positive whole number for each direction, as in right:8, got {part.strip()!r}"
            )
        runs.append((name, count))  # type: ignore[arg-type]
    return Plan(tuple(runs))


def stride_of(window_px: int, overlap_px: int) -> int:
    """New pixels per step; both numbers must be whole latent cells.

    Raises:
        ValueError: a side is no multiple of the VAE factor, or the overlap is not inside the window.
    """
    for name, value in (("window_px", window_px), ("overlap_px", overlap_px)):
        if value % VAE_FACTOR:
            fixed = max(VAE_FACTOR * round(value / VAE_FACTOR), VAE_FACTOR)
            raise ValueError(f"{name} must be a multiple of {VAE_FACTOR}, got {value}; try {fixed}")
    if not 0 < overlap_px < window_px:
        raise ValueError(f"overlap_px must lie between {VAE_FACTOR} and {window_px - VAE_FACTOR}, got {overlap_px}")
    return window_px - overlap_px
