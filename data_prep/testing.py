"""Small real inputs and shard sets for tests of whatever reads them."""

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from data_prep.config import CaptionConfig, EncodeConfig, MachineConfig, ScapesConfig
from data_prep.stages import run_all

TOY_COCO_SETTINGS: Final = {"window_px": 64, "min_side_px": 32, "samples_per_shard": 6}
"""Settings of the ``coco`` source that suit `build_toy_coco`."""

TOY_COCO_COUNTS: Final = {
    "used": 15,
    "left_out.corrupt": 1,
    "left_out.duplicate_id": 1,
    "left_out.malformed_entry": 1,
    "left_out.missing": 1,
    "left_out.no_caption": 2,
    "left_out.no_image": 1,
    "left_out.no_plain_file": 1,
    "left_out.too_large": 1,
    "left_out.too_small": 1,
    "left_out.unknown_colours": 1,
    "left_out.unsafe_name": 1,
    "mended.cmyk": 1,
    "mended.enlarged": 1,
    "mended.grey": 1,
    "mended.palette": 1,
    "mended.transparent": 1,
    "mended.turned": 1,
    "noted.caption_of_no_image": 1,
    "noted.caption_without_letters": 2,
    "noted.duplicate_caption": 1,
    "noted.unknown_licence": 1,
}
"""What preparation must count for both splits of `build_toy_coco` under `TOY_COCO_SETTINGS`."""

_CAPTIONS: Final = (
    "A man rides a red bicycle down a busy street.",
    "Two dogs are playing with a ball on the grass.",
    "A bowl of oranges sits on a wooden table.",
    "A train travels along the coast at dusk.",
    "Several people stand on a beach under a cloudy sky.",
)
_LICENCES: Final = [
    {"id": 1, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/2.0/"},
    {"id": 4, "name": "Attribution-NonCommercial License", "url": "http://creativecommons.org/licenses/by-nc/2.0/"},
]


def build_toy_shards(out: Path, models: Path, **settings: Any) -> Path:
    """Prepare a scapes set of a dozen windows with all stages; seconds with toy encoders.

    Args:
        out: directory to write.
        models: directory of the frozen encoders, such as that of ``lit_outpaint.testing.models.build_toy_family``.
        settings: fields of the config classes that differ from the defaults here.
    """
    values: dict[str, Any] = dict(windows=12, val_windows=5, panoramas=1, eval_windows=2, eval_steps=2)
    values |= dict(samples_per_shard=6, models=str(models), workers=1, batch_size=8, device="cpu") | settings

    def part(config: Any) -> Any:
        return config(**{name: values[name] for name in config.__dataclass_fields__ if name in values})

    run_all(out, part(ScapesConfig), part(CaptionConfig), part(EncodeConfig), part(MachineConfig))
    return out


def build_toy_coco(root: Path) -> Path:
    """Write two dozen images and their captions in the layout of MS-COCO, with every oddity that a set can have.

    ``train2017`` holds the oddities, of which ``TOY_COCO_COUNTS`` is the count; ``val2017`` holds three plain images.

    Args:
        root: directory to write; receives ``annotations/``, ``train2017/`` and ``val2017/``.
    """
    for number in range(6):
        _add(root, "train2017", number, _jpeg(_picture(80 + 8 * number, 64, number)))
    # Usable, once mended.
    _add(root, "train2017", 10, _jpeg(_picture(64, 80, 10).convert("L")))
    _add(root, "train2017", 11, _jpeg(_picture(80, 64, 11).convert("CMYK")))
    _add(root, "train2017", 12, _jpeg(_picture(80, 64, 12), turned=True))
    _add(root, "train2017", 13, _png(_picture(80, 64, 13).convert("P")))
    _add(root, "train2017", 14, _png(_see_through(_picture(80, 64, 14))))
    _add(root, "train2017", 15, _jpeg(_picture(60, 40, 15)))
    # Not usable.
    _add(root, "train2017", 20, _jpeg(_picture(200, 200, 20))[:2000])
    _add(root, "train2017", 21, b"<html>404</html>")
    _add(root, "train2017", 22, None)
    _add(root, "train2017", 23, _jpeg(_picture(60, 20, 23)))
    _add(root, "train2017", 24, _bomb())
    _add(root, "train2017", 25, _tiff(Image.fromarray(np.full((64, 64), -1, np.float32))))
    _add(root, "train2017", 26, None)
    (root / "train2017" / f"{26:012d}.jpg").mkdir()
    (root / "outside.jpg").write_bytes(_jpeg(_picture(64, 64, 27)))
    names = {27: "../outside.jpg"}
    train = _annotations([*range(6), *range(10, 16), *range(20, 32)], names)
    _spoil(train)
    for number in range(100, 103):
        _add(root, "val2017", number, _jpeg(_picture(70, 64, number)))
    (root / "annotations").mkdir()
    for split, content in (("train2017", train), ("val2017", _annotations([100, 101, 102], {}))):
        (root / "annotations" / f"captions_{split}.json").write_text(json.dumps(content))
    return root


def _annotations(numbers: list[int], names: dict[int, str]) -> dict[str, list[dict[str, Any]]]:
    """A captions file: every image has five captions and a licence."""
    images = [
        {"id": n, "file_name": names.get(n, f"{n:012d}.jpg"), "width": 80, "height": 64, "license": (1, 4)[n % 2]}
        for n in numbers
    ]
    captions = [
        {"id": 10 * n + k, "image_id": n, "caption": f"{_CAPTIONS[(n + k) % 5]} \n" if k else _CAPTIONS[n % 5]}
        for n in numbers
        for k in range(5)
    ]
    return {"licenses": [dict(row) for row in _LICENCES], "images": images, "annotations": captions}


def _spoil(content: dict[str, list[dict[str, Any]]]) -> None:
    """Entries of the captions file itself that do not fit; the images 28 to 31 exist in it alone."""
    images, captions = content["images"], content["annotations"]
    by_number = {row["id"]: row for row in images}
    by_number[0]["license"] = 99
    captions[:] = [row for row in captions if row["image_id"] not in (1, 28, 29, 30, 31)]
    captions.append({"id": 11, "image_id": 1, "caption": "A single caption is enough."})
    captions.append({"id": 11, "image_id": 1, "caption": "The same number once more."})
    captions.append({"id": 12, "image_id": 1, "caption": "?!"})
    captions.append({"id": 290, "image_id": 29, "caption": " ... "})
    captions.append({"id": 9999, "image_id": 777, "caption": "A picture that is not in the list."})
    images.append(by_number[2] | {"file_name": "of_the_same_number.jpg"})
    images.append({"id": 32})
    images[:] = [row for row in images if row["id"] not in (30, 31)]


def _picture(width: int, height: int, seed: int) -> Image.Image:
    """A smooth coloured picture of its own for every seed."""
    corners = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC)


def _see_through(image: Image.Image) -> Image.Image:
    layered = image.convert("RGBA")
    layered.putalpha(Image.linear_gradient("L").resize(image.size))
    return layered


def _jpeg(image: Image.Image, *, turned: bool = False) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    if turned:
        exif[0x0112] = 6
    image.save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _bomb() -> bytes:
    """The begin of a PNG of 60,000 x 60,000 px."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def _tiff(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")
    return buffer.getvalue()


def _add(root: Path, split: str, number: int, data: bytes | None) -> None:
    """Put a file under its COCO name; None for one that is missing."""
    (root / split).mkdir(parents=True, exist_ok=True)
    if data is not None:
        (root / split / f"{number:012d}.jpg").write_bytes(data)
