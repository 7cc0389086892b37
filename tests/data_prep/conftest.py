from pathlib import Path

import pytest

from data_prep.testing import build_toy_shards
from lit_outpaint.testing import build_toy_family


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_toy_family(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    return build_toy_shards(tmp_path_factory.mktemp("prepared") / "set", models)
