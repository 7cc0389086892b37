from pathlib import Path

import numpy as np
import pytest

from lit_outpaint.canvas.edits import keep_candidate, kept_version
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.store import Canvas


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The file of a version that was not chosen."""
    canvas = Canvas.create(tmp_path, np.zeros((16, 16, 3), np.uint8), chunk_px=16)
    record = StepRecord(
        step=0,
        direction="right",
        window=(0, 0, 16, 16),
        strip=(8, 0, 16, 16),
        local_caption="a lake",
        global_caption="a wide view",
        caption_source="test",
        seed=1,
        candidate=1,
        seconds=0.5,
        checksum="",
    )
    keep_candidate(canvas, record, np.random.default_rng(0).integers(0, 256, (16, 8, 3), dtype=np.uint8))
    (path,) = (tmp_path / "kept").iterdir()
    return path


def test_a_version_is_found_by_its_number_alone(kept: Path) -> None:
    directory = kept.parent.parent
    version = kept_version(directory, 0, 0, 1)
    assert version is not None
    assert version[0].candidate == 1
    assert kept_version(directory, 0, 0, 0) is None
    assert kept_version(directory, 0, 1, 1) is None


def test_a_damaged_version_is_named_wherever_the_damage_lies(kept: Path) -> None:
    whole, refused = kept.read_bytes(), 0
    for place in range(0, len(whole), 7):
        kept.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        try:
            kept_version(kept.parent.parent, 0, 0, 1)
        except ValueError as error:
            refused += str(error).startswith(f"{kept} cannot be loaded")
    assert refused > 50
