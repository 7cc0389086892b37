"""Where the bytes of MS-COCO come from: folders as they are unzipped, or the zips themselves.

A name out of an annotation file is data. It is looked up below one known folder and cannot lead out of it, and nothing
is ever extracted.
"""

import hashlib
import lzma
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

MAX_FILE_BYTES: Final = 64 << 20
"""A larger picture is refused before it is read."""

_DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    NotImplementedError,  # a compression that Python lacks
    RuntimeError,  # a password
    ValueError,
)
"""What zipfile raises where a member cannot be read."""
_SUM_LINE: Final = re.compile(r"([0-9a-fA-F]{32}|[0-9a-fA-F]{64})\s+\*?(\S+)")


class FileError(Exception):
    """A file cannot be had; the message is the cause it is counted under."""


class Files(Protocol):
    """Files of one folder, by names out of an annotation file."""

    def read(self, name: str) -> bytes:
        """Bytes of a file.

        Raises:
            FileError: ``unsafe_name``, ``missing``, ``no_plain_file``, ``too_large`` or ``unreadable``.
        """
        ...


class Folder:
    """Files of a folder on disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        descriptor = self._open(name)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise FileError("no_plain_file")
            if status.st_size > MAX_FILE_BYTES:
                raise FileError("too_large")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read()
        except OSError:
            raise FileError("unreadable") from None
        finally:
            os.close(descriptor)

    def _open(self, name: str) -> int:
        for spelling in _spellings(name):
            try:
                # Not blocking, so that a pipe of that name cannot hold up the work.
                return os.open(self.directory / spelling, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            except OSError:
                raise FileError("unreadable") from None
        raise FileError("missing")


class ZipFolder:
    """Files of one folder inside a zip."""

    def __init__(self, path: Path, folder: str) -> None:
        self.path, self.folder = path, folder
        self._zip = zipfile.ZipFile(path)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file; the zip's own check-sum is checked on the way."""
        inside = (f"{self.folder}/{spelling}" for spelling in (*_spellings(name), *_misread(name)))
        info = next((self._zip.NameToInfo[path] for path in inside if path in self._zip.NameToInfo), None)
        if info is None:
            raise FileError("missing")
        if info.file_size > MAX_FILE_BYTES:
            raise FileError("too_large")
        try:
            return self._zip.read(info)
        except _DAMAGED:
            raise FileError("unreadable") from None


@lru_cache(maxsize=4)
def image_files(root: Path, split: str) -> Files:
    """The images of a split, from ``ROOT/SPLIT`` or ``ROOT/SPLIT.zip``.

    Raises:
        ValueError: there is neither, or the zip is damaged.
    """
    if (root / split).is_dir():
        return Folder(root / split)
    path = root / f"{split}.zip"
    if not path.is_file():
        raise ValueError(
            f"{root} must hold {split}/ or {split}.zip, and holds neither; give the right --root or --split"
        )
    try:
        return ZipFolder(path, split)
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{path} is no whole zip: {error}; download it again") from error


def read_annotations(root: Path, split: str) -> bytes:
    """The captions file of a split, from ``annotations/`` or the annotations zip.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    name = f"captions_{split}.json"
    path = root / "annotations" / name
    if path.is_file():
        return path.read_bytes()
    archives = annotation_zips(root)
    for archive in archives:
        try:
            with zipfile.ZipFile(archive) as opened:
                if f"annotations/{name}" in opened.namelist():
                    return opened.read(f"annotations/{name}")
        except _DAMAGED as error:
            raise ValueError(f"{archive} is no whole zip: {error}; download it again") from error
    looked = ", ".join(archive.name for archive in archives) or "annotations_trainval2017.zip"
    raise ValueError(f"{root} must hold annotations/{name}, or {looked} with it, and does not; give the right --root")


def annotation_zips(root: Path) -> list[Path]:
    """Zips that may hold captions files."""
    return sorted(root.glob("annotations*.zip"))


def zips_read(root: Path, splits: list[str]) -> list[Path]:
    """The zips that preparation reads, in the absence of unzipped folders."""
    images = [root / f"{split}.zip" for split in splits if not (root / split).is_dir()]
    captions = [split for split in splits if not (root / "annotations" / f"captions_{split}.json").is_file()]
    return images + (annotation_zips(root) if captions else [])


def check_sums(zips: list[Path], sums: Path) -> None:
    """Compare zips with a list of check-sums, as ``md5sum`` and ``sha256sum`` write it.

    Raises:
        ValueError: a zip differs, is not in the list, or the list cannot be read.
    """
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"sums must be a readable list of check-sums, got {sums}: {error}") from error
    wanted = {Path(match[2]).name: match[1].lower() for line in lines if (match := _SUM_LINE.fullmatch(line.strip()))}
    for path in zips:
        expected = wanted.get(path.name)
        if expected is None:
            raise ValueError(f"{sums} holds no check-sum of {path.name}; add the line, or leave out --sums")
        with path.open("rb") as file:
            got = hashlib.file_digest(file, "md5" if len(expected) == 32 else "sha256").hexdigest()
        if got != expected:
            raise ValueError(f"{path} has the check-sum {got}, {sums} says {expected}; download it again")


def _spellings(name: str) -> tuple[str, ...]:
    """The name, and how else systems write its accents.

    Raises:
        FileError: it leads out of the folder, or no file can be called so.
    """
    parts = name.split("/")
    # Some programs take a backslash for a separator. Control characters and halves of characters are in no name.
    strange = any(letter == "\\" or unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
    if strange or any(not part or part.startswith(".") for part in parts):
        raise FileError("unsafe_name")
    return tuple(dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))))


def _misread(name: str) -> list[str]:
    """What a zip calls a name that was stored in UTF-8 without saying so, as the programs of some systems do."""
    return [spelling.encode().decode("cp437") for spelling in _spellings(name)]
