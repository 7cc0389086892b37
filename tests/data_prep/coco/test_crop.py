import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from data_prep.around import WindowPlace
from data_prep.coco.crop import Window, cut_window, picture_around
from lit_outpaint.canvas.decoding import PictureError


def picture(width: int = 80, height: int = 64, seed: int = 1) -> Image.Image:
    corners = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def cut(data: bytes, window_px: int = 64, min_side_px: int = 32, offset: int = 8) -> Window:
    return cut_window(data, "a.png", window_px, min_side_px, lambda spare: min(offset, spare))


def test_a_window_is_the_square_at_its_place() -> None:
    pixels = np.asarray(picture(80, 64))
    window = cut(encoded(picture(80, 64)), offset=11)
    assert np.array_equal(np.asarray(window.image), pixels[:, 11:75])
    assert window.mended == ()


def test_larger_pictures_are_reduced_as_a_whole() -> None:
    small = cut(encoded(picture(160, 128).resize((320, 256), Image.Resampling.BICUBIC)), offset=0).image
    assert small.size == (64, 64)
    reference = picture(160, 128).crop((0, 0, 128, 128)).resize((64, 64), Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(small, float) - np.asarray(reference, float))
    assert difference.mean() < 1


@pytest.mark.parametrize(
    ("size", "window_px", "offset", "around", "place"),
    [
        ((96, 64), 64, 11, (96, 64), (11, 0)),  # As it is.
        ((192, 128), 64, 20, (96, 64), (10, 0)),  # Reduced as the window is.
        ((64, 320), 64, 128, (64, 192), (0, 64)),  # At most a window far, on each side.
        ((64, 64), 64, 0, (64, 64), (0, 0)),
    ],
)
def test_the_picture_around_a_window_shows_it_at_its_place(
    size: tuple[int, int], window_px: int, offset: int, around: tuple[int, int], place: tuple[int, int]
) -> None:
    window = cut(encoded(picture(*size)), window_px, offset=offset)
    wide, at = picture_around(window)
    assert (wide.size, at) == (around, WindowPlace(x=place[0], y=place[1]))
    part = wide.crop((at.x, at.y, at.x + window_px, at.y + window_px))
    assert np.abs(np.asarray(part, float) - np.asarray(window.image, float)).mean() < 1


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_photograph_stands_upright(orientation: int) -> None:
    upright = picture(64, 64)
    method = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    window = cut(encoded(upright.transpose(method), exif=exif))
    assert np.array_equal(np.asarray(window.image), np.asarray(upright))
    assert window.mended == ("turned",)


@pytest.mark.parametrize(
    ("mode", "form", "mended"),
    [("L", "PNG", "grey"), ("1", "PNG", "grey"), ("CMYK", "JPEG", "cmyk"), ("P", "PNG", "palette")],
)
def test_other_colours_become_rgb_close_to_the_original(mode: str, form: str, mended: str) -> None:
    window = cut(encoded(picture(64, 64).convert(mode), form))
    assert window.image.mode == "RGB"
    assert window.mended == (mended,)
    wanted = picture(64, 64) if mode == "CMYK" else picture(64, 64).convert(mode).convert("RGB")
    assert np.abs(np.asarray(window.image, float) - np.asarray(wanted, float)).mean() < 12


def test_what_is_transparent_becomes_white() -> None:
    layered = picture(64, 64).convert("RGBA")
    layered.paste((10, 20, 30, 0), (0, 0, 32, 64))
    pixels = np.asarray(cut(encoded(layered)).image)
    assert (pixels[:, :32] == 255).all()
    assert np.array_equal(pixels[:, 32:], np.asarray(picture(64, 64))[:, 32:])


def test_small_pictures_are_enlarged_down_to_a_limit() -> None:
    assert cut(encoded(picture(50, 40))).mended == ("enlarged",)
    assert cut(encoded(picture(50, 40))).image.size == (64, 64)
    with pytest.raises(PictureError, match=r"a\.png is 50 x 31 px, below 32") as refusal:
        cut(encoded(picture(50, 31)))
    assert refusal.value.cause == "too_small"


def test_a_bomb_is_refused_by_its_header_alone() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(PictureError, match=r"at most 100000000 pixels.* a\.png"):
        cut(b"\x89PNG\r\n\x1a\n" + chunk + b"\x00\x00\x10\x00IDAT")


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_end_in_a_window_or_a_counted_cause_never_in_another_error() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sources = [
        encoded(picture(), "JPEG", exif=exif),
        encoded(picture().convert("CMYK"), "JPEG"),
        encoded(picture().convert("P")),
        encoded(picture().convert("RGBA")),
        encoded(picture(), "WEBP"),
    ]
    source, outcomes = random.Random(0), set()
    for _ in range(1000):
        data = bytearray(source.choice(sources))
        for _ in range(source.randint(1, 8)):
            data[source.randrange(source.choice([min(300, len(data)), len(data)]))] = source.randrange(256)
        try:
            assert cut(bytes(data[: source.choice([len(data), source.randrange(len(data))])])).image.size == (64, 64)
        except PictureError as error:
            outcomes.add(error.cause)
    assert {"corrupt", "no_image", "too_small"} <= outcomes
