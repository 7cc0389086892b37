"""What must hold on real pictures of the scapes world.

The shipped judges serve as they are; a judge that fails here could tell no caption from another.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from data_prep.scapes.captions import local_caption
from data_prep.scapes.world import World
from eval.metrics import FID, ClipSim, Drift, IntraLpips
from eval.perceptual import ScapesLpips
from lit_outpaint.canvas.compositing import to_pixel_values
from lit_outpaint.protocols import SampleId

MODELS = Path(__file__).parents[3] / "models" / "scapes"
WINDOW, STRIDE, STEPS, COUNT = 128, 64, (0, 1, 2, 4), 6
LENGTH = WINDOW + 4 * STRIDE


@pytest.fixture(scope="module")
def panoramas() -> torch.Tensor:
    """Of held-out worlds, one world each."""
    return to_pixel_values(
        np.stack([World(2 * seed + 1).render(997 * seed, 0, LENGTH, WINDOW) for seed in range(COUNT)])
    )


def _samples(count: int = COUNT) -> list[SampleId]:
    return [SampleId(f"w{index}", 1) for index in range(count)]


def test_shuffled_captions_lower_clip_sim() -> None:
    worlds = [World(2 * seed + 1) for seed in range(16)]
    windows = to_pixel_values(np.stack([world.render(700, 0, WINDOW, WINDOW) for world in worlds]))
    captions = [local_caption(world.facts(700, 0, WINDOW, WINDOW)) for world in worlds]
    scores = []
    for texts in (captions, captions[1:] + captions[:1]):
        metric = ClipSim(str(MODELS / "eval_clip"))
        metric.update(windows, windows[:0], texts, _samples(16))
        scores.append(next(iter(metric.compute().values())))
    assert scores[0] > scores[1] + 0.1


def test_the_same_windows_have_no_distance_and_another_time_of_day_has_one(panoramas: torch.Tensor) -> None:
    windows = torch.cat(panoramas.split(WINDOW, dim=-1))
    dark = (windows + 1) * 0.4 - 1
    scores = []
    for other in (windows, dark):
        metric = FID(f"scapes:{MODELS}")
        metric.update(windows, other, [""] * len(windows), _samples(len(windows)))
        scores.append(next(iter(metric.compute().values())))
    assert scores[0] == pytest.approx(0, abs=1e-3)
    assert scores[1] > 100 * max(scores[0], 1e-3)


def test_planted_darkening_of_one_percent_per_step_has_its_slope(panoramas: torch.Tensor) -> None:
    lab = rgb2lab(((panoramas + 1) / 2).permute(0, 2, 3, 1).numpy())
    lab[..., 0] = 0.5 * lab[..., 0] + 30
    bright, dark = lab.copy(), lab.copy()
    dark[..., 0] -= np.arange(LENGTH) // STRIDE
    real, drawn = (torch.from_numpy(lab2rgb(part)).permute(0, 3, 1, 2).float() * 2 - 1 for part in (bright, dark))
    metric = Drift(WINDOW, STRIDE, steps=STEPS)
    metric.update(drawn, real, [""] * COUNT, _samples())
    slopes = {name: value for name, value in metric.compute().items() if name.startswith("drift.lightness.")}
    where = f"window{WINDOW}-stride{STRIDE}-right.beyond_real-n{COUNT}"
    assert slopes[f"drift.lightness.{where}.slope"] == pytest.approx(-1, abs=0.1)
    assert slopes[f"drift.lightness.{where}.slope_high"] < 0


def test_a_planted_copy_raises_repetition(panoramas: torch.Tensor) -> None:
    copied = panoramas.clone()
    copied[..., WINDOW + 2 * STRIDE : WINDOW + 3 * STRIDE] = panoramas[..., STRIDE : 2 * STRIDE]
    metric = Drift(WINDOW, STRIDE, steps=(0, 3))
    metric.update(copied, panoramas, [""] * COUNT, _samples())
    scores = metric.compute()
    where = f"drift.repetition.window{WINDOW}-stride{STRIDE}-right"
    assert scores[f"{where}.n{COUNT}.step3"] > scores[f"{where}.real-n{COUNT}.step3"] + 0.05


def test_a_tiled_panorama_is_nearer_to_itself_than_a_real_one(panoramas: torch.Tensor) -> None:
    metric = IntraLpips(ScapesLpips(MODELS))
    tiled = panoramas[..., :WINDOW].repeat(1, 1, 1, 3)
    metric.update(tiled, panoramas, [""] * COUNT, _samples())
    generated, real = metric.compute().values()
    assert generated == pytest.approx(0, abs=1e-5)
    assert real > 0.01
