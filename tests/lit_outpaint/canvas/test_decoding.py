"""The one door for pictures: what every oddity of a file looks like in the end."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from lit_outpaint.canvas.decoding import PictureError, decode, upright_size

GREY = np.array([[0, 1, 53], [128, 200, 255]], np.uint8)
COLOUR = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
ORIENTATION, X_RESOLUTION = 0x0112, 0x011A


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **({"photometric": "minisblack"} | options))
    return buffer.getvalue()


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, "a picture").image)


def swapped_profile() -> bytes:
    """An sRGB profile in which red and green are each other."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"gTMP").replace(b"gXYZ", b"rXYZ").replace(b"gTMP", b"gXYZ")


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.fromarray(GREY)),
        encoded(Image.fromarray(GREY.astype(np.uint16) * 257)),
        encoded(Image.fromarray(GREY.astype(np.uint16) << 8)),
        encoded(Image.fromarray(GREY.astype(np.int32) * 257), "PPM"),
        tiff(GREY.astype(np.uint16) * 257),
        tiff(GREY.astype(np.uint16) * 257, byteorder=">"),
        tiff(65535 - GREY.astype(np.uint16) * 257, photometric="miniswhite"),
        tiff(GREY.astype(np.float32)),
        tiff(GREY.astype(np.float32) / 255),
    ],
    ids=["8 bit", "16 bit", "shifted", "pgm", "tiff", "big endian", "white is zero", "whole floats", "floats"],
)
def test_grey_of_any_depth_is_the_same_picture(data: bytes) -> None:
    np.testing.assert_array_equal(pixels_of(data), np.repeat(GREY[:, :, None], 3, axis=2))


@pytest.mark.parametrize(
    "pixels",
    [
        GREY.astype(np.float32) * 1.5,
        GREY.astype(np.float32) / 200,
        GREY.astype(np.float32) - 1,
        np.full((2, 2), np.nan, np.float32),
        GREY.astype(np.int32),
        GREY.astype(np.int16),
    ],
    ids=["fractions", "above one", "negative", "nan", "32 bit", "signed"],
)
def test_levels_of_no_known_range_are_refused_in_one_line(pixels: np.ndarray) -> None:
    with pytest.raises(PictureError, match=r"the image a\.tif cannot be used: .*; save it with 8") as refusal:
        decode(tiff(pixels), "a.tif")
    assert refusal.value.cause == "unknown_colours"
    assert "\n" not in str(refusal.value)


def test_a_transparent_level_of_deep_grey_becomes_white() -> None:
    deep = Image.fromarray(np.array([[5, 257 * 80]], np.uint16))
    np.testing.assert_array_equal(pixels_of(encoded(deep, transparency=5))[0, :, 0], [255, 80])


def test_colours_come_through_their_profile() -> None:
    flipped = COLOUR[:, :, [1, 0, 2]].astype(int)
    read = decode(encoded(Image.fromarray(COLOUR), icc_profile=swapped_profile()), "a")
    assert read.mended == ("colour_profile",)
    assert np.abs(np.asarray(read.image).astype(int) - flipped).max() <= 2
    layered = Image.fromarray(np.dstack([COLOUR, np.full((4, 6), 255, np.uint8)]))
    read = decode(encoded(layered, icc_profile=swapped_profile()), "a")
    assert read.mended == ("colour_profile", "transparent")
    assert np.abs(np.asarray(read.image).astype(int) - flipped).max() <= 2


@pytest.mark.parametrize(
    ("profile", "mended"),
    [(SRGB, ()), (b"no profile", ("profile_ignored",)), (SRGB[:300], ("profile_ignored",))],
    ids=["sRGB", "none", "cut"],
)
def test_what_is_srgb_or_damaged_leaves_the_pixels_as_they_are(profile: bytes, mended: tuple[str, ...]) -> None:
    read = decode(encoded(Image.fromarray(COLOUR), icc_profile=profile), "a")
    np.testing.assert_array_equal(np.asarray(read.image), COLOUR)
    assert read.mended == mended


def test_a_profile_of_other_colours_is_ignored() -> None:
    read = decode(encoded(Image.fromarray(GREY), icc_profile=SRGB), "a")
    np.testing.assert_array_equal(np.asarray(read.image)[:, :, 0], GREY)
    assert read.mended == ("grey", "profile_ignored")


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_turned_once_and_its_size_is_known_before(
    orientation: int, form: str, tmp_path: Path
) -> None:
    method = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)  # fmt: skip
    stored = Image.fromarray(COLOUR) if method is None else Image.fromarray(COLOUR).transpose(method)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    (tmp_path / "a").write_bytes(encoded(stored, form, exif=exif))
    read = decode(tmp_path / "a", "a")
    np.testing.assert_array_equal(np.asarray(read.image), COLOUR)
    assert read.mended == (() if orientation == 1 else ("turned",))
    assert upright_size(tmp_path / "a") == (6, 4)


def test_text_where_a_resolution_should_be_costs_nothing() -> None:
    head = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2)
    turned = struct.pack("<HHIHH", ORIENTATION, 3, 1, 6, 0)
    exif = head + turned + struct.pack("<HHI4sI", X_RESOLUTION, 2, 3, b"72\0\0", 0)
    upright = Image.linear_gradient("L").resize((16, 8))
    read = decode(encoded(upright, "JPEG", exif=exif, quality=100), "a.jpg")
    assert read.image.size == (8, 16)
    assert read.mended == ("turned", "grey")
    wanted = np.asarray(upright.transpose(Image.Transpose.ROTATE_270), int)
    assert np.abs(np.asarray(read.image, int)[:, :, 0] - wanted).max() <= 2


def _big_text() -> bytes:
    info = PngInfo()
    info.add_text("a", "0" * 2_000_000, zip=True)
    return encoded(Image.fromarray(COLOUR), pnginfo=info)


def _broken_avif() -> bytes:
    data = encoded(Image.effect_noise((64, 64), 50).convert("RGB"), "AVIF")
    begin = data.index(b"mdat") + 4
    return data[:begin] + bytes(len(data) - begin)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (_big_text(), "corrupt"),
        (encoded(Image.fromarray(COLOUR), icc_profile=bytes(2_000_000)), "corrupt"),
        (_broken_avif(), "corrupt"),
        (encoded(Image.effect_noise((64, 64), 50))[:500], "corrupt"),
        (encoded(Image.fromarray(COLOUR), "EPS"), "no_image"),
        (b"", "no_image"),
    ],
    ids=["big text", "big profile", "damaged avif", "cut off", "PostScript", "empty"],
)
def test_whatever_a_decoder_raises_is_the_fault_of_the_picture_and_named(
    data: bytes, cause: str, recwarn: pytest.WarningsRecorder
) -> None:
    with pytest.raises(PictureError, match=r"some/a\.png") as refusal:
        decode(data, "some/a.png")
    assert refusal.value.cause == cause
    assert "\n" not in str(refusal.value)
    assert not recwarn.list
