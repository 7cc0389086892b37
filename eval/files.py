"""Directories and files that a verb leaves."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from PIL import Image

from lit_outpaint.canvas.decoding import PictureError, decode, picture_suffixes
from lit_outpaint.system.files import written_whole

METRICS_NAME: Final = "metrics.json"
"""Numbers and all that a report needs beside pictures; every verb that scores leaves one."""
CAPTIONS_NAME: Final = "captions.jsonl"
PICTURES_NAME: Final = "pictures"
REAL_NAME: Final = "real"
"""Folder of the true panoramas of those that the report of ``eval run`` shows."""


def pictures_in(directory: Path) -> list[Path]:
    """The files of a directory that are pictures by their ending, by name, without hidden ones."""
    endings = picture_suffixes()
    return sorted(
        path for path in directory.iterdir() if path.suffix.lower() in endings and not path.name.startswith(".")
    )


def read_picture(path: Path) -> Image.Image:
    """A picture, decoded to its end, as RGB; see `lit_outpaint.canvas.decoding`.

    Raises:
        ValueError: it is missing, or cannot be read.
    """
    try:
        return decode(path, str(path)).image
    except PictureError as error:
        raise ValueError(f"{path} must be a readable picture ({error}); mend or remove it") from error


def check_out(out: Path) -> None:
    """Make the output directory, or say at once why nothing could be written there.

    Raises:
        ValueError: it is a file, or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"--out must be a directory, but {error.filename or out} is a file; name another one"
        ) from error
    except OSError as error:
        raise ValueError(f"--out must be writable, but {out} is not ({error.strerror}); name another one") from error
    if not os.access(out, os.W_OK):
        raise ValueError(f"--out must be writable, but {out} is not; name another one")


@contextmanager
def output_directory(out: Path) -> Iterator[None]:
    """Make the output directory for a block of work, and remove it again where the work fails before it wrote anything.

    Raises:
        ValueError: see `check_out`.
    """
    new = not out.exists()
    check_out(out)
    try:
        yield
    except BaseException:
        if new:
            with suppress(OSError):  # Something is in it.
                out.rmdir()
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with written_whole(path) as draft:
        draft.write_text(text, encoding="utf-8")
