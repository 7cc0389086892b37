"""What tests of several packages share."""

import multiprocessing
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

# A script starts what it leaves in the background with Ctrl-C ignored, and children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Imports take ten times as long as a toy run. Processes of the context "forkserver" are forked from one server, which
# has done them: so a kill hits the work. The first test to start one starts the server, hence one list for all.
multiprocessing.set_forkserver_preload(
    [
        "data_prep.coco.source",
        "data_prep.dry_run",
        "data_prep.encode",
        "data_prep.pack",
        "data_prep.scapes.shards",
        "data_prep.verify",
        "lit_outpaint.cli.outpaint",
        "lit_outpaint.outpainter",
        "lit_outpaint.testing.models",
        "lit_outpaint.testing.runs",
        "zarr",
    ]
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of few tests: these take longest, and the last one to end is what all others wait for."""
    tests_of = Counter(item.path for item in items)
    items.sort(key=lambda item: tests_of[item.path])


@pytest.fixture(scope="session")
def toy_family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a random-weight model family; read only."""
    from lit_outpaint.testing.models import build_toy_family

    return build_toy_family(tmp_path_factory.mktemp("toy_family"))


@pytest.fixture(scope="session")
def toy_shards(tmp_path_factory: pytest.TempPathFactory, toy_family: Path) -> Path:
    """A shard set of a few scapes windows with views of all sides and corners, encoded by the toy family; read only."""
    from data_prep.__main__ import main
    from lit_outpaint.canvas.geometry import GROWTHS

    out = tmp_path_factory.mktemp("toy_shards") / "data"
    counts = "--windows 8 --val-windows 4 --panoramas 0 --eval-windows 0 --eval-steps 1 --samples-per-shard 4"
    views = f"--directions=[{','.join(GROWTHS)}]"
    status = main(["all", "--source", "scapes", "--out", str(out), "--models", str(toy_family), views, *counts.split()])
    assert status == 0
    return out


@pytest.fixture(scope="session")
def models(toy_family: Path) -> Path:
    """The toy family, as what encodes shards calls it."""
    return toy_family


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """A shard set of a dozen scapes windows in several shards, with an evaluation set; read only."""
    from data_prep.testing import build_toy_shards

    return build_toy_shards(tmp_path_factory.mktemp("prepared") / "set", models)


@pytest.fixture(scope="session")
def spoken_shards(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """The same with features of ScapesLM, half of the local captions being paragraphs; read only."""
    from data_prep.testing import build_toy_shards
    from lit_outpaint.models.language import CausalLanguage

    language = CausalLanguage(path="models/scapes/lm", length=24, prefix="pre ")
    out = tmp_path_factory.mktemp("spoken") / "set"
    return build_toy_shards(out, models, language=language, directions=("right",), dense_share=0.5)


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., bytes]:
    """Opens a page from the file system in a headless browser and returns what it printed; for slow tests."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.fail("this test needs a browser: apt-get install -y chromium", pytrace=False)

    def run(page: Path, *options: str) -> bytes:
        usual = "--headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=9000"
        command = [browser, *usual.split(), f"--user-data-dir={tmp_path / 'browser'}", *options, page.as_uri()]
        return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout

    return run
