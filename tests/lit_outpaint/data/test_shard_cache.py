import hashlib
import multiprocessing
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from lit_outpaint.data.schema import FileCard, ShardError
from lit_outpaint.data.shard_cache import ShardCache, cache_home


def content(number: int, size: int = 1000) -> bytes:
    return bytes([number]) * size


def card(number: int, size: int = 1000) -> FileCard:
    sha256 = hashlib.sha256(content(number, size)).hexdigest()
    return FileCard(name=f"train-{number:05d}.tar", size=size, sha256=sha256)


class Source:
    """Counts what is fetched."""

    def __init__(self) -> None:
        self.fetched: list[int] = []

    def get(self, cache: ShardCache, number: int) -> Path:
        def write(target: BinaryIO) -> None:
            self.fetched.append(number)
            target.write(content(number))

        return cache.get(card(number), write)


def test_a_file_is_fetched_once(tmp_path: Path) -> None:
    cache, source = ShardCache(directory=tmp_path / "cache", limit_bytes=5000), Source()
    paths = {source.get(cache, 1) for _ in range(3)}
    assert source.fetched == [1]
    assert paths.pop().read_bytes() == content(1)


def test_the_copy_used_longest_ago_gives_way(tmp_path: Path) -> None:
    cache, source = ShardCache(directory=tmp_path, limit_bytes=3000), Source()
    for age, number in enumerate((1, 2, 3)):
        os.utime(source.get(cache, number), (age, age))
    source.get(cache, 1)
    source.get(cache, 4)
    assert source.fetched == [1, 2, 3, 4]
    assert {path.read_bytes()[0] for path in tmp_path.iterdir() if path.name != "lock"} == {1, 3, 4}


def test_who_reads_a_copy_goes_on_after_it_gave_way(tmp_path: Path) -> None:
    cache, source = ShardCache(directory=tmp_path, limit_bytes=1500), Source()
    with source.get(cache, 1).open("rb") as reader:
        source.get(cache, 2)
        assert reader.read() == content(1)
    assert not (tmp_path / card(1).sha256).exists()


def test_a_begun_file_of_a_killed_process_gives_way_first(tmp_path: Path) -> None:
    cache, source = ShardCache(directory=tmp_path, limit_bytes=3000), Source()
    source.get(cache, 1)
    (tmp_path / f"{card(2).sha256}.part").write_bytes(content(2))
    source.get(cache, 3)
    source.get(cache, 4)
    assert source.fetched == [1, 3, 4]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 3000


def test_a_begun_file_of_a_killed_process_is_fetched_anew(tmp_path: Path) -> None:
    cache, source = ShardCache(directory=tmp_path, limit_bytes=3000), Source()
    (tmp_path / f"{card(1).sha256}.part").write_bytes(content(9, 5000))
    assert source.get(cache, 1).read_bytes() == content(1)


def test_files_of_others_in_the_directory_stay(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_bytes(content(0, 10_000))
    Source().get(ShardCache(directory=tmp_path, limit_bytes=1000), 1)
    assert (tmp_path / "thesis.tex").stat().st_size == 10_000


def test_other_bytes_than_those_of_the_card_are_refused_and_not_kept(tmp_path: Path) -> None:
    cache = ShardCache(directory=tmp_path, limit_bytes=3000)
    for wrong in (b"short", content(2), content(1, 1001)):
        with pytest.raises(ShardError, match="differs from its checksum"):
            cache.get(card(1), lambda target, wrong=wrong: target.write(wrong))  # type: ignore[misc]
    assert not (tmp_path / card(1).sha256).exists()


def test_a_checksum_cannot_lead_out_of_the_cache(tmp_path: Path) -> None:
    file = FileCard(name="a.tar", size=1, sha256="../" * 20 + "etcd")
    with pytest.raises(ShardError, match="no checksum"):
        ShardCache(directory=tmp_path / "cache", limit_bytes=10).get(file, lambda target: None)
    assert not list(tmp_path.iterdir())


def _fetch_many(directory: Path, log: Path, first: int) -> None:
    cache = ShardCache(directory=directory, limit_bytes=4000)
    for number in (*range(first, 6), *range(first)):

        def write(target: BinaryIO, number: int = number) -> None:
            with log.open("a") as file:
                file.write(f"{number}\n")
            target.write(content(number))

        # Another process may let it give way at once.
        while True:
            try:
                data = cache.get(card(number), write).read_bytes()
                break
            except FileNotFoundError:
                continue
        assert data == content(number)
        assert _taken(directory) <= 4000


def _taken(directory: Path) -> int:
    # A file that is renamed between two looks counts once, one that vanishes not at all.
    sizes: dict[str, int] = {}
    for path in directory.iterdir():
        with suppress(FileNotFoundError):
            sizes[path.name[:64]] = path.stat().st_size
    return sum(sizes.values())


def test_processes_share_a_cache_that_never_outgrows_its_bound(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    group = [context.Process(target=_fetch_many, args=(tmp_path / "cache", log, first)) for first in range(4)]
    for process in group:
        process.start()
    for process in group:
        process.join(60)
    assert [process.exitcode for process in group] == [0] * 4
    assert set(log.read_text().split()) == set("012345")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody without a home")
def test_a_user_without_a_home_has_a_cache_among_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def child() -> None:
        os.setuid(54321)
        there.send(str(cache_home()))

    process = context.Process(target=child)
    process.start()
    process.join(60)
    assert here.poll()
    assert here.recv() == f"{tempfile.gettempdir()}/lit_outpaint-54321"
