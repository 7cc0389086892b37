import pytest
import torch
import torchvision
from torchmetrics.functional.image.lpips import _LPIPS

from eval.figures import Target
from eval.metrics import FID, BlockFID, IntraLpips, ScaleInvariantFID, Seam, seam_metrics
from eval.metrics.seam import Compared
from eval.perceptual import Lpips, ModuleLpips, PerceptualDistance, ScapesLpips
from eval.testing import computed_on_ranks, toy_extractor, toy_pictures, toy_samples
from lit_outpaint.heldout.walks import Geometry
from lit_outpaint.protocols import ImageMetric, NotComputable

EXTRACTOR = toy_extractor()
COUNT = 12


class _Maps(torch.nn.Module):
    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        return [pictures, torch.nn.functional.avg_pool2d(pictures, 2)]


DISTANCE = ModuleLpips(_Maps(), "pixels")


def _feed(metric: ImageMetric, rank: int, world_size: int) -> None:
    generated, real, samples = toy_pictures(COUNT, 16, 64), toy_pictures(COUNT, 16, 64, seed=1), toy_samples(COUNT)
    for row in range(rank, COUNT, world_size):
        part = slice(row, row + 1)
        metric.update(generated[part], real[part], ["a lake"], samples[part])


def _first(metric: ImageMetric) -> float:
    _feed(metric, 0, 1)
    return next(iter(metric.compute().values()))


def test_ranks_agree_with_one_process() -> None:
    def make() -> list[ImageMetric]:
        return [
            BlockFID(3, 16, extractor=EXTRACTOR),
            ScaleInvariantFID(2, 8, EXTRACTOR),
            IntraLpips(DISTANCE),
            Seam(),
        ]

    def feed(metric: ImageMetric, rank: int, world_size: int) -> None:
        if not isinstance(metric, Seam):
            return _feed(metric, rank, world_size)
        windows = toy_pictures(COUNT)
        for row in range(rank, COUNT, world_size):
            metric.update(windows[row : row + 1], windows[row : row + 1], [""], toy_samples(1))

    for metric, found in zip(make(), computed_on_ranks(make, feed, 3), strict=True):
        feed(metric, 0, 1)
        assert found == {name: pytest.approx(value, rel=1e-6) for name, value in metric.compute().items()}


@pytest.mark.parametrize(("direction", "first"), [("right", 16), ("left", 32)])
def test_one_block_is_the_fid_of_that_block(direction: str, first: int) -> None:
    generated, real, samples = toy_pictures(COUNT, 16, 64), toy_pictures(COUNT, 16, 64, seed=1), toy_samples(COUNT)
    plain = FID(EXTRACTOR)
    part = slice(first, first + 16)
    plain.update(generated[..., part], real[..., part], [""] * COUNT, samples)
    expected = next(iter(plain.compute().values()))
    assert _first(BlockFID(1, 16, direction, EXTRACTOR)) == pytest.approx(expected, rel=1e-6)


def test_blocks_downwards_are_those_of_the_turned_panoramas() -> None:
    turned = BlockFID(2, 16, "down", EXTRACTOR)
    pictures, real = toy_pictures(COUNT, 64, 16), toy_pictures(COUNT, 64, 16, seed=1)
    turned.update(pictures, real, [""] * COUNT, toy_samples(COUNT))
    blocks = [FID(EXTRACTOR), FID(EXTRACTOR)]
    for index, metric in enumerate(blocks, 1):
        rows = slice(16 * index, 16 * index + 16)
        metric.update(pictures[:, :, rows], real[:, :, rows], [""] * COUNT, toy_samples(COUNT))
    expected = sum(next(iter(metric.compute().values())) for metric in blocks) / 2
    assert list(turned.compute().values()) == [pytest.approx(expected, rel=1e-6)]


def test_pooled_blocks_are_one_set_and_the_name_says_so() -> None:
    pooled = BlockFID(3, 16, extractor=EXTRACTOR, join="pooled")
    _feed(pooled, 0, 1)
    assert list(pooled.compute()) == ["block_fid.right.toy_native.3x16-pooled.n36-36"]


def test_scale_one_is_the_fid_of_square_pieces_and_larger_scales_are_reduced() -> None:
    generated, real = toy_pictures(COUNT, 16, 64), toy_pictures(COUNT, 16, 64, seed=1)
    squares = [torch.cat(list(part.split(16, dim=-1))) for part in (generated, real)]
    plain = FID(EXTRACTOR)
    plain.update(*squares, [""] * len(squares[0]), toy_samples(len(squares[0])))
    expected = next(iter(plain.compute().values()))
    assert _first(ScaleInvariantFID(1, 16, EXTRACTOR)) == pytest.approx(expected, rel=1e-6)
    doubled = generated.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
    metric = ScaleInvariantFID(2, 16, EXTRACTOR)
    metric.update(doubled, real, [""] * COUNT, toy_samples(COUNT))
    assert next(iter(metric.compute().values())) == pytest.approx(expected, rel=1e-4)


