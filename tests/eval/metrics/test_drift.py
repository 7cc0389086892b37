from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab

from eval.clip import EvaluationClip
from eval.functional.seam import seam_score
from eval.metrics import FID, ClipSim, Curve, Drift, IntraLpips, Seam
from eval.metrics.curve import _slopes
from eval.testing import computed_on_ranks, toy_extractor, toy_pictures, toy_samples
from lit_outpaint.protocols import ImageMetric, NotComputable, SampleId

WINDOW, STRIDE, STEPS, COUNT = 32, 16, (0, 1, 2, 4), 6
LENGTH = WINDOW + STRIDE * 4


def _panoramas(count: int = COUNT, seed: int = 0) -> torch.Tensor:
    """Alike all along, with some noise: pictures without drift."""
    return 0.5 * toy_pictures(count, WINDOW, LENGTH, seed)


def _darkened(panoramas: torch.Tensor, per_step: float) -> torch.Tensor:
    """L falls by so much with every step's stretch of canvas; a window shows the mean of its two stretches."""
    pixels = ((panoramas + 1) / 2).permute(0, 2, 3, 1).numpy()
    lab = rgb2lab(pixels)
    lab[..., 0] -= per_step * (np.arange(LENGTH) // STRIDE)
    return torch.from_numpy(lab2rgb(lab)).permute(0, 3, 1, 2).float() * 2 - 1


def _drift(direction: str = "right", clip: EvaluationClip | None = None) -> Drift:
    return Drift(WINDOW, STRIDE, direction, STEPS, clip)


def _values(metric: ImageMetric, figure: str, end: str) -> dict[str, float]:
    """Of a figure, by whose it is: the drawn panoramas', the real ones', or their difference."""
    found = {}
    for name, value in metric.compute().items():
        if name.startswith(f"drift.{figure}.") and name.endswith(f".{end}"):
            found[name.split(".")[-2].rpartition("n")[0].rstrip("-")] = value
    return found


def test_planted_darkening_of_one_percent_per_step_has_its_slope() -> None:
    real = _panoramas()
    metric = _drift()
    metric.update(_darkened(real, 1.0), real, [""] * COUNT, toy_samples(COUNT))
    slope, low, high = (_values(metric, "lightness", end) for end in ("slope", "slope_low", "slope_high"))
    assert slope["beyond_real"] == pytest.approx(-1.0, abs=0.05)
    assert low["beyond_real"] < slope["beyond_real"] < high["beyond_real"] < 0
    assert slope[""] - slope["real"] == pytest.approx(slope["beyond_real"])
    assert _values(metric, "contrast", "slope")["beyond_real"] == pytest.approx(0, abs=0.1)


def test_interval_covers_no_drift_where_none_is_planted() -> None:
    metric = _drift()
    metric.update(_panoramas(), _panoramas(seed=1), [""] * COUNT, toy_samples(COUNT))
    assert _values(metric, "lightness", "slope_low")["beyond_real"] < 0
    assert _values(metric, "lightness", "slope_high")["beyond_real"] > 0


def test_blur_that_grows_lowers_sharpness_and_real_pictures_keep_theirs() -> None:
    real = _panoramas()
    drawn = real.clone()
    drawn[..., WINDOW:] = torch.nn.functional.avg_pool2d(real, 5, 1, padding=2)[..., WINDOW:]
    metric = _drift()
    metric.update(drawn, real, [""] * COUNT, toy_samples(COUNT))
    assert _values(metric, "sharpness", "slope_high")["beyond_real"] < 0
    assert _values(metric, "sharpness", "step0")[""] == pytest.approx(_values(metric, "sharpness", "step0")["real"])


def test_a_repeated_object_raises_repetition() -> None:
    thing = toy_pictures(1, 14, 14, seed=5)[0].sign() * 0.8
    once = torch.zeros(2, 3, WINDOW, LENGTH)
    once[..., 9:23, 2:16] = thing
    again = once.clone()
    again[..., 6:20, 65:79] = thing
    metric = _drift()
    metric.update(again, once, [""] * 2, toy_samples(2))
    assert _values(metric, "repetition", "step4") == {"": 0, "real": 0}
    at_the_copy = Drift(WINDOW, STRIDE, steps=(0, 3))
    at_the_copy.update(again, once, [""] * 2, toy_samples(2))
    found = _values(at_the_copy, "repetition", "step3")
    assert found[""] > 0.05
    assert found["real"] == 0


def test_repetition_is_seen_however_narrow_the_steps_are() -> None:
    torch.manual_seed(0)
    piece = torch.rand(1, 3, 64, 64) * 2 - 1
    found = {}
    for stride in (64, 8):
        metric = Drift(64, stride, "right", [0, 64 * 3 // stride])
        canvas = piece.repeat(1, 1, 1, 4)
        metric.update(canvas, canvas[:0], [""], [SampleId("a", 0)])
        (found[stride],) = [
            value for name, value in metric.compute().items() if "repetition" in name and f"step{192 // stride}" in name
        ]
    assert found[64] > 0.9
    assert found[8] > 0.9


@pytest.mark.parametrize("direction", ["left", "up", "down"])
def test_every_direction_gives_the_figures_of_the_turned_pictures(direction: str, family: Path) -> None:
    drawn, real = _darkened(_panoramas(), 2.0), _panoramas(seed=1)
    plain, turned = _drift(), _drift(direction)
    plain.update(drawn, real, [""] * COUNT, toy_samples(COUNT))
    pictures = [part if direction == "left" else part.transpose(-1, -2) for part in (drawn, real)]
    if direction != "down":
        pictures = [part.flip(-1 if direction == "left" else -2) for part in pictures]
    turned.update(*pictures, [""] * COUNT, toy_samples(COUNT))
    assert list(turned.compute().values()) == pytest.approx(list(plain.compute().values()), abs=1e-4)


def test_clip_distance_starts_at_zero_and_is_that_of_the_windows(family: Path) -> None:
    clip = EvaluationClip(family / "eval_clip")
    metric, drawn = _drift(clip=clip), _panoramas()
    metric.update(drawn, drawn[:0], [""] * COUNT, toy_samples(COUNT))
    assert _values(metric, "clip_distance", "step0")[""] == pytest.approx(0, abs=1e-6)
    first, last = (clip.encode_pixel_values(drawn[..., start : start + WINDOW]) for start in (0, LENGTH - WINDOW))
    expected = 1 - float((first * last).sum(dim=1).mean())
    assert _values(metric, "clip_distance", "step4")[""] == pytest.approx(expected, abs=1e-6)


def test_panoramas_that_end_early_count_where_they_reach() -> None:
    metric = _drift()
    metric.update(_panoramas(2)[..., : WINDOW + 2 * STRIDE], _panoramas(0), [""] * 2, toy_samples(2))
    assert _values(metric, "lightness", "step2").keys() == {""}
    assert _values(metric, "lightness", "step4") == {}
    with pytest.raises(ValueError, match="32 px by at least 48 px, got 40 x 32 px"):
        metric.update(_panoramas(1)[..., :40], _panoramas(0), [""], toy_samples(1))


def test_ranks_agree_with_one_process() -> None:
    def make() -> list[ImageMetric]:
        return [_drift(), Curve(FID(toy_extractor()), (0, 1, 2, 4))]

    def feed(metric: ImageMetric, rank: int, world_size: int) -> None:
        drawn, real = _darkened(_panoramas(), 1.0), _panoramas()
        for row in range(rank, COUNT, min(world_size, 2)) if rank < 2 else ():
            if isinstance(metric, Drift):
                metric.update(drawn[row : row + 1], real[row : row + 1], [""], toy_samples(1))
                continue
            spans = [slice(STRIDE * step, STRIDE * step + WINDOW) for step in STEPS]
            pictures = [torch.stack([part[row, ..., span] for span in spans]) for part in (drawn, real)]
            metric.update(*pictures, [""] * 4, [SampleId(f"p{row}", step) for step in STEPS])

    for metric, found in zip(make(), computed_on_ranks(make, feed, 3), strict=True):
        feed(metric, 0, 1)
        assert found == {name: pytest.approx(value, rel=1e-6, abs=1e-7) for name, value in metric.compute().items()}


def test_curve_is_the_metric_of_each_step_and_its_slope(family: Path) -> None:
    clip = EvaluationClip(family / "eval_clip")
    pictures = toy_pictures(9, 32, 32)
    samples = [SampleId(f"p{row // 3}", row % 3) for row in range(9)]
    curve = Curve(ClipSim(clip), steps=(0, 1, 2))
    curve.update(pictures, pictures[:0], ["a lake"] * 9, samples)
    scores = curve.compute()
    points = []
    for step in range(3):
        plain = ClipSim(clip)
        plain.update(pictures[step::3], pictures[:0], ["a lake"] * 3, samples[step::3])
        points.append(plain.compute()["clip_sim.window-local.eval_clip.n3"])
        assert scores[f"clip_sim.window-local.eval_clip.n3.step{step}"] == points[-1]
    assert scores["clip_sim.window-local.eval_clip.n3.slope"] == pytest.approx((points[2] - points[0]) / 2)
    assert curve.from_step == 0
    assert isinstance(curve, ImageMetric)
    curve.reset()
    with pytest.raises(NotComputable, match="no point of the curve"):
        curve.compute()


def test_wrong_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="metric of windows or strips, got IntraLpips"):
        Curve(IntraLpips(object()))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="different and not negative"):
        Curve(FID(toy_extractor()), (1, 1))
    with pytest.raises(ValueError, match="at least two different"):
        Drift(32, 16, steps=(3,))
    with pytest.raises(ValueError, match="stride_px must lie"):
        Drift(32, 64)
    with pytest.raises(NotComputable, match="no panoramas"):
        _drift().compute()


def test_a_slope_is_of_one_figure_where_another_is_left_out_at_a_step() -> None:
    points = {step: {f"a.n{step}": float(step)} | ({} if step == 1 else {f"b.n{step}": 5.0}) for step in range(4)}
    points[1] = {"b.n1": 5.0, **points[1]}
    points[2].pop("b.n2")
    slopes = _slopes(points)
    assert slopes["a.n3.slope"] == pytest.approx(1)
    assert not any(name.startswith("b.") for name in slopes)


@pytest.mark.parametrize(("direction", "shape"), [("down", (192, 64)), ("right", (64, 192))])
def test_the_seam_lies_along_the_side_that_grows(direction: str, shape: tuple[int, int]) -> None:
    metric = Seam(direction, 32)
    pictures = torch.rand(1, 3, *shape)
    metric.update(pictures, pictures[:0], [""], [SampleId("a", 0)])
    axis = "y" if direction == "down" else "x"
    (score,) = metric.compute().values()
    assert score == pytest.approx(float(seam_score(pictures, 160, axis)))
