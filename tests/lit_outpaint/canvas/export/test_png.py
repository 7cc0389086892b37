import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.canvas.export import png
from lit_outpaint.canvas.export.png import png_stream, write_png
from lit_outpaint.canvas.export.provenance import xmp_packet
from lit_outpaint.canvas.store import Canvas


@pytest.mark.parametrize("band_bytes", [9000, 1 << 20])
@pytest.mark.parametrize("packing", [0, 6])
def test_the_png_holds_every_pixel(whole: Canvas, tmp_path: Path, band_bytes: int, packing: int) -> None:
    (tmp_path / "a.png").write_bytes(b"".join(png_stream(whole, packing=packing, band_bytes=band_bytes)))
    with Image.open(tmp_path / "a.png") as written:
        assert written.mode == "RGB"
        assert written.info["srgb"] == 0
        np.testing.assert_array_equal(np.asarray(written), whole.read(whole.box))


def test_what_is_not_known_is_transparent(cross: Canvas, tmp_path: Path) -> None:
    assert write_png(cross, tmp_path / "a.png")
    written = np.asarray(Image.open(tmp_path / "a.png"))
    assert written.shape == (158, 333, 4)
    np.testing.assert_array_equal(written[..., :3], cross.read(cross.box))
    assert int((written[..., 3] == 255).sum()) == 101 * 230 + 103 * 80 + 80 * 57
    assert written[0, 0, 3] == 0


def test_the_story_is_inside_and_other_programs_find_it(cross: Canvas, tmp_path: Path, facts: dict) -> None:
    write_png(cross, tmp_path / "a.png", xmp_packet(cross, facts))
    with Image.open(tmp_path / "a.png") as written:
        assert json.dumps(facts["seed"]) in written.info["xmp"].decode()
        assert "a kite" in written.info["xmp"].decode()


def test_a_canvas_too_long_for_png_writes_nothing_and_says_so(whole: Canvas, tmp_path: Path) -> None:
    assert not write_png(whole, tmp_path / "a.png", max_side=699)
    assert not list(tmp_path.glob("a.png*"))


def test_memory_does_not_grow_with_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_BAND_BYTES", 1 << 18)
    monkeypatch.setattr(png, "_PIECE_BYTES", 1 << 16)
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
