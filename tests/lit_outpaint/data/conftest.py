from pathlib import Path

import pytest

from data_prep.testing import build_toy_shards


@pytest.fixture(scope="session")
def models(toy_family: Path) -> Path:
    return toy_family


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    return build_toy_shards(tmp_path_factory.mktemp("prepared") / "set", models)
