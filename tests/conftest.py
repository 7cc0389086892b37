"""What tests of several packages share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def toy_family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a random-weight model family; read only."""
    from lit_outpaint.testing import build_toy_family

    return build_toy_family(tmp_path_factory.mktemp("toy_family"))


@pytest.fixture(scope="session")
def toy_shards(tmp_path_factory: pytest.TempPathFactory, toy_family: Path) -> Path:
    """A shard set of a few scapes windows, encoded by the toy family; read only."""
    from data_prep.__main__ import main

    out = tmp_path_factory.mktemp("toy_shards") / "data"
    counts = "--windows 8 --val-windows 4 --panoramas 0 --eval-windows 0 --eval-steps 1 --samples-per-shard 4"
    status = main(["all", "--source", "scapes", "--out", str(out), "--models", str(toy_family), *counts.split()])
    assert status == 0
    return out
