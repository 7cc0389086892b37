"""Canvases to export."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lit_outpaint.canvas.geometry import Box, Direction
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.store import Canvas, checksum

HOSTILE = "<script>alert(\"1\")</script> </SCRIPT> <!-- <b>bold</b> & 'quoted' ]]> \u2028 caf\u00e9 {{data}} --%>"
"""A caption that would break a careless page, packet or template."""

AddStrip = Callable[..., np.ndarray]


@pytest.fixture
def add_strip() -> AddStrip:
    """Commits a step of noise and returns its pixels."""

    def add(
        canvas: Canvas, step: int, strip: Box, direction: Direction, caption: str, source: str = "test"
    ) -> np.ndarray:
        rng = np.random.default_rng(step)
        pixels = rng.integers(0, 256, (strip.height, strip.width, 3), dtype=np.uint8)
        record = StepRecord(
            step=step,
            direction=direction,
            window=strip.as_tuple(),
            strip=strip.as_tuple(),
            local_caption=caption,
            global_caption="a wide view",
            caption_source=source,
            caption_instead_of="http://user:sesame-open@somewhere refused",
            seed=2**62 + 1,
            seconds=0.5,
            checksum=checksum(pixels),
        )
        canvas.commit([(record, pixels)])
        return pixels

    return add


@pytest.fixture
def whole(tmp_path: Path) -> Canvas:
    """A canvas of smooth colours without unknown pixels, 700 x 300, no multiple of anything."""
    y, x = np.mgrid[:300, :700]
    image = np.stack([x // 3, y // 2, (x + y) // 5], axis=2).astype(np.uint8)
    directory = tmp_path / "whole"
    directory.mkdir()
    return Canvas.create(directory, image, chunk_px=64)


@pytest.fixture
def cross(tmp_path: Path, add_strip: AddStrip) -> Canvas:
    """A canvas with unknown corners, negative coordinates, a hostile caption and step 1 before 0: 333 x 158 px."""
    directory = tmp_path / "cross"
    directory.mkdir()
    image = np.random.default_rng(9).integers(0, 256, (101, 230, 3), dtype=np.uint8)
    canvas = Canvas.create(directory, image, chunk_px=32)
    add_strip(canvas, 1, Box(40, -57, 120, 0), "up", "a kite")
    add_strip(canvas, 0, Box(-103, 10, 0, 90), "left", HOSTILE)
    return canvas


@pytest.fixture
def facts() -> dict[str, object]:
    """What a run knows beside its journal."""
    return {"global_caption": HOSTILE, "seed": 3, "model_fingerprint": "f" * 64, "plan": ["left:1,up:1"]}
