import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eval.cli import main
from eval.extractors import to_levels
from eval.folder import Captions, read_captions
from eval.testing import toy_pictures
from lit_outpaint.models.probe import ScapesProbe

COUNT = 6


def _folder(directory: Path, height: int = 64, width: int = 64, count: int = COUNT, seed: int = 0) -> Path:
    directory.mkdir(parents=True)
    for index, levels in enumerate(to_levels(toy_pictures(count, height, width, seed))):
        Image.fromarray(levels.permute(1, 2, 0).numpy()).save(directory / f"p{index}.png")
    return directory


def _flags(family: Path, folder: Path, out: Path, **flags: object) -> list[str]:
    given = {
        "images": folder,
        "out": out,
        "extractor": f"scapes:{family}",
        "clip": family / "eval_clip",
        "lpips": "scapes",
        "splits": 2,
        "kid_subsets": 3,
        "kid_subset_size": 4,
        "cache": out.parent / "cache",
        "batch_size": 4,
    } | flags
    return ["score", *(f"--{name}={value}" for name, value in given.items())]


def _figures(out: Path) -> dict[str, dict[str, object]]:
    return json.loads((out / "metrics.json").read_text())["figures"]


@pytest.fixture(scope="module")
def panoramas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("panoramas")
    _folder(root / "images", 64, 160)
    _folder(root / "real", 64, 160, seed=1)
    rows = [
        {"image": f"p{index}.png", "caption": "a wide view", "local_captions": [f"a lake {step}" for step in range(4)]}
        for index in range(COUNT)
    ]
    (root / "captions.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return root


@pytest.fixture(scope="module")
def scored(family: Path, panoramas: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scored") / "out"
    flags = _flags(
        family,
        panoramas / "images",
        out,
        reference=panoramas / "real",
        captions=panoramas / "captions.jsonl",
        window_px=64,
        stride_px=32,
        steps="0,1,2,3",
    )
    assert main(flags) == 0
    return out


def test_panoramas_get_every_metric_under_its_definition(scored: Path) -> None:
    figures = _figures(scored)
    where = "window64-stride32-right"
    for name in (
        f"is.window.scapes-scene_native.2splits.n18.{where}",
        f"fid.window.scapes-scene_native.n18-18.{where}",
        f"kid.window.scapes-scene_native.3x4.n18-18.{where}",
        f"precision.window.scapes-scene_native.k3.n18-18.{where}",
        f"clip_sim.window-global.eval_clip.n18.{where}",
        f"clip_sim.window-local.eval_clip.n18.{where}",
        f"clip_sim.strip-local.eval_clip.n18.{where}",
        f"clip_sim.window-local.eval_clip.n6.slope.{where}",
        f"seam_over_real.right-stride32.n18.{where}",
        "clip_sim.panorama-global.eval_clip.n6",
        "mean_clip.eval_clip.random1-64.n6",
        "block_fid.right.scapes-scene_native.1x64-mean_over_blocks.n6-6",
        "intra_lpips.lpips_uniform-scapes-probe.crop-64.stride-side-by-side.n6",
        "drift.lightness.window64-stride32-right.n6.step3",
        "drift.clip_distance.eval_clip.window64-stride32-right.beyond_real-n6.slope_low",
    ):
        assert isinstance(figures[name]["value"], float), name
        assert figures[name]["definition"], name
    assert (scored / "metrics.md").read_text().count("| fid.") == 1


@pytest.mark.parametrize("width", [64, 96])
def test_panoramas_beside_real_windows_or_shorter_ones_are_compared_by_windows(
    family: Path, panoramas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    real = _folder(tmp_path / "real", 64, width, seed=1)
    sizes = {"reference": real, "window_px": 64, "stride_px": 32, "steps": "0,1,2,3"}
    assert main(_flags(family, panoramas / "images", tmp_path / "out", **sizes)) == 0
    said = capsys.readouterr().out
    assert "looked at as panoramas that grew right by 3 steps" in said
    assert "holds no panoramas of 3 steps: windows alone are compared" in said
    figures = _figures(tmp_path / "out")
    assert any(name.startswith("fid.window.") for name in figures)
    assert not any(name.startswith("block_fid") for name in figures)


def test_folders_pair_by_name_whatever_their_endings(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = _folder(tmp_path / "images", count=3)
    (images / "p0.png").rename(images / "p1.m.png")
    real = tmp_path / "real"
    real.mkdir()
    for path in images.iterdir():
        Image.open(path).save(real / f"{path.stem}.jpg")
    assert main(_flags(family, images, tmp_path / "out", reference=real)) == 0
    assert "each beside the real one of its name" in capsys.readouterr().out


def test_names_may_hold_dots_and_folders_and_come_once(tmp_path: Path) -> None:
    file = tmp_path / "captions.json"
    file.write_text(json.dumps({"v1": "one", "v1.5": "one and a half", "a/v2.png": "two", "b.jpg": "b"}))
    found = read_captions(file, ["v1", "v1.5", "v2", "b"])
    assert [row.whole for row in found.values()] == ["one", "one and a half", "two", "b"]
    lines = [{"image": f"{split}/a.png", "caption": split} for split in ("train", "val")]
    twice = tmp_path / "captions.jsonl"
    twice.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(ValueError, match="several for a"):
        read_captions(twice, ["a"])


def test_whole_pictures_with_themselves_as_reference(family: Path, tmp_path: Path) -> None:
    images = _folder(tmp_path / "images", count=5)
    assert main(_flags(family, images, tmp_path / "out", reference=images, kid_subset_size=1000)) == 0
    figures = _figures(tmp_path / "out")
    assert figures["fid.whole.scapes-scene_native.n5-5"]["value"] == pytest.approx(0, abs=1e-4)
    assert figures["precision.whole.scapes-scene_native.k3.n5-5"]["value"] == 1
    assert figures["kid"]["value"] is None
    assert figures["kid"]["not_computed"].startswith("KID cannot be computed: subset_size must lie in [2, 5]")
    assert "| kid | not computed: KID cannot" in (tmp_path / "out" / "metrics.md").read_text()


def test_pictures_of_other_shapes_are_cut_into_a_grid(family: Path, tmp_path: Path) -> None:
    images = _folder(tmp_path / "images", 96, 64, count=2)
    assert main(_flags(family, images, tmp_path / "out", window_px=32)) == 0
    assert "is.window.scapes-scene_native.2splits.n12.window32-stride32" in _figures(tmp_path / "out")


def test_reference_statistics_are_kept_by_content(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, real = _folder(tmp_path / "images"), _folder(tmp_path / "real", seed=1)
    flags = _flags(family, images, tmp_path / "out", reference=real)
    values = []
    for _ in range(2):
        assert main(flags) == 0
        values.append({name: figure["value"] for name, figure in _figures(tmp_path / "out").items()})
        told = "of 3 metrics" in capsys.readouterr().out
        assert told == (len(values) == 2)
    assert values[0] == values[1]
    Image.fromarray(to_levels(toy_pictures(1, 64, 64, seed=9))[0].permute(1, 2, 0).numpy()).save(real / "p0.png")
    assert main(flags) == 0
    assert "of 3 metrics" not in capsys.readouterr().out
    assert _figures(tmp_path / "out")["fid.whole.scapes-scene_native.n6-6"]["value"] != pytest.approx(
        values[0]["fid.whole.scapes-scene_native.n6-6"]
    )
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(b"broken")
    assert main(flags) == 0


def test_metrics_by_class_path_take_the_place_of_the_others(family: Path, tmp_path: Path) -> None:
    images = _folder(tmp_path / "images", 64, 128, count=3)
    config = tmp_path / "score.yaml"
    config.write_text("metrics:\n- class_path: eval.metrics.Seam\n  init_args: {stride_px: 32}\n")
    flags = ["-c", str(config), f"--images={images}", f"--out={tmp_path / 'out'}", "--window_px=64", "--stride_px=32"]
    assert main(["score", *flags]) == 0
    assert list(_figures(tmp_path / "out")) == ["seam.right-stride32.n6.window64-stride32-right"]


@pytest.mark.parametrize("ending", [".json", ".csv"])
def test_captions_come_in_several_formats(family: Path, tmp_path: Path, ending: str) -> None:
    images = _folder(tmp_path / "images", count=2)
    file = tmp_path / f"captions{ending}"
    text = {".json": '{"p0": "a lake", "p1.png": "a barn"}', ".csv": "image,caption\np0.png,a lake\np1,a barn\n"}
    file.write_text(text[ending])
    assert main(_flags(family, images, tmp_path / "out", captions=file)) == 0
    assert "clip_sim.whole-global.eval_clip.n2" in _figures(tmp_path / "out")


def _empty(root: Path) -> dict[str, object]:
    (root / "none").mkdir()
    return {"images": root / "none"}


def _broken(root: Path) -> dict[str, object]:
    images = _folder(root / "broken")
    (images / "p3.png").write_bytes((images / "p3.png").read_bytes()[:200])
    return {"images": images}


def _sizes(root: Path) -> dict[str, object]:
    images = _folder(root / "sizes")
    Image.new("RGB", (64, 48)).save(images / "q.png")
    return {"images": images}


def _uncaptioned(root: Path) -> dict[str, object]:
    (root / "captions.json").write_text('{"p0": "a lake", "p1": " "}')
    return {"captions": root / "captions.json"}


def _wrong_captions(root: Path) -> dict[str, object]:
    (root / "captions.jsonl").write_text('{"image": "p0.png"}')
    return {"captions": root / "captions.jsonl"}


def _local_of_no_panorama(root: Path) -> dict[str, object]:
    rows = {f"p{index}": {"caption": "a", "local_captions": ["b"]} for index in range(COUNT)}
    (root / "captions.json").write_text(json.dumps(rows))
    return {"captions": root / "captions.json"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: {"images": root / "absent"}, "--images must be there"),
        (_empty, "found none"),
        (_broken, "p3.png must be a readable picture"),
        (_sizes, "one size, got 64 x 64 px (p0.png) and 64 x 48 px (q.png)"),
        (_uncaptioned, "5 of 6 have none, such as p1"),
        (_wrong_captions, "captions.jsonl:1 must be a row such as"),
        (_local_of_no_panorama, "local_captions (p0) are of panoramas"),
        (lambda root: {"captions": root / "absent.json"}, "found no"),
        (lambda root: {"reference": root / "absent"}, "--reference must be there"),
        (lambda root: {"splits": 7}, "--splits must be at most 6"),
        (lambda root: {"extractor": "absent"}, "the extractor must be one of"),
        (lambda root: {"extractor": "inception"}, "weights-inception-2015-12-05-6726825d.pth"),
        (lambda root: {"window_px": 65}, "--window_px must fit"),
        (lambda root: {"stride_px": 8}, "--stride_px needs --window_px"),
        (lambda root: {"window_px": 32, "stride_px": 33}, "--stride_px must lie in [1, 32]"),
        (lambda root: {"window_px": 32, "stride_px": 0}, "--stride_px must lie in [1, 32], got 0"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(
    make: Callable[[Path], dict[str, object]],
    message: str,
    family: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    images = _folder(tmp_path / "images")
    assert main(_flags(family, images, tmp_path / "out", **make(tmp_path))) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out").exists()


def test_pictures_are_read_at_their_own_levels(tmp_path: Path) -> None:
    from eval.folder import read_folder

    folder = read_folder(_folder(tmp_path / "images"), "--images")
    assert folder.keys == [f"p{index}" for index in range(COUNT)]
    assert torch.equal(folder.load(folder.paths), toy_pictures(COUNT, 64, 64))


def test_captions_may_be_those_of_outpaint(tmp_path: Path) -> None:
    file = tmp_path / "captions.tsv"
    file.write_text("a.png\ta lake, and a barn\nb.jpg\ta desert\n")
    assert read_captions(file, ["a", "b"]) == {"a": Captions("a lake, and a barn"), "b": Captions("a desert")}


def test_a_grey_set_is_the_same_with_8_and_with_16_bits(tmp_path: Path) -> None:
    from eval.folder import read_folder

    grey = np.random.default_rng(0).integers(0, 256, (2, 6, 8), dtype=np.uint8)
    folders = []
    for name, levels in (("8", grey), ("16", grey.astype(np.uint16) * 257)):
        (tmp_path / name).mkdir()
        for index, level in enumerate(levels):
            Image.fromarray(level).save(tmp_path / name / f"p{index}.png")
        folders.append(read_folder(tmp_path / name, "--images"))
    one, other = (folder.load(folder.paths) for folder in folders)
    assert torch.equal(one, other)
    assert torch.equal(one, torch.from_numpy(grey)[:, None].expand(-1, 3, -1, -1).float() / 127.5 - 1)
    assert folders[0].content() != folders[1].content()


def test_a_turned_photograph_counts_as_it_is_shown_and_hidden_files_do_not(tmp_path: Path) -> None:
    from eval.folder import read_folder

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=exif)
    Image.new("RGB", (6, 8)).save(tmp_path / "b.png")
    (tmp_path / "._b.png").write_bytes(b"what macOS keeps beside it")
    folder = read_folder(tmp_path, "--images")
    assert (folder.keys, folder.width, folder.height) == (["a", "b"], 6, 8)
    assert folder.load(folder.paths).shape == (2, 3, 8, 6)


def _metric(tmp_path: Path, name: str, **arguments: object) -> str:
    file = tmp_path / f"{name}.yaml"
    file.write_text(json.dumps({"metrics": [{"class_path": f"eval.metrics.{name}", "init_args": arguments}]}))
    return f"--config={file}"


def test_real_pictures_of_other_names_are_compared_with_no_caption(
    family: Path, panoramas: Path, tmp_path: Path
) -> None:
    real = _folder(tmp_path / "real", 64, 160, count=4, seed=2)
    shown = {"captions": panoramas / "captions.jsonl", "window_px": 64, "stride_px": 32, "steps": "0,1,2"}
    assert main(_flags(family, panoramas / "images", tmp_path / "out", reference=real, **shown)) == 0
    similarities = [name for name in _figures(tmp_path / "out") if name.startswith("clip_sim")]
    assert any("step1" in name for name in similarities)
    assert not any("real" in name for name in similarities)


def test_metrics_of_captions_are_refused_without_these(
    family: Path, panoramas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metric = _metric(tmp_path, "ClipSim", clip=str(family / "eval_clip"))
    flags = _flags(family, panoramas / "images", tmp_path / "out", window_px=64, stride_px=32)
    assert main([*flags, metric]) == 2
    assert "give --captions" in capsys.readouterr().err
    whole = tmp_path / "whole.json"
    whole.write_text(json.dumps({f"p{index}": "a lake" for index in range(COUNT)}))
    assert main([*flags, metric, f"--captions={whole}"]) == 2
    assert "no local_captions for p0" in capsys.readouterr().err


@pytest.mark.parametrize("change", ["direction", "names", "weights"])
def test_statistics_in_the_cache_are_those_of_the_same_question(family: Path, tmp_path: Path, change: str) -> None:
    images, real = _folder(tmp_path / "images", 64, 160), _folder(tmp_path / "real", 64, 160, count=5, seed=1)
    metric = _metric(tmp_path, "KID", extractor=f"scapes:{family}", subsets=2, subset_size=4, max_samples=6)

    def value(name: str, **flags: object) -> object:
        given = {"reference": real, "window_px": 64, "stride_px": 32, "cache": tmp_path / name} | flags
        assert main([*_flags(family, images, tmp_path / "out", **given), metric]) == 0
        (figure,) = (figure for key, figure in _figures(tmp_path / "out").items() if key.startswith("kid."))
        return figure["value"]

    before, more = value("cache"), {}
    if change == "direction":
        more = {"direction": "left"}
    elif change == "names":
        for path in real.iterdir():
            path.rename(path.with_stem(f"other{path.stem}"))
    else:
        other = shutil.copytree(family, tmp_path / "family")
        probe = ScapesProbe.from_pretrained(other / "probe")
        with torch.no_grad():
            for parameter in probe.parameters():
                parameter.mul_(1.5)
        probe.save_pretrained(other / "probe")
        metric = _metric(tmp_path, "KID", extractor=f"scapes:{other}", subsets=2, subset_size=4, max_samples=6)
    assert value("cache", **more) == value("fresh", **more) != before
