from pathlib import Path

import numpy as np
import pytest

from lit_outpaint.data import index as index_module
from lit_outpaint.data.index import Index, IndexEntry, write_index
from lit_outpaint.data.schema import ShardError

SIZES = {"train-00000.tar": 10_000, "train-00001.tar": 10_000}


def entries(count: int = 6) -> list[IndexEntry]:
    return [IndexEntry(f"k{n}", f"train-{n % 2:05d}.tar", ((512, 9), (1024, 8), (2048 + n, 7))) for n in range(count)]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_index(tmp_path / "index.jsonl", entries())
    return tmp_path / "index.jsonl"


def test_an_index_reads_as_it_was_written(path: Path) -> None:
    read = Index.read(path, SIZES)
    assert list(read) == entries()
    assert read[1:3] == entries()[1:3]
    assert read.at([4, 0]) == [entries()[4], entries()[0]]
    assert read.samples_by_shard() == {"train-00000.tar": 3, "train-00001.tar": 3}
    assert list(read.part(["train-00001.tar"])) == entries()[1::2]
    assert not (path.parent / "cache").exists()


def test_a_large_index_is_parsed_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "CACHED_FROM_BYTES", 0)
    first = Index.read(path, SIZES)
    monkeypatch.setattr(index_module, "_parse", lambda path: pytest.fail("parsed again"))
    again = Index.read(path, SIZES)
    assert list(again) == list(first)
    assert np.array_equal(again.spans, first.spans)


def test_a_damaged_or_outdated_cache_is_done_without(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "CACHED_FROM_BYTES", 0)
    Index.read(path, SIZES)
    (kept,) = (path.parent / "cache").rglob("*.npz")
    kept.write_bytes(kept.read_bytes()[:200])
    assert list(Index.read(path, SIZES)) == entries()
    write_index(path, entries(4))
    assert list(Index.read(path, SIZES)) == entries(4)


def test_a_cached_index_is_checked_against_the_shards_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "CACHED_FROM_BYTES", 0)
    Index.read(path, SIZES)
    with pytest.raises(ShardError, match=r"index\.jsonl:2 points outside"):
        Index.read(path, SIZES | {"train-00001.tar": 2000})


def test_a_cache_that_cannot_be_written_is_done_without(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    monkeypatch.setattr(index_module, "CACHED_FROM_BYTES", 0)
    assert list(Index.read(path, SIZES)) == entries()
