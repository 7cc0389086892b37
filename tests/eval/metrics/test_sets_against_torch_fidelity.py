"""IS, FID, KID, precision and recall over folders of PNG files, against torch-fidelity with the same extractor."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch_fidelity
from PIL import Image
from torch.utils.data import Dataset
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from eval.extractors import to_levels
from eval.functional.sampling import key_hash
from eval.metrics import FID, KID, InceptionScore, PrecisionRecall
from eval.testing import toy_extractor, toy_pictures
from lit_outpaint.protocols import SampleId

SEED, SPLITS, COUNT = 2020, 4, 60


class _RegisteredToy(FeatureExtractorBase):
    """Our toy extractor as torch-fidelity wants it."""

    def __init__(self, name: str, features_list: list[str], **_: object) -> None:
        super().__init__(name, features_list)
        self.inner = toy_extractor()

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("pooled",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "pooled"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    def forward(self, levels: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.inner.extract(levels.float() / 127.5 - 1).pooled,)


class _Folder(Dataset):
    """PNG files in the order of their hashes, which is the order of our splits and subsets."""

    def __init__(self, directory: Path) -> None:
        self.paths = sorted(directory.glob("*.png"), key=lambda path: key_hash(f"{path.stem}/1", SEED))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(np.array(Image.open(self.paths[index]))).permute(2, 0, 1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    made = []
    for name, seed in (("generated", 0), ("real", 1)):
        directory = tmp_path_factory.mktemp(name)
        pictures = toy_pictures(COUNT, seed=seed) * (0.7 if seed else 1.0)
        for index, levels in enumerate(to_levels(pictures)):
            Image.fromarray(levels.permute(1, 2, 0).numpy()).save(directory / f"{index:03d}.png")
        made.append(directory)
    return made[0], made[1]


@pytest.fixture(scope="module")
def theirs(folders: tuple[Path, Path]) -> dict[str, float]:
    FEATURE_EXTRACTORS_REGISTRY["lit-outpaint-toy"] = _RegisteredToy
    generated, real = folders
    return torch_fidelity.calculate_metrics(
        input1=_Folder(generated),
        input2=_Folder(real),
        feature_extractor="lit-outpaint-toy",
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        isc_splits=SPLITS,
        samples_shuffle=False,
        kid_subsets=20,
        kid_subset_size=30,
        rng_seed=SEED,
        cuda=False,
        verbose=False,
        save_cpu_ram=True,
    )


def _ours(metric: object, folders: tuple[Path, Path]) -> list[float]:
    for side in (0, 1):
        # In the order of names, in batches that do not divide the set.
        paths = sorted(folders[side].glob("*.png"))
        for start in range(0, COUNT, 7):
            part = paths[start : start + 7]
            levels = np.stack([np.asarray(Image.open(path)) for path in part])
            pixel_values = torch.from_numpy(levels).permute(0, 3, 1, 2).float() / 127.5 - 1
            empty = pixel_values[:0]
            samples = [SampleId(path.stem, 1) for path in part]
            pair = (pixel_values, empty) if side == 0 else (empty, pixel_values)
            metric.update(*pair, [""] * len(part), samples)
    return list(metric.compute().values())


def test_fid(folders: tuple[Path, Path], theirs: dict[str, float]) -> None:
    assert _ours(FID(toy_extractor()), folders) == [pytest.approx(theirs["frechet_inception_distance"], rel=1e-4)]


def test_kid(folders: tuple[Path, Path], theirs: dict[str, float]) -> None:
    ours = _ours(KID(toy_extractor(), subsets=20, subset_size=30, seed=SEED), folders)
    expected = [theirs[f"kernel_inception_distance_{what}"] for what in ("mean", "std")]
    assert ours == pytest.approx(expected, rel=1e-4)


def test_inception_score_over_the_same_splits(folders: tuple[Path, Path], theirs: dict[str, float]) -> None:
    ours = _ours(InceptionScore(toy_extractor(), splits=SPLITS, seed=SEED), folders)
    expected = [theirs[f"inception_score_{what}"] for what in ("mean", "std")]
    assert ours == pytest.approx(expected, rel=1e-4)
    assert expected[0] > 1.1


def test_precision_and_recall(folders: tuple[Path, Path], theirs: dict[str, float]) -> None:
    ours = _ours(PrecisionRecall(toy_extractor()), folders)
    assert ours == pytest.approx([theirs["precision"], theirs["recall"]], rel=1e-4)
    assert max(ours) < 1
    assert min(ours) > 0
