"""The pictures of a study: those that all methods have, decoded, made smaller, and encoded for the page."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from eval.files import CAPTIONS_NAME, PICTURES_NAME, pictures_in, read_picture
from eval.study.design import Pixels
from lit_outpaint.system.text_files import json_lines


def pictures_of(run: Path) -> dict[str, Path]:
    """The pictures of a method by name without ending.

    Args:
        run: an output directory of ``eval run``, or a folder of pictures.

    Raises:
        ValueError: there are none, or two have one name.
    """
    folder = run / PICTURES_NAME if (run / PICTURES_NAME).is_dir() else run
    paths = pictures_in(folder) if folder.is_dir() else []
    if not paths:
        raise ValueError(f"--runs must be output directories of eval run or folders of pictures, found none in {run}")
    named = {path.stem: path for path in paths}
    if len(named) < len(paths):
        raise ValueError(f"--runs: pictures of one folder must differ in name, and some of {folder} differ in ending")
    return named


def common_items(methods: Sequence[Mapping[str, Path]], count: int) -> list[str]:
    """Names that all methods have a picture of, evenly spread where there are more than ``count``.

    Raises:
        ValueError: there are none.
    """
    names = sorted(set.intersection(*(set(pictures) for pictures in methods)))
    if not names:
        raise ValueError("--runs must have pictures with names in common, found no name that all of them have")
    chosen = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[index] for index in sorted(set(chosen.tolist()))]


def captions_of(runs: Sequence[Path], items: Sequence[str]) -> dict[str, str]:
    """The captions that ``eval run`` kept; empty where no run kept any.

    Raises:
        ValueError: a file is damaged, or two runs were asked for different things under one name.
    """
    captions: dict[str, str] = {}
    for run in runs:
        file = run / CAPTIONS_NAME
        if not file.is_file():
            continue
        try:
            rows = [row for _, row in json_lines(file, "captions")]
            named = {Path(row["image"]).stem: str(row["caption"]) for row in rows}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file} must be as eval run writes it ({error!r}); do that run again") from error
        for item in items:
            if captions.setdefault(item, named.get(item, "")) != named.get(item, ""):
                raise ValueError(f"--runs must be drawn from the same captions, but those of {item} differ")
    return captions


def load(path: Path, max_side_px: int) -> Pixels:
    """An RGB picture ``(H, W, 3)``, made smaller where a side is longer than ``max_side_px``.

    Raises:
        ValueError: it cannot be read.
    """
    picture = read_picture(path)
    scale = max_side_px / max(picture.size)
    if scale < 1:
        size = max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return np.array(picture)


def data_uri(picture: Pixels) -> str:
    """The pixels as lossless WebP, without anything that the file they come from told about itself."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="WEBP", lossless=True, quality=60, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
