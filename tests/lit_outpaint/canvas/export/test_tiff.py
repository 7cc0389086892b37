"""The TIFF read back by libraries that share no code with the writer."""

import json
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from lit_outpaint.canvas.export.provenance import provenance_json, xmp_packet
from lit_outpaint.canvas.export.pyramid import halve
from lit_outpaint.canvas.export.tiff import write_tiff
from lit_outpaint.canvas.store import Canvas


def _pixels(canvas: Canvas) -> np.ndarray:
    return canvas.read_with_alpha(canvas.box) if canvas.has_unknown else canvas.read(canvas.box)


@pytest.mark.parametrize("name", ["whole", "cross"])
@pytest.mark.parametrize("tile_px", [64, 256])
def test_three_libraries_read_the_same_pixels(
    name: str, tile_px: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    canvas = request.getfixturevalue(name)
    write_tiff(canvas, tmp_path / "a.tif", tile_px=tile_px)
    expected = _pixels(canvas)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), expected)
    np.testing.assert_array_equal(pyvips.Image.new_from_file(str(tmp_path / "a.tif")).numpy(), expected)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.tif")), expected)


def test_every_level_is_there_and_half_the_one_before(cross: Canvas, tmp_path: Path) -> None:
    write_tiff(cross, tmp_path / "a.tif", tile_px=64)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
        assert [page.is_reduced for page in file.pages] == [False, True, True, True]
        levels = [page.asarray() for page in file.pages]
    for fine, coarse in pairwise(levels):
        np.testing.assert_array_equal(halve(fine), coarse)
    assert levels[-1].shape == (20, 42, 4)


def test_the_story_is_inside(cross: Canvas, tmp_path: Path, facts: dict) -> None:
    write_tiff(cross, tmp_path / "a.tif", xmp_packet(cross, facts))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        packet = file.pages[0].tags["XMP"].value
    text = next(ElementTree.fromstring(packet).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")).text
    assert json.loads(text) == json.loads(provenance_json(cross, facts))


def test_a_failure_leaves_the_earlier_file(whole: Canvas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tif").write_bytes(b"earlier")
    monkeypatch.setattr(Canvas, "read", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_tiff(whole, tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_bytes() == b"earlier"
