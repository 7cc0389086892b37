from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.canvas.image_io import cut_square, enlarge_to_window, load_image, shrink_to_window

RED_OVER_BLUE = np.array([[[255, 0, 0]] * 4, [[0, 0, 255]] * 4], np.uint8)


def _save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_rgb_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(load_image(_save(tmp_path / "a.png", Image.fromarray(pixels))), pixels)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was held upright: rotate by 90 degrees clockwise to view.
    path = _save(tmp_path / "a.png", Image.fromarray(RED_OVER_BLUE), exif=exif)
    loaded = load_image(path)
    assert loaded.shape == (4, 2, 3)
    np.testing.assert_array_equal(loaded[:, 0], [[0, 0, 255]] * 4)
    np.testing.assert_array_equal(loaded[:, 1], [[255, 0, 0]] * 4)


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.array([[[200, 0, 0, 0], [200, 0, 0, 255], [200, 0, 0, 51]]], np.uint8)
    loaded = load_image(_save(tmp_path / "a.png", Image.fromarray(rgba)))
    np.testing.assert_array_equal(loaded[0], [[255, 255, 255], [200, 0, 0], [244, 204, 204]])


def test_a_transparent_palette_colour_becomes_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    loaded = load_image(_save(tmp_path / "a.png", image, transparency=0))
    np.testing.assert_array_equal(loaded[0], [[255, 255, 255], [200, 100, 50]])


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_becomes_equal_channels(tmp_path: Path, mode: str) -> None:
    image = Image.new("L", (2, 1), 255)
    image.putpixel((0, 0), 0)
    loaded = load_image(_save(tmp_path / "a.png", image.convert(mode)))
    np.testing.assert_array_equal(loaded[0], [[0, 0, 0], [255, 255, 255]])


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path: Path) -> None:
    deep = np.array([[0, 32896, 65535]], np.uint16)
    loaded = load_image(_save(tmp_path / "a.png", Image.fromarray(deep)))
    np.testing.assert_array_equal(loaded[0, :, 0], [0, 128, 255])


def test_cmyk_becomes_the_colour_that_was_printed(tmp_path: Path) -> None:
    image = Image.fromarray(RED_OVER_BLUE).resize((16, 16), Image.Resampling.NEAREST).convert("CMYK")
    loaded = load_image(_save(tmp_path / "a.jpg", image, quality=100)).astype(int)
    assert loaded.shape == (16, 16, 3)
    assert np.abs(loaded[2, 8] - [255, 0, 0]).max() < 12
    assert np.abs(loaded[13, 8] - [0, 0, 255]).max() < 12


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    loaded = load_image(_save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:]))
    np.testing.assert_array_equal(loaded[0, 0], [255, 0, 0])


def test_what_is_no_readable_picture_is_refused_by_name(tmp_path: Path) -> None:
    whole = _save(tmp_path / "a.png", Image.effect_noise((100, 100), 50))
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[:2000])
    text = tmp_path / "text.png"
    text.write_text("no picture")
    with pytest.raises(ValueError, match=r"cut\.png cannot be read"):
        load_image(cut)
    with pytest.raises(ValueError, match=r"text\.png is in no known format"):
        load_image(text)
    with pytest.raises(ValueError, match=r"absent\.png, which is missing"):
        load_image(tmp_path / "absent.png")
    with pytest.raises(ValueError, match="which is a directory"):
        load_image(tmp_path)


def test_a_picture_above_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", Image.new("L", (40, 30)))
    path.write_bytes(path.read_bytes()[:60])  # Decoding would fail; only the header is left.
    with pytest.raises(ValueError, match="at most 1000 pixels, got 40 x 30"):
        load_image(path, max_px=1000)


def test_shrinking_makes_the_shorter_side_one_window() -> None:
    wide = np.zeros((300, 700, 3), np.uint8)
    assert shrink_to_window(wide, 128).shape == (128, 299, 3)
    assert shrink_to_window(wide.transpose(1, 0, 2), 128).shape == (299, 128, 3)
    assert shrink_to_window(wide, 300) is wide


def test_enlarging_makes_the_shorter_side_one_window_and_has_its_limit() -> None:
    small = np.zeros((30, 70, 3), np.uint8)
    assert enlarge_to_window(small, 120).shape == (120, 280, 3)
    assert enlarge_to_window(small, 30) is small
    with pytest.raises(ValueError, match="got 70 x 30"):
        enlarge_to_window(small, 121)


def test_a_square_is_cut_at_its_place_and_resized_as_a_whole() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 14, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    np.testing.assert_array_equal(np.asarray(cut_square(image, 8)), pixels[:, 3:11])
    np.testing.assert_array_equal(np.asarray(cut_square(image, 8, lambda spare: spare)), pixels[:, 6:])
    wanted = Image.fromarray(pixels[:, 3:11]).resize((4, 4), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(np.asarray(cut_square(image, 4)), np.asarray(wanted))
