import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.cli.outpaint import main

PIPELINE = """
import sys
import numpy
import torch
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.masks import outpaint_mask
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.drawing.engine import WindowRequest
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.pipeline import load_pipeline


def graphs():
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


pipeline = load_pipeline(sys.argv[1])
side = pipeline.window_px
known = numpy.zeros((side, side, 3), numpy.uint8)
asks, does_not = (Outpainter(pipeline, config=OutpainterConfig(num_inference_steps=2, compile=each)) for each in (1, 0))
for outpainter, expected in ((does_not, 0), (asks, 1)):
    asked = WindowRequest(
        window=Box(0, 0, side, side),
        known=known,
        new=Box(side // 2, 0, side, side),
        caption="a lake",
        global_caption="a lake",
        view=known,
        generator=torch.Generator().manual_seed(0),
    )
    outpainter.draw([asked])
    assert graphs() == expected, f"{graphs()} graphs, not {expected}"

image = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(5)) * 2 - 1
mask = outpaint_mask("right", 0.5, side, side).expand(3, -1, -1, -1)


def draw(size, compiled, steps=3):
    generators = [torch.Generator().manual_seed(i) for i in range(size)]
    texts = ["a lake", "a meadow", "a town"][:size]
    options = {"sampling": Sampling(num_inference_steps=steps), "generator": generators, "compiled": compiled}
    return pipeline.draw(image[:size], mask[:size], texts, texts, **options)


plain, compiled = draw(3, False), draw(3, True)
torch.testing.assert_close(compiled, plain, atol=1e-4, rtol=1e-4)
assert not torch.equal(compiled, plain), "the plain U-Net drew both"
assert torch.equal(draw(3, False), plain), "the plain U-Net was changed"
assert torch.equal(draw(1, True), compiled[:1]), "a window depends on its batch"
assert torch.equal(draw(3, True), compiled), "a window depends on the call"
draw(2, True, steps=4)
assert graphs() == 1, f"{graphs()} graphs"
"""


def _run(*arguments: str, home: Path) -> None:
    # In an interpreter of its own: the checks of tensor shapes that tests run with would cut the graph to pieces.
    env = os.environ | {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": str(home)}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was compiled, for the next process."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    return tmp_path / "in.png"


@pytest.mark.slow
def test_a_compiled_unet_draws_the_same_up_to_rounding_whatever_the_batch_in_one_graph(model: Path, home: Path) -> None:
    _run("-c", PIPELINE, str(model), home=home)


@pytest.mark.slow
def test_a_compiled_run_that_goes_on_in_another_process_ends_with_the_same_pixels(
    model: Path, home: Path, image: Path, tmp_path: Path
) -> None:
    start = ["-m", "lit_outpaint", "outpaint", "--image", str(image), "--caption", "a lake", "--model", str(model)]
    start += ["--num_inference_steps", "2", "--compile", "true"]
    _run(*start, "--steps", "right:4", "--out", str(tmp_path / "whole"), home=home)
    _run(*start, "--steps", "right:2", "--out", str(tmp_path / "parts"), home=home)
    _run("-m", "lit_outpaint", "outpaint", "--resume", str(tmp_path / "parts"), "--steps", "right:2", home=home)
    whole, parts = (np.asarray(Image.open(tmp_path / name / "panorama.png")) for name in ("whole", "parts"))
    assert whole.shape == (64, 64 + 4 * 32, 3)
    assert np.array_equal(parts, whole)


def test_without_a_compiler_it_is_refused_before_anything_is_written(
    model: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    run = ["--image", str(image), "--caption", "a lake", "--steps", "right:1", "--out", str(tmp_path / "run")]
    assert main([*run, "--model", str(model), "--compile", "true", "--device", "cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs a C++ compiler" in line
    assert "no-such-compiler" in line
    assert not (tmp_path / "run").exists()
