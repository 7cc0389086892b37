"""A picture to widen, and the arguments of a small run that does."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    return tmp_path / "in.png"


@pytest.fixture
def arguments(tmp_path: Path, image: Path, model: Path) -> dict[str, str]:
    return {
        "--image": str(image),
        "--caption": "a wide view at night: a meadow, a lake, and a desert",
        "--steps": "right:2,up:1",
        "--out": str(tmp_path / "run"),
        "--model": str(model),
    }
