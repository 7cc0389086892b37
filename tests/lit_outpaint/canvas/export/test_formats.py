from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.canvas.export.formats import (
    FORMATS,
    Format,
    check_formats,
    parse_formats,
    place_of,
    present_formats,
    put_back_exports,
    write_exports,
)
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.store import Canvas


def test_every_format_is_written_once_and_found_again(cross: Canvas, tmp_path: Path, facts: dict) -> None:
    written = write_exports(cross, FORMATS, tmp_path, facts)
    assert all(path.exists() for path in written)
    assert len(written) == len(FORMATS) - 1  # The page holds the deep zoom tiles.
    assert set(present_formats(tmp_path)) == set(FORMATS) - {"dzi"}
    assert not list(tmp_path.rglob("*.partial*"))


def test_tiles_asked_for_alone_do_not_take_the_page_away(whole: Canvas, tmp_path: Path, facts: dict) -> None:
    write_exports(whole, ["dzi"], tmp_path, facts)
    assert present_formats(tmp_path) == ("dzi",)
    write_exports(whole, ["page"], tmp_path, facts)
    write_exports(whole, ["dzi"], tmp_path, facts)
    assert present_formats(tmp_path) == ("page",)


def test_what_a_kill_took_away_while_it_was_renewed_is_put_back(whole: Canvas, tmp_path: Path, facts: dict) -> None:
    formats = ("ome-zarr", "page")
    write_exports(whole, formats, tmp_path, facts)
    for name in ("view", "panorama.ome.zarr"):  # As a kill between the two renames leaves it.
        (tmp_path / name).rename(tmp_path / f"{name}.old")
        (tmp_path / f"{name}.partial").mkdir()
    put_back_exports(tmp_path)
    assert present_formats(tmp_path) == formats
    write_exports(whole, formats, tmp_path, facts)
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "view", "panorama.ome.zarr"}


def test_links_stay_links_however_often_what_they_lead_to_is_renewed(
    whole: Canvas, tmp_path: Path, facts: dict
) -> None:
    (tmp_path / "large_disk" / "page").mkdir(parents=True)
    (tmp_path / "view").symlink_to(tmp_path / "large_disk" / "page")
    (tmp_path / "panorama.ome.zarr").symlink_to(tmp_path / "large_disk" / "nothing_yet")
    (tmp_path / "view.old").symlink_to(tmp_path / "large_disk")  # As earlier versions left it.
    for _ in range(3):
        write_exports(whole, ["page", "ome-zarr"], tmp_path, facts)
        assert (tmp_path / "large_disk" / "page" / "index.html").is_file()
        assert (tmp_path / "large_disk" / "nothing_yet" / "zarr.json").is_file()
    assert (tmp_path / "view").is_symlink()
    assert {path.name for path in (tmp_path / "large_disk").iterdir()} == {"page", "nothing_yet"}


@pytest.mark.parametrize("name", FORMATS)
def test_what_else_lies_in_the_place_of_a_format_is_refused_and_kept(
    whole: Canvas, tmp_path: Path, facts: dict, name: Format
) -> None:
    top = tmp_path / place_of(name).split("/")[0]
    if name in ("jpeg", "webp", "tiff"):
        top.mkdir()
    else:
        top.write_text("a note")
    with pytest.raises(ValueError, match=f"{name} is to be a (file|directory), but {top} is a "):
        write_exports(whole, [name], tmp_path, facts)
    assert {path.name for path in tmp_path.iterdir()} == {"whole", top.name}


@pytest.mark.parametrize("name", ["ome-zarr", "page"])
def test_a_link_to_other_files_is_refused(whole: Canvas, tmp_path: Path, facts: dict, name: Format) -> None:
    (tmp_path / "website").mkdir()
    (tmp_path / "website" / "index.html").write_text("another page")
    (tmp_path / place_of(name).split("/")[0]).symlink_to("website")
    with pytest.raises(ValueError, match=f"{name} would take the place of other files"):
        write_exports(whole, [name], tmp_path, facts)
    assert (tmp_path / "website" / "index.html").read_text() == "another page"


def test_a_format_that_fails_leaves_no_draft(whole: Canvas, tmp_path: Path, facts: dict) -> None:
    for chunk in (whole.directory / "canvas.zarr" / "c").glob("*/*/0"):
        chunk.write_bytes(b"no pixels")
    for name in FORMATS:
        with pytest.raises(ValueError, match="is damaged"):
            write_exports(whole, [name], tmp_path, facts)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_deep_zoom_tiles_follow_the_format(cross: Canvas, tmp_path: Path, facts: dict) -> None:
    write_exports(cross, ["dzi"], tmp_path, facts)
    files = tmp_path / "view" / "panorama_files"
    assert sorted(path.name for path in files.iterdir()) == sorted(map(str, range(10)))  # 333 px: 2^8 < 333 <= 2^9.
    assert Image.open(files / "0" / "0_0.png").size == (1, 1)
    assert Image.open(files / "8" / "0_0.png").size == (167, 79)
    full = np.concatenate([np.asarray(Image.open(files / "9" / f"{x}_0.png")) for x in (0, 1)], axis=1)
    np.testing.assert_array_equal(full, cross.read_with_alpha(cross.box))
    assert 'Width="333" Height="158"' in (tmp_path / "view" / "panorama.dzi").read_text()


def test_a_list_of_formats_is_read_in_any_order() -> None:
    assert parse_formats("tiff, page,page,") == ("tiff", "page")
    assert parse_formats("") == ()


@pytest.mark.parametrize("text", ["gif", "page;tiff", "PAGE"])
def test_a_format_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"--export takes a list of jpeg, webp, .* got '"):
        parse_formats(text)


@pytest.mark.parametrize(("name", "most"), [("jpeg", 65_500), ("webp", 16_383)])
def test_a_picture_too_long_for_a_format_is_refused_before_any_work(name: str, most: int) -> None:
    check_formats([name], Box(0, 0, most, 10))
    with pytest.raises(ValueError, match=f"{name} holds at most {most} px a side, the picture will be {most + 1} x 10"):
        check_formats([name], Box(-1, 0, most, 10))
    check_formats(["tiff", "dzi", "page", "ome-zarr"], Box(0, 0, 10_000_000, 10_000))