def test_panoramas_that_are_too_small_are_told() -> None:
    with pytest.raises(ValueError, match="Block-FID right with 4 blocks of 16 px needs"):
        _feed(BlockFID(4, 16, extractor=EXTRACTOR), 0, 1)
    metric = ScaleInvariantFID(4, 8, EXTRACTOR)
    _feed(metric, 0, 1)
    with pytest.raises(NotComputable, match="at least 32 x 32 px"):
        metric.compute()
    with pytest.raises(ValueError, match="room for two crops of 16 px"):
        IntraLpips(DISTANCE).update(toy_pictures(1), toy_pictures(0), [""], toy_samples(1))


def test_a_panorama_of_one_tile_has_no_distance_within_and_others_have_their_mean() -> None:
    tile = toy_pictures(1)
    metric = IntraLpips(DISTANCE)
    metric.update(tile.repeat(1, 1, 1, 4), toy_pictures(1, 16, 48), [""], toy_samples(1))
    scores = metric.compute()
    assert list(scores) == [
        "intra_lpips.lpips_uniform-pixels.crop-square.stride-side-by-side.n1",
        "intra_lpips.lpips_uniform-pixels.crop-square.stride-side-by-side.real-n1",
    ]
    crops = toy_pictures(1, 16, 48)[0].split(16, dim=-1)
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = sum(float(DISTANCE.distance(crops[i][None], crops[j][None])) for i, j in pairs) / 3
    assert list(scores.values()) == pytest.approx([0, expected], abs=1e-6)


@pytest.mark.parametrize("compared", ["colour", "texture"])
def test_a_border_between_surfaces_raises_the_score_that_looks_at_it(compared: Compared) -> None:
    windows = toy_pictures(4, 64, 64)
    windows = torch.nn.functional.avg_pool2d(windows, 3, 1, 1)
    bordered = windows.clone()
    if compared == "colour":
        bordered[..., 32:] += 0.5
    else:
        bordered[..., 32:] = torch.nn.functional.avg_pool2d(windows, 7, 1, 3)[..., 32:]
    metric = Seam(compared=compared)
    metric.update(bordered, windows, [""] * 4, toy_samples(4))
    name = f"seam_{compared}_over_real.right-stridehalf.n4"
    assert metric.compute()[name] > 1.5
    assert metric.describe(name).target == Target("<=", 1.10)


def test_scores_of_squares_are_left_out_where_these_do_not_fit() -> None:
    assert [metric.compared for metric in seam_metrics(Geometry("up", 128, 64))] == ["lines", "colour", "texture"]
    assert [metric.compared for metric in seam_metrics(Geometry("up", 64, 8))] == ["lines"]


def test_planted_seam_raises_the_seam_score() -> None:
    windows = toy_pictures(4)
    seamed = windows.clone()
    seamed[..., 8:] += 0.5
    scores = []
    for drawn in (windows, seamed):
        metric = Seam()
        metric.update(drawn, windows, [""] * 4, toy_samples(4))
        scores.append(metric.compute())
    assert scores[0]["seam_over_real.right-stridehalf.n4"] == 1
    assert scores[1]["seam_over_real.right-stridehalf.n4"] > 1.5


@pytest.mark.parametrize(
    "net", ["squeeze", pytest.param("alex", marks=pytest.mark.slow), pytest.param("vgg", marks=pytest.mark.slow)]
)
def test_lpips_agrees_with_torchmetrics(net: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a random backbone: its published weights are not to be had offline."""
    model = {"squeeze": "squeezenet1_1", "alex": "alexnet", "vgg": "vgg16"}[net]
    torch.manual_seed(0)
    backbone = getattr(torchvision.models, model)(weights=None)
    torch.save(backbone.state_dict(), tmp_path / "backbone.pth")
    monkeypatch.setattr(torchvision.models, model, lambda weights: backbone)
    reference = _LPIPS(pretrained=True, net=net, pnet_rand=True, use_dropout=True).eval()
    monkeypatch.undo()
    one, other = toy_pictures(3, 64, 64), toy_pictures(3, 64, 64, seed=1)
    distance = Lpips(net, tmp_path / "backbone.pth")
    expected = reference(one, other).flatten()
    torch.testing.assert_close(distance.distance(one, other), expected, rtol=1e-5, atol=1e-7)
    assert expected.min() > 1e-4
    assert isinstance(distance, PerceptualDistance)


def test_distances_without_weights_get_one_line(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"vgg16-397923af\.pth there, or choose"):
        Lpips()
    with pytest.raises(FileNotFoundError, match="trained probe"):
        ScapesLpips(tmp_path)
    torch.save({}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="another network's file"):
        Lpips("squeeze", tmp_path / "other.pth")
