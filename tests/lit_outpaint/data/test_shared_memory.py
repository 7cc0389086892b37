"""Loader workers under a small /dev/shm: a real one, mounted for a forked process alone."""

import ctypes
import logging
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.data.shared_memory import workers_that_fit

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


def under_small_shm(kilobytes: int, work: Callable[[], object]) -> None:
    """Do something in a process that sees a /dev/shm of this size."""

    def child() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        size = f"size={kilobytes}k".encode()
        if (
            libc.unshare(CLONE_NEWNS)
            or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
            or libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, size)
        ):
            os._exit(77)
        work()

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(300)
    if process.exitcode == 77:
        pytest.skip("mounting takes rights that this machine does not give")
    assert process.exitcode == 0


def keys(shards: Path, **options: object) -> list[tuple[str, ...]]:
    torch.set_num_threads(1)
    data = OutpaintDataModule(str(shards), batch_size=2, num_workers=2, **options)  # type: ignore[arg-type]
    data.setup("fit")
    loader = data.train_dataloader()
    read = [batch.keys for batch in loader]
    print(f"workers: {loader.num_workers}", flush=True)
    return read


@pytest.mark.parametrize(
    ("kilobytes", "options", "workers"),
    [(64, {}, 0), (2048, {}, 2), (2048, {"views": "online"}, 0)],
    ids=["64 kB", "stored features in 2 MB", "pixels in 2 MB"],
)
def test_workers_are_as_many_as_shared_memory_takes(
    kilobytes: int, options: dict, workers: int, shards: Path, capfd: pytest.CaptureFixture
) -> None:
    def work() -> None:
        logging.basicConfig(format="%(message)s", force=True)
        here = OutpaintDataModule(str(shards), batch_size=2, num_workers=0)
        here.setup("fit")
        assert keys(shards, **options) == [batch.keys for batch in here.train_dataloader()]

    under_small_shm(kilobytes, work)
    out, err = capfd.readouterr()
    assert f"workers: {workers}" in out
    assert ("--shm-size" in err) == (workers == 0)


def test_ranks_of_a_machine_share_the_memory() -> None:
    def work() -> None:
        assert workers_that_fit(2, 100_000) == 2
        assert workers_that_fit(2, 100_000, ranks=4) == 0

    under_small_shm(2048, work)
