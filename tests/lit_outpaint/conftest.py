"""A toy outpainting model, and disks that need not be waited for."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lit_outpaint.pipeline import OutpaintPipeline


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a random-weight outpainting model, an overlay of the family around it; read only."""
    from lit_outpaint.testing.models import build_toy_pipeline

    return build_toy_pipeline(tmp_path_factory.mktemp("model") / "family")


@pytest.fixture(scope="module")
def pipeline(model: Path) -> OutpaintPipeline:
    """The model, loaded; a test that changes it loads its own."""
    from lit_outpaint.pipeline import load_pipeline

    return load_pipeline(model)


@pytest.fixture(scope="session")
def eyes(toy_family: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy family's vision encoder in a home of its own, as a CLIP of the hub lies there; read only."""
    directory = tmp_path_factory.mktemp("eyes") / "clip"
    shutil.copytree(toy_family / "image_encoder", directory)
    shutil.copy(toy_family / "image_processor" / "preprocessor_config.json", directory)
    return directory


@pytest.fixture(scope="session")
def processes() -> Any:
    """Real processes that start fast: one server has the imports done and forks them."""
    return multiprocessing.get_context("forkserver")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test cannot cut the power, so it need not wait until bytes are safe from that."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
