"""From a folder in the layout of MS-COCO to a training run, through the commands that a user types."""

import importlib
import shutil
from pathlib import Path

import pytest

from data_prep.__main__ import main as data_prep
from data_prep.testing import TOY_COCO_COUNTS, TOY_COCO_SETTINGS, build_toy_coco
from lit_outpaint.data.integrity import check_shard_set
from lit_outpaint.data.shard_files import ShardFiles

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def family(models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A family as Stable Diffusion 1.5 comes, without eyes of its own, and a CLIP that lends it some."""
    base = tmp_path_factory.mktemp("family")
    sd = Path(shutil.copytree(models, base / "sd", ignore=shutil.ignore_patterns("image_encoder", "image_processor")))
    clip = Path(shutil.copytree(models / "image_encoder", base / "clip"))
    shutil.copy(models / "image_processor" / "preprocessor_config.json", clip)
    return sd, clip


@pytest.fixture(scope="module")
def prepared(family: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("coco")
    sizes = {name: value for name, value in TOY_COCO_SETTINGS.items() if name != "window_px"}
    words = ["all", "--source", "coco", "--root", str(build_toy_coco(base / "download")), "--val_split", "val2017"]
    words += ["--models", str(family[0]), "--vision", str(family[1]), "--device", "cpu", "--workers", "1"]
    words += ["--masked_latents", "false", "--around", "true", *(f"--{name}={value}" for name, value in sizes.items())]
    assert data_prep([*words, "--out", str(base / "set")]) == 0
    return base / "set"


def fit(shards: Path, family: tuple[Path, Path], runs: Path, *more: str) -> int:
    main = importlib.import_module("lit_outpaint.__main__").main
    configs = ["-c", str(ROOT / "experiments/coco.yaml"), "-c", str(ROOT / "experiments/debug/tiny.yaml")]
    base = [f"--model.base.pretrained={family[0]}", f"--model.base.vision={family[1]}"]
    status: int = main(["fit", *configs, *base, f"--data.shards={shards}", f"--runs_dir={runs}", *more])
    return status


def test_verify_accepts_the_set_and_recounts_its_captions(
    prepared: Path, family: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert data_prep(["verify", str(prepared), "--models", str(family[0]), "--vision", str(family[1])]) == 0
    assert "15 images used; left out: 1 corrupt" in capsys.readouterr().out


def test_the_card_says_where_everything_comes_from(prepared: Path) -> None:
    card, entries = check_shard_set(prepared)
    assert card.source == "coco"
    assert card.counts == TOY_COCO_COUNTS
    assert card.window_px == 64, "the side of the family's own windows"
    assert card.writers["local_captions"] == {"coco annotators": 15}
    assert card.writers["global_caption"] == {"rules": 15}
    assert (card.samples("train"), card.samples("val")) == (12, 3)
    record = ShardFiles(prepared).record(entries[0])
    assert (record.id, record.source) == ("train2017/0", "coco")


def test_a_shard_without_a_usable_image_leaves_no_gap_in_the_names(prepared: Path) -> None:
    # The images 20 to 27 fill a shard of their own, and none of them can be used.
    assert [path.name for path in sorted(prepared.glob("*.tar"))] == [
        "train-00000.tar", "train-00001.tar", "train-00002.tar", "val-00000.tar"
    ]  # fmt: skip


@pytest.mark.parametrize("view", ["window", "picture"])
def test_fit_trains_on_the_set_under_the_experiment_of_coco(
    prepared: Path, family: tuple[Path, Path], tmp_path: Path, view: str
) -> None:
    assert fit(prepared, family, tmp_path, f"--data.visual_view={view}") == 0


def test_fit_refuses_features_of_another_vision_encoder(
    prepared: Path, family: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(family[1], tmp_path / "clip"))
    data = bytearray((other / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (other / "model.safetensors").write_bytes(data)
    capsys.readouterr()
    assert fit(prepared, (family[0], other), tmp_path) == 2
    assert "another image_encoder" in capsys.readouterr().err
