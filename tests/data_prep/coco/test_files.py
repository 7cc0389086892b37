import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from data_prep.coco.files import FileError, Folder, ZipFolder, check_sums, image_files, read_annotations, zips_read
from data_prep.testing import build_toy_coco


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return build_toy_coco(tmp_path / "coco")


def zipped(path: Path, folder: Path, inside: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{inside}/{file.relative_to(folder)}")
    return path


LEADING_OUT = ("../outside.jpg", "/etc/passwd", "a/../../outside.jpg", "a//b.jpg", "..", ".", "")
UNSAFE = (".hidden", "a/.hidden", "a\\b.jpg", "a\0.jpg", "a\nb.jpg", "half\ud83d.jpg")


@pytest.mark.parametrize("name", [*LEADING_OUT, *UNSAFE])
def test_a_name_reaches_nothing_outside_its_folder(root: Path, name: str) -> None:
    archive = zipped(root / "train2017.zip", root / "train2017", "train2017")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("outside.jpg", b"1")
    for files in (Folder(root / "train2017"), ZipFolder(archive, "train2017")):
        with pytest.raises(FileError, match="unsafe_name"):
            files.read(name)


@pytest.mark.parametrize(
    "name", ["my photo (1).jpg", "Foto_\u00e9[2].jpg", "\u5199\u771f.jpg", "at 1.00\u202fPM.png", "a/b.jpg", "-x.jpg"]
)
def test_names_of_any_language_are_found(root: Path, name: str) -> None:
    path = root / "train2017" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"1")
    archive = zipped(root / "train2017.zip", root / "train2017", "train2017")
    for files in (Folder(root / "train2017"), ZipFolder(archive, "train2017")):
        assert files.read(name) == b"1"


def test_accents_are_found_however_a_system_spells_them(root: Path) -> None:
    composed, apart, garbled = "Foto_\u00e9.jpg", "Foto_e\u0301.jpg", "Foto_\u00e9.jpg".encode().decode("cp437")
    folder = root / "train2017"
    (folder / apart).write_bytes(b"1")
    assert Folder(folder).read(composed) == b"1"
    (folder / apart).rename(folder / garbled)
    assert ZipFolder(zipped(root / "a.zip", folder, "train2017"), "train2017").read(composed) == b"1"
    with pytest.raises(FileError, match="missing"):
        Folder(folder).read("Foto_\u00e8.jpg")
    with pytest.raises(FileError, match="unreadable"):
        Folder(folder).read("x" * 300)


def test_a_zip_gives_what_the_folder_gives(root: Path) -> None:
    files = ZipFolder(zipped(root / "train2017.zip", root / "train2017", "train2017"), "train2017")
    for path in (root / "train2017").iterdir():
        if path.is_file():
            assert files.read(path.name) == path.read_bytes()
    with pytest.raises(FileError, match="missing"):
        files.read("000000000022.jpg")


def test_a_damaged_member_of_a_zip_is_not_taken(root: Path) -> None:
    path = zipped(root / "val2017.zip", root / "val2017", "val2017")
    data = bytearray(path.read_bytes())
    data[200] ^= 255
    path.write_bytes(data)
    with pytest.raises(FileError, match="unreadable"):
        ZipFolder(path, "val2017").read("000000000100.jpg")


def test_a_member_that_cannot_be_unpacked_is_not_taken(root: Path) -> None:
    path = zipped(root / "val2017.zip", root / "val2017", "val2017")
    with zipfile.ZipFile(path) as archive:
        info = archive.infolist()[0]
    data = bytearray(path.read_bytes())
    begin = info.header_offset + 30 + len(info.filename)
    data[begin : begin + 40] = b"\xff" * 40
    data[info.header_offset + 8 : info.header_offset + 10] = (8).to_bytes(2, "little")
    place = data.index(b"PK\x01\x02")
    data[place + 10 : place + 12] = (8).to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(FileError, match="unreadable"):
        ZipFolder(path, "val2017").read(Path(info.filename).name)


def test_a_pipe_does_not_hold_up_the_work(root: Path) -> None:
    os.mkfifo(root / "train2017" / "pipe.jpg")
    with pytest.raises(FileError, match="no_plain_file"):
        Folder(root / "train2017").read("pipe.jpg")


def test_annotations_are_found_in_their_zip(root: Path) -> None:
    plain = read_annotations(root, "val2017")
    zipped(root / "annotations_trainval2017.zip", root / "annotations", "annotations")
    for path in (root / "annotations").iterdir():
        path.unlink()
    assert read_annotations(root, "val2017") == plain
    assert [path.name for path in zips_read(root, ["val2017"])] == ["annotations_trainval2017.zip"]
    with pytest.raises(ValueError, match=r"captions_test2017\.json"):
        read_annotations(root, "test2017")


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_sums_of_zips_are_compared(root: Path, kind: str) -> None:
    path = zipped(root / "val2017.zip", root / "val2017", "val2017")
    sums = root / "SUMS"
    sums.write_text(f"{hashlib.new(kind, path.read_bytes()).hexdigest()}  ./val2017.zip\n")
    check_sums([path], sums)
    path.write_bytes(path.read_bytes() + b"1")
    with pytest.raises(ValueError, match=r"val2017\.zip has the check-sum .* download it again"):
        check_sums([path], sums)
    with pytest.raises(ValueError, match=r"no check-sum of train2017\.zip"):
        check_sums([root / "train2017.zip"], sums)


def test_a_root_without_images_says_what_it_must_hold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train2017/ or train2017\.zip"):
        image_files(tmp_path, "train2017")
    (tmp_path / "broken2017.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match="no whole zip"):
        image_files(tmp_path, "broken2017")
