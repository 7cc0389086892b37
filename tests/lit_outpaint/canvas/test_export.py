import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.canvas import export
from lit_outpaint.canvas.export import write_png
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.store import Canvas, checksum


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _add(canvas: Canvas, strip: Box, direction: str) -> np.ndarray:
    pixels = _noise(strip.height, strip.width)
    canvas.commit(
        StepRecord.model_validate(
            {
                "step": canvas.num_steps,
                "direction": direction,
                "window": strip.as_tuple(),
                "strip": strip.as_tuple(),
                "local_caption": "a",
                "global_caption": "b",
                "caption_source": "test",
                "seed": 0,
                "seconds": 0.0,
                "checksum": checksum(pixels),
            }
        ),
        pixels,
    )
    return pixels


@pytest.mark.parametrize("band_bytes", [1, 500, 1 << 20])
def test_the_png_holds_every_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, band_bytes: int) -> None:
    monkeypatch.setattr(export, "_BAND_BYTES", band_bytes)
    image = _noise(33, 50)
    assert write_png(Canvas.create(tmp_path, image, chunk_px=16), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as written:
        assert written.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(written), image)


def test_what_is_not_known_is_transparent(tmp_path: Path) -> None:
    image = _noise(20, 20)
    canvas = Canvas.create(tmp_path, image, chunk_px=16)
    above = _add(canvas, Box(4, -10, 12, 0), "up")
    assert write_png(canvas, tmp_path / "a.png")
    written = np.asarray(Image.open(tmp_path / "a.png"))
    assert written.shape == (30, 20, 4)
    np.testing.assert_array_equal(written[10:, :, :3], image)
    np.testing.assert_array_equal(written[:10, 4:12, :3], above)
    assert written[:10, 4:12, 3].min() == 255
    assert written[:10, :4, 3].max() == written[:10, 12:, 3].max() == 0


def test_a_canvas_too_long_for_png_writes_nothing_and_says_so(tmp_path: Path) -> None:
    canvas = Canvas.create(tmp_path, _noise(10, 30), chunk_px=16)
    assert not write_png(canvas, tmp_path / "a.png", max_side=29)
    assert not list(tmp_path.glob("a.png*"))


def test_memory_does_not_grow_with_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_BAND_BYTES", 1 << 18)
    peaks = []
    for height in (512, 4096):
        directory = tmp_path / str(height)
        directory.mkdir()
        canvas = Canvas.create(directory, np.zeros((height, 1500, 3), np.uint8) + 1, chunk_px=256)
        tracemalloc.start()
        assert write_png(canvas, directory / "a.png")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0] < 4096 * 1500 * 3 / 2
