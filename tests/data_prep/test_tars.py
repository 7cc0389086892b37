import io
import resource
import signal
import tarfile
from pathlib import Path

import pytest

from data_prep.tars import TarWriter, read_samples
from lit_outpaint.data.schema import ShardError

SUFFIXES = ("webp", "json")


def write(path: Path, members: list[tuple[str, bytes]], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data) if kind == tarfile.REGTYPE else 0, kind
            info.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
            tar.addfile(info, io.BytesIO(data))
    return path


def test_equal_samples_give_equal_bytes_and_known_places(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with TarWriter(tmp_path / name) as tar:
            spans = tar.add("k1", {"webp": b"picture", "json": b"{}" * 300})
    data = (tmp_path / "a").read_bytes()
    assert data == (tmp_path / "b").read_bytes()
    assert [data[offset : offset + size] for offset, size in spans] == [b"picture", b"{}" * 300]
    ((key, members),) = read_samples(tmp_path / "a", SUFFIXES)
    assert key == "k1"
    assert tuple(member.span for member in members.values()) == spans


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="letters"), TarWriter(tmp_path / "a") as tar:
        tar.add("../k1", {"webp": b"1"})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        with pytest.raises(OSError, match="large"), TarWriter(tmp_path / "a") as tar:
            tar.add("k", {"webp": b"1" * 80_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "names",
    [
        ["../k.webp", "../k.json"],
        ["/k.webp", "/k.json"],
        ["d/k.webp", "d/k.json"],
        ["k.pkl", "k.json"],
        ["k.webp", "k.input.json"],
        ["k.webp", "other.json"],
        ["k.json", "k.webp"],
        ["k.webp"],
    ],
    ids=["climbs", "absolute", "folder", "pickle", "two dots", "not adjacent", "order", "half"],
)
def test_what_is_no_sample_is_refused(tmp_path: Path, names: list[str]) -> None:
    path = write(tmp_path / "x.tar", [(name, b"1") for name in names])
    with pytest.raises(ShardError, match=r"x\.tar"):
        list(read_samples(path, SUFFIXES))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = write(tmp_path / "x.tar", [("k.webp", b""), ("k.json", b"")], kind)
    with pytest.raises(ShardError, match="not a plain file"):
        list(read_samples(path, SUFFIXES))


@pytest.mark.parametrize("keep", [0, 100, 600, 1400])
def test_a_truncated_tar_is_refused(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "x.tar", [("k.webp", b"1" * 600), ("k.json", b"2" * 600)])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ShardError, match=r"x\.tar"):
        list(read_samples(path, SUFFIXES))
