import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.canvas.export.flat_files import BACKGROUND, MAX_JPEG_XMP, require_pyvips, write_flat
from lit_outpaint.canvas.export.provenance import provenance_json, xmp_packet
from lit_outpaint.canvas.store import Canvas


@pytest.mark.parametrize(("ending", "mode"), [("jpg", "RGB"), ("webp", "RGB")])
def test_the_picture_is_there_but_for_the_loss_of_the_format(
    whole: Canvas, tmp_path: Path, ending: str, mode: str
) -> None:
    write_flat(whole, tmp_path / f"a.{ending}", "")
    with Image.open(tmp_path / f"a.{ending}") as written:
        assert written.mode == mode
        difference = np.asarray(written).astype(int) - whole.read(whole.box)
    assert np.abs(difference).mean() < 2
    assert [path.name for path in tmp_path.glob("a.*")] == [f"a.{ending}"]


def test_unknown_pixels_are_white_in_jpeg_and_transparent_in_webp(cross: Canvas, tmp_path: Path) -> None:
    for ending in ("jpg", "webp"):
        write_flat(cross, tmp_path / f"a.{ending}", "")
    jpeg, webp = (np.asarray(Image.open(tmp_path / name)) for name in ("a.jpg", "a.webp"))
    np.testing.assert_allclose(jpeg[:40, :100].reshape(-1, 3).mean(axis=0), BACKGROUND, atol=2)
    np.testing.assert_array_equal(webp[..., 3], cross.read_with_alpha(cross.box)[..., 3])


@pytest.mark.parametrize("ending", ["jpg", "webp"])
def test_the_story_is_inside(cross: Canvas, tmp_path: Path, facts: dict, ending: str) -> None:
    write_flat(cross, tmp_path / f"a.{ending}", xmp_packet(cross, facts))
    with Image.open(tmp_path / f"a.{ending}") as written:
        packet = written.info["xmp"]
    text = next(ElementTree.fromstring(packet).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")).text
    assert json.loads(text) == json.loads(provenance_json(cross, facts))


def test_the_longest_packet_that_is_allowed_fits_into_a_jpeg(whole: Canvas, tmp_path: Path) -> None:
    packet = xmp_packet(whole, {"global_caption": "x" * (MAX_JPEG_XMP - 1500)}, MAX_JPEG_XMP)
    assert MAX_JPEG_XMP - 1500 < len(packet.encode()) <= MAX_JPEG_XMP
    write_flat(whole, tmp_path / "a.jpg", packet)
    assert Image.open(tmp_path / "a.jpg").info["xmp"].decode() == packet


def test_a_failure_while_reading_is_told_and_leaves_the_earlier_file(
    whole: Canvas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"earlier")

    def damaged(*_: object) -> None:
        raise ValueError("a chunk is damaged")

    monkeypatch.setattr(Canvas, "read", damaged)
    with pytest.raises(ValueError, match="a chunk is damaged"):
        write_flat(whole, tmp_path / "a.jpg", "")
    assert [path.read_bytes() for path in tmp_path.glob("a.*")] == [b"earlier"]


def test_without_pyvips_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvips", None)
    with pytest.raises(ValueError, match=r"pip install 'lit-outpaint\[view\]'"):
        require_pyvips()
