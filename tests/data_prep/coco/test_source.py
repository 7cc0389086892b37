import io
import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.__main__ import main
from data_prep.coco.config import CocoConfig
from data_prep.coco.source import CocoSource
from data_prep.raw import RawRecord
from data_prep.source import read_counts
from data_prep.tars import read_samples
from data_prep.testing import TOY_COCO_COUNTS, TOY_COCO_SETTINGS, build_toy_coco
from data_prep.work import Work
from lit_outpaint.canvas.compositing import to_uint8
from lit_outpaint.data.damaged import Loaded
from lit_outpaint.data.order import SampleRef
from lit_outpaint.data.plain import PlainDataset
from lit_outpaint.data.plain_index import PlainIndex
from lit_outpaint.data.reader import ViewChoice

FLAGS = [f"--{name}={value}" for name, value in TOY_COCO_SETTINGS.items()]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_toy_coco(tmp_path_factory.mktemp("input") / "coco")


@pytest.fixture(scope="module")
def raw(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("raw")
    flags = ["--root", str(root), "--val_split", "val2017", *FLAGS]
    assert main(["coco", "--out", str(out), "--workers=1", *flags]) == 0
    return out / "work" / "raw"


def samples(raw: Path) -> dict[str, tuple[np.ndarray, RawRecord]]:
    rows = {}
    for path in sorted(raw.glob("*.tar")):
        for key, members in read_samples(path, ("webp", "json")):
            with Image.open(io.BytesIO(members["webp"].data)) as image:
                rows[key] = np.asarray(image), RawRecord.model_validate_json(members["json"].data)
    return rows


def test_every_oddity_is_counted_by_cause(raw: Path) -> None:
    assert read_counts(Work(raw.parents[1])) == Counter(TOY_COCO_COUNTS)


def test_every_image_that_is_left_out_is_named(raw: Path) -> None:
    lines = (raw.parents[1] / "left_out.txt").read_text().splitlines()
    listed, pictures = [line for line in lines if ".json" in line], [line for line in lines if ".json" not in line]
    assert [line.split("train2017/")[1][:12] for line in pictures] == [f"{n:012d}" for n in range(20, 27)] + [
        "../outside.j"
    ]
    assert pictures[1].startswith("the image must be a picture, but train2017/000000000021.jpg is in no known format")
    assert pictures[2] == "the image train2017/000000000022.jpg cannot be had: missing"
    assert sum(line.endswith("has no caption") for line in listed) == 2
    assert sum("has the id" in line for line in listed) == sum("is malformed" in line for line in listed) == 1
    assert len(lines) == sum(count for cause, count in TOY_COCO_COUNTS.items() if cause.startswith("left_out."))


def test_plain_shards_give_the_same_windows(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    source = CocoSource(CocoConfig(root=str(root), quality=100, **TOY_COCO_SETTINGS))
    (tmp_path / "raw").mkdir()
    for stem in source.stems():
        source.write_shard(tmp_path / "raw", stem)
    prepared = samples(tmp_path / "raw")
    with tarfile.open(tmp_path / "train.tar", "w") as tar:
        for key in prepared:
            tar.add(root / "train2017" / f"{key[-12:]}.jpg", f"{key}.jpg")
            caption = tarfile.TarInfo(f"{key}.txt")
            caption.size = 5
            tar.addfile(caption, io.BytesIO(b"a bus"))
    choice = ViewChoice(directions=("right",), ratios=(0.5, 0.5), precomputed=None)
    plain = PlainDataset(PlainIndex.of([tmp_path / "train.tar"]), TOY_COCO_SETTINGS["window_px"], choice, 0)
    loaded = plain.__getitems__([SampleRef(place, 0) for place in range(len(plain))])
    assert isinstance(loaded, Loaded)
    assert loaded.batch.keys == tuple(prepared)
    assert np.array_equal(to_uint8(loaded.batch.pixel_values), np.stack([pixels for pixels, _ in prepared.values()]))


def test_every_usable_image_is_a_window_with_its_captions_and_licence(raw: Path, root: Path) -> None:
    rows = samples(raw)
    assert list(rows) == [f"train2017_{n:012d}" for n in (*range(6), *range(10, 16))] + [
        f"val2017_{n:012d}" for n in range(100, 103)
    ]
    assert all(pixels.shape == (64, 64, 3) for pixels, _ in rows.values())
    assert [len(record.local_captions) for _, record in rows.values()] == [5, 1, *[5] * 13]
    assert rows["train2017_000000000000"][1].licence == "unknown"
    by_nc = "Attribution-NonCommercial License (http://creativecommons.org/licenses/by-nc/2.0/)"
    assert rows["val2017_000000000101"][1].licence == by_nc
    assert len({record.local_index for _, record in rows.values()}) > 1


def test_windows_look_like_their_images(raw: Path, root: Path) -> None:
    rows = samples(raw)
    with Image.open(root / "train2017" / f"{5:012d}.jpg") as image:
        left = (image.width - 64) // 2
        wanted = np.asarray(image.crop((left, 0, left + 64, 64)), float)
    assert np.abs(rows["train2017_000000000005"][0] - wanted).mean() < 3


def test_random_crops_and_local_captions_belong_to_the_image_and_the_seed(root: Path, tmp_path: Path) -> None:
    def windows(name: str, seed: int, samples_per_shard: int) -> dict[str, tuple[bytes, int]]:
        settings = TOY_COCO_SETTINGS | {"samples_per_shard": samples_per_shard}
        source = CocoSource(CocoConfig(root=str(root), crop="random", seed=seed, **settings))
        (tmp_path / name).mkdir()
        for stem in source.stems():
            source.write_shard(tmp_path / name, stem)
        return {
            key: (pixels.tobytes(), record.local_index) for key, (pixels, record) in samples(tmp_path / name).items()
        }

    first = windows("first", 0, 6)
    assert windows("cut otherwise", 0, 4) == first
    other = windows("other seed", 1, 6)
    assert sum(other[key][0] != first[key][0] for key in first) > 4
    assert {key: index for key, (_, index) in other.items()} != {key: index for key, (_, index) in first.items()}


def test_zips_give_the_same_bytes_as_folders(raw: Path, root: Path, tmp_path: Path) -> None:
    zips = tmp_path / "zips"
    zips.mkdir()
    for split in ("train2017", "val2017"):
        shutil.make_archive(str(zips / split), "zip", root, split)
    shutil.make_archive(str(zips / "annotations_trainval2017"), "zip", root, "annotations")
    out = tmp_path / "out"
    # A folder under the name of an image is no member of a zip.
    flags = ["--workers=2", "--root", str(zips), "--val_split=val2017", "--max_lost=0.1", *FLAGS]
    assert main(["coco", "--out", str(out), *flags]) == 0
    for path in raw.glob("*.tar"):
        assert (out / "work" / "raw" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--root=/nonexistent"], "must hold train2017/"),
        (["--split=test2017"], "must hold test2017/"),
        (["--split=../x"], "named by letters"),
        (["--val_split=train2017"], "other images than split"),
        (["--window_px=60"], "multiple of 8"),
        (["--limit=0"], "limit must be at least 1"),
        (["--val_limit=2"], "needs val_split"),
        (["--max_lost=1.5"], "between 0 and 1"),
        (["--quality=101"], "at most 100"),
        (["--sums=/nonexistent"], "readable list of check-sums"),
        (["--windows=4"], "windows"),
        (["--crop=letterbox"], "letterbox"),
    ],
)
def test_bad_settings_get_one_line_and_leave_nothing(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    assert main(["coco", "--out", str(tmp_path / "set"), "--root", str(root), *FLAGS, *change]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
    assert lines[-1].startswith("data_prep: ")
    assert not (tmp_path / "set").exists()


def test_a_set_without_one_usable_image_is_refused_with_the_causes(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Path(shutil.copytree(root, tmp_path / "coco"))
    for path in (broken / "train2017").glob("*.jpg"):
        path.write_bytes(b"") if path.is_file() else path.rmdir()
    words = ["coco", "--out", str(tmp_path / "set"), "--root", str(broken), *FLAGS]
    assert main(words) == 2
    assert "not one image to train on can be used" in capsys.readouterr().err
    shutil.rmtree(broken / "train2017")
    shutil.copytree(root / "train2017", broken / "train2017")
    assert main(words) == 0, "the images are there now"


def test_a_folder_that_was_unzipped_in_part_is_no_set(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    partial, away = Path(shutil.copytree(root, tmp_path / "coco")), tmp_path / "away"
    away.mkdir()
    for number in (4, 5):
        (partial / "train2017" / f"{number:012d}.jpg").rename(away / f"{number:012d}.jpg")
    out = tmp_path / "set"
    words = ["coco", "--out", str(out), "--root", str(partial), "--workers=1", *FLAGS]
    assert main(words) == 2
    assert "3 of 24 images are missing or cannot be read, more than --max_lost 0.01" in capsys.readouterr().err
    assert not Work(out).is_done("raw")
    kept = {path.name: path.stat().st_mtime_ns for path in (out / "work" / "raw").glob("*.tar")}
    for path in away.iterdir():
        path.rename(partial / "train2017" / path.name)
    assert main(words) == 0
    made = {path.name: path.stat().st_mtime_ns for path in (out / "work" / "raw").glob("*.tar")}
    assert 0 < len(kept) < len(made)
    assert kept.items() <= made.items()
    assert read_counts(Work(out))["left_out.missing"] == 1


def test_a_held_out_split_without_captions_is_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = Path(shutil.copytree(root, tmp_path / "coco"))
    (bare / "annotations" / "captions_val2017.json").write_text('{"images": [], "annotations": []}')
    words = ["coco", "--out", str(tmp_path / "set"), "--root", str(bare), "--val_split", "val2017", *FLAGS]
    assert main(words) == 2
    assert "captions_val2017.json names no image with a caption; give another --val_split" in capsys.readouterr().err


def test_settings_of_the_sources_do_not_leak_into_each_other(
    root: Path, raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = json.loads((raw / "settings.json").read_text())["settings"]
    assert not {"windows", "panoramas", "eval_steps", "root", "sums"} & set(recorded)
    for flag in ("--panoramas=1", "--eval_windows=2"):
        assert main(["all", "--source=coco", "--out", str(tmp_path / "x"), "--root", str(root), flag]) == 2
        assert flag.split("=")[0][2:] in capsys.readouterr().err
    assert main(["all", "--source=scapes", "--out", str(tmp_path / "x"), "--root", str(root)]) == 2
