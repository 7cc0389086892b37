import hashlib
import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from lit_outpaint.data import remote
from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.data.remote import RemoteFiles
from lit_outpaint.data.schema import FileCard, ShardError
from lit_outpaint.testing.models import same_batch


class FileServer(ThreadingHTTPServer):
    """Serves a directory, with or without ranges, and fails as often as it is told to."""

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(directory)))
        self.asked: list[str] = []
        self.ranges, self.failures, self.status = True, 0, 503
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(SimpleHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if self.server.failures:
            self.server.failures -= 1
            self.send_error(self.server.status)
        elif self.server.ranges and span and Path(self.translate_path(self.path)).is_file():
            first, last = int(span[1]), int(span[2])
            data = Path(self.translate_path(self.path)).read_bytes()
            piece = data[first : last + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.send_header("Content-Length", str(len(piece)))
            self.end_headers()
            self.wfile.write(piece)
        else:
            super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(shards: Path) -> Iterator[FileServer]:
    with FileServer(shards) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture
def in_memory(shards: Path) -> Iterator[str]:
    fs = fsspec.filesystem("memory")
    fs.put(str(shards), "/bucket/set", recursive=True)
    yield "memory://bucket/set"
    fs.rm("/bucket", recursive=True)


def module(place: str | Path, cache: Path, **options: Any) -> OutpaintDataModule:
    data = OutpaintDataModule(str(place), cache_dir=str(cache), **{"batch_size": 3, "num_workers": 0} | options)
    data.setup("fit")
    return data


def batches(data: OutpaintDataModule) -> list[OutpaintBatch]:
    return list(data.train_dataloader())


def same(one: list[OutpaintBatch], other: list[OutpaintBatch]) -> bool:
    return all(map(same_batch, one, other)) and len(one) == len(other)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_set_behind_http_is_read_as_the_directory_is(
    server: FileServer, shards: Path, tmp_path: Path, workers: int, ranges: bool
) -> None:
    server.ranges = ranges
    there = module(server.url, tmp_path / "cache", num_workers=workers)
    assert same(batches(there), batches(module(shards, tmp_path / "none")))
    tars = [path for path in server.asked if path.endswith(".tar")]
    assert len(tars) == len(set(tars))
    assert there.shards is None


def test_a_set_in_any_file_system_is_read_as_the_directory_is(in_memory: str, shards: Path, tmp_path: Path) -> None:
    assert same(batches(module(in_memory, tmp_path / "cache")), batches(module(shards, tmp_path / "none")))


def test_a_second_run_fetches_nothing_but_the_card(server: FileServer, tmp_path: Path) -> None:
    first = batches(module(server.url, tmp_path))
    server.asked.clear()
    assert same(batches(module(server.url, tmp_path)), first)
    assert {path for path in server.asked if path != "/"} == {"/card.json"}


def test_a_cache_smaller_than_the_set_stays_so_and_serves_every_sample(
    server: FileServer, shards: Path, tmp_path: Path
) -> None:
    tars = list(shards.glob("train-*.tar"))
    assert len(tars) > 1
    limit = max(path.stat().st_size for path in tars)
    data = module(server.url, tmp_path)
    # By hand: the check before step 0 would refuse it, since shards are fetched over and over.
    object.__setattr__(data.cache, "limit_bytes", limit)
    for epoch in range(2):
        loader = data.train_dataloader()
        loader.epoch_sampler.set_epoch(epoch)
        keys = [key for batch in loader for key in batch.keys]
        assert len(set(keys)) == len(keys) == 12
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= limit


def test_what_is_mixed_at_a_time_must_fit_into_the_cache(in_memory: str, shards: Path, tmp_path: Path) -> None:
    total = sum(path.stat().st_size for path in shards.glob("train-*.tar"))
    with pytest.raises(ShardError, match="smaller shuffle_buffer"):
        module(in_memory, tmp_path, cache_gib=0.9 * total / 2**30)
    largest = max(path.stat().st_size for path in shards.glob("*.tar"))
    with pytest.raises(ShardError, match="raise cache_gib"):
        module(in_memory, tmp_path, cache_gib=0.5 * largest / 2**30, shuffle_buffer=1)


def test_shards_come_before_they_are_needed(server: FileServer, shards: Path, tmp_path: Path) -> None:
    data = module(server.url, tmp_path, shuffle_buffer=1, batch_size=1)
    reading = iter(data.train_dataloader())
    next(reading)
    wanted = {f"/{path.name}" for path in shards.glob("train-*.tar")}
    end = time.monotonic() + 120
    while not wanted <= set(server.asked):
        assert time.monotonic() < end, f"only {server.asked} were asked for"
        time.sleep(0.01)
    list(reading)


def test_a_loader_over_a_url_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    def fresh() -> Any:
        return module(server.url, tmp_path, shuffle_buffer=4, batch_size=2).train_dataloader()

    undisturbed = [batch.keys for batch in fresh()]
    first = fresh()
    iterator = iter(first)
    begun = [next(iterator).keys for _ in range(2)]
    second = fresh()
    second.load_state_dict(first.state_dict())
    assert begun + [batch.keys for batch in second] == undisturbed


@pytest.mark.parametrize("name", ["train-00001.tar", "index.jsonl"])
def test_a_set_that_lacks_a_file_is_refused_before_step_0(in_memory: str, tmp_path: Path, name: str) -> None:
    fsspec.filesystem("memory").rm(f"/bucket/set/{name}")
    with pytest.raises(ShardError, match=f"{name} is missing"):
        module(in_memory, tmp_path)


def test_another_size_is_refused_before_step_0(in_memory: str, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/bucket/set/train-00001.tar", b"0" * 100)
    with pytest.raises(ShardError, match=r"train-00001\.tar has 100 bytes"):
        module(in_memory, tmp_path)


def test_other_bytes_of_the_same_size_are_refused_when_they_come(in_memory: str, tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe("/bucket/set/train-00001.tar", bytes(fs.size("/bucket/set/train-00001.tar")))
    with pytest.raises(ShardError, match=r"train-00001\.tar was fetched, but differs"):
        batches(module(in_memory, tmp_path))


def test_a_place_without_a_set_is_named(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"nowhere/card\.json is missing"):
        module(f"{server.url}/nowhere", tmp_path)


def test_requests_are_tried_again_and_then_given_up_with_one_line(server: FileServer) -> None:
    server.failures = 2
    assert RemoteFiles(server.url, pauses_s=(0.0, 0.0)).read("card.json").startswith(b"{")
    server.failures = 3
    with pytest.raises(ShardError, match=r"cannot read http.*card\.json") as caught:
        RemoteFiles(server.url, pauses_s=(0.0, 0.0)).read("card.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("status", "times"), [(403, 1), (429, 3), (500, 3)])
def test_a_refusal_is_final(server: FileServer, status: int, times: int) -> None:
    server.failures, server.status = 9, status
    with pytest.raises(ShardError, match=str(status)):
        RemoteFiles(server.url, pauses_s=(0.0, 0.0)).read("card.json")
    assert len(server.asked) == times


def test_a_large_file_comes_in_pieces(
    server: FileServer, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PIECE_BYTES", 50_000)
    data = (shards / "train-00000.tar").read_bytes()
    file = FileCard(name="train-00000.tar", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    with (tmp_path / "copy").open("wb") as target:
        RemoteFiles(server.url).fetch(file, target)
    assert (tmp_path / "copy").read_bytes() == data
    assert len(server.asked) == -(-len(data) // 50_000)


def test_credentials_in_a_url_are_refused() -> None:
    with pytest.raises(ShardError, match="no credentials") as caught:
        RemoteFiles("https://me:secret@example.org/set")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["nosuch://bucket/set", "oci://bucket/set"])
def test_a_scheme_that_needs_a_package_is_named(url: str) -> None:
    with pytest.raises(ShardError, match=url.split(":")[0]) as caught:
        RemoteFiles(url)
    assert "\n" not in str(caught.value)
