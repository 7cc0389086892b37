import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eval.cli import main


def _run(family: Path, evalset: Path, out: Path, **flags: object) -> list[str]:
    given = {
        "checkpoint": family / "outpaint",
        "data": evalset,
        "models": family,
        "out": out,
        "panoramas": 3,
        "steps": 2,
        "sampling.num_inference_steps": 2,
    } | {name.replace("__", "."): value for name, value in flags.items()}
    return ["run", *(part for name, value in given.items() for part in (f"--{name}", str(value)))]


@pytest.fixture(scope="module")
def report(family: Path, evalset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "report"
    assert main(_run(family, evalset, out)) == 0
    return out


def test_run_leaves_numbers_table_and_page(report: Path) -> None:
    assert sorted(path.name for path in report.iterdir()) == [
        "captions.jsonl",
        "metrics.json",
        "metrics.md",
        "pictures",
        "real",
        "report.html",
    ]
    metrics = json.loads((report / "metrics.json").read_text())
    figures = metrics["figures"]
    assert figures["known_pixels_changed"]["value"] == 0
    assert figures["seam_over_real"]["target"] == {"relation": "<=", "value": 1.25}
    for key in ("biome_obeyed_strip", "seam", "clip_sim.window-local", "mean_clip", "intra_lpips"):
        figure = figures[key]
        assert figure["num_units"] == 3
        assert figure["real"] is not None
        assert figure["interval_95"][0] <= figure["value"] <= figure["interval_95"][1]
    assert len(figures["biome_obeyed_strip"]["curve"]) == 2
    assert [set(row["ratios"]) >= {"seam", "drift.sharpness.slope"} for row in metrics["per_panorama"]] == [True] * 3


def test_every_kind_of_figure_is_there_beside_the_real_one(report: Path) -> None:
    figures = json.loads((report / "metrics.json").read_text())["figures"]
    for key in ("is", "fid", "kid", "precision", "recall", "block_fid", "scaleinv_fid", "clip_sim.window-global"):
        assert isinstance(figures[key]["value"], float), key
        assert isinstance(figures[key]["real"]["value"], float), key
    assert figures["fid"]["real"]["value"] == pytest.approx(0, abs=1e-4), (
        "real panoramas have no distance to themselves"
    )
    for key in ("drift.lightness.slope", "drift.clip_distance.slope", "drift.repetition.slope", "seam.slope"):
        assert figures[key]["curve_steps"] == [0, 1, 2], key
        assert len(figures[key]["real_curve"]) == 3
        low, high = figures[key]["interval_95"]
        assert low <= figures[key]["value"] <= high
    assert figures["drift.lightness.beyond_real"]["real"] is None
    assert figures["clip_sim.strip-local.step2"]["curve_steps"] == [1, 2], "two points have no slope with an interval"


def test_what_cannot_be_computed_is_told_and_has_no_value(report: Path) -> None:
    figures = json.loads((report / "metrics.json").read_text())["figures"]
    assert figures["inception"]["value"] is None
    assert "needs its weights" in figures["inception"]["not_computed"]
    assert str(Path.home()) not in figures["inception"]["not_computed"]  # Reports are passed on; homes are not.
    assert "not computed: IS, FID, KID, precision and recall with Inception" in (report / "metrics.md").read_text()


def test_names_state_their_definition(report: Path) -> None:
    figures = json.loads((report / "metrics.json").read_text())["figures"]
    names = {key: figure["name"] for key, figure in figures.items()}
    assert names["is"] == "is.window.scapes-scene_native.1splits.n6.window64-stride32-right"
    assert names["clip_sim.window-local"] == "clip_sim.window-local.eval_clip.n6.window64-stride32-right"
    assert names["drift.lightness.slope"] == "drift.lightness.window64-stride32-right.n3, slope per step"
    table = (report / "metrics.md").read_text()
    assert all(name in table for name in names.values())
    assert all(figure["definition"] in table for figure in figures.values())


def test_the_page_of_a_run_is_made_anew_from_its_files_alone(report: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(report, tmp_path / "moved")
    for name in ("report.html", "metrics.md"):
        (moved / name).unlink()
    assert main(["report", str(moved), "--out", str(tmp_path / "again")]) == 0
    for name in ("report.html", "metrics.md"):
        assert (tmp_path / "again" / name).read_bytes() == (report / name).read_bytes()


@pytest.mark.slow
def test_verbs_without_networks_load_none(report: Path, tmp_path: Path) -> None:
    script = "import sys; from eval.cli import main; status = main(sys.argv[1:]); assert 'diffusers' not in sys.modules"
    given = ["report", str(report), "--out", str(tmp_path / "again")]
    subprocess.run([sys.executable, "-c", f"{script}; sys.exit(status)", *given], check=True)


def test_a_later_run_leaves_nothing_of_an_earlier_one(family: Path, evalset: Path, tmp_path: Path) -> None:
    small = {"figures": "few", "steps": 1, "sampling.num_inference_steps": 1, "shown": 3}
    assert main(_run(family, evalset, tmp_path, **small)) == 0
    (tmp_path / "pictures" / "mine.png").write_text("somebody else's")
    assert main(_run(family, evalset, tmp_path, **small, panoramas=1)) == 0
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["mine.png", "p0.png"]
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["p0.png"]
    assert len((tmp_path / "captions.jsonl").read_text().splitlines()) == 1
    figures = json.loads((tmp_path / "metrics.json").read_text())["figures"]
    assert "fid" not in figures
    assert figures["seam"]["num_units"] == 1


def test_captions_are_escaped_in_the_page(report: Path) -> None:
    html = (report / "report.html").read_text()
    assert "&lt;b&gt;a meadow&lt;/b&gt; &amp; a barn" in html
    assert "<b>a meadow</b>" not in html


def test_real_panoramas_score_the_same_in_every_run(report: Path, family: Path, evalset: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert main(_run(family, evalset, again, batch_size=2, sampling__seed=1, panoramas=3, shown=0)) == 0
    first, second = (json.loads((out / "metrics.json").read_text())["figures"] for out in (report, again))
    assert {key: figure["real"] for key, figure in first.items()} == {
        key: figure["real"] for key, figure in second.items()
    }
    assert first["seam"]["value"] != second["seam"]["value"]


def test_flags_win_over_the_configuration_file_and_metrics_come_by_class_path(
    family: Path, evalset: Path, tmp_path: Path
) -> None:
    config = tmp_path / "run.yaml"
    faithfulness = {
        "class_path": "eval.metrics.Faithfulness",
        "init_args": {"data": str(evalset), "models": str(family)},
    }
    given = {"checkpoint": family / "outpaint", "data": evalset, "models": family, "panoramas": 99, "steps": 1}
    given["metrics"] = json.dumps([faithfulness, {"class_path": "eval.metrics.Seam"}])
    config.write_text("".join(f"{name}: {value}\n" for name, value in given.items()))
    flags = ["--out", str(tmp_path / "out"), "--panoramas", "1", "--sampling.num_inference_steps", "1"]
    assert main(["run", "-c", str(config), *flags]) == 0
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())["figures"]
    assert figures["time_kept_last_step"]["num_items"] == 1
    assert {"seam", "known_pixels_changed"} <= figures.keys()
    assert not {"is", "fid", "clip_sim.window-local"} & figures.keys()


def test_family_scores_every_part(family: Path, evalset: Path, tmp_path: Path) -> None:
    out = tmp_path / "family"
    flags = ["--models", family, "--data", evalset, "--out", out, "--drawn", 2, "--num_inference_steps", 2]
    assert main(["family", *map(str, flags)]) == 0
    figures = json.loads((out / "metrics.json").read_text())["figures"]
    assert figures["vae_psnr"]["num_units"] == 6
    assert figures["probe_time"]["num_items"] == 6
    assert figures["base_object_kind"]["num_items"] == 2
    retrieval = figures["eval_clip_retrieval_top1"]
    assert (retrieval["value"], retrieval["met"]) == (None, None), "6 windows do not make a group of 64"
    assert "there is nothing to score" in (out / "metrics.md").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"checkpoint": "absent"}, "found no absent"),
        ({"data": "absent"}, "absent"),
        ({"models": "absent"}, "--models must be there, found no absent"),
        ({"panoramas": 4}, "--panoramas must be at most 3"),
        ({"steps": 3}, "--steps must be at most 2"),
        ({"steps": 0}, "--steps must be at least 1"),
        ({"direction": "up"}, "holds no panoramas towards"),
        ({"direction": "sideways"}, "direction"),
        ({"sampling.guidance_scale": 0}, "guidance_scale"),
        ({"sampling.window_px": 32}, "windows of 64 px"),
        ({"judge.cloud_share": 2}, "cloud_share"),
        ({"loss_csv": "absent.csv"}, "absent.csv"),
        ({"method": "guess"}, "method"),
        ({"method": "inpaint_loop", "checkpoint": "absent"}, "--checkpoint must be there, found no absent"),
        ({"sampling.engine": "joint"}, "--method joint"),
        ({"sampling.visual_source": "image_from_global_caption"}, "--sampling.visual_source must be"),
        ({"method": "joint", "sampling.candidates": 2}, "engine joint takes no candidates"),
        ({"method": "inpaint_loop", "sampling.guidance_rescale": 0.5}, "takes no sampling.guidance_rescale"),
        ({"method": "inpaint_loop", "sampling.compile": True}, "no sampling.compile; leave them out"),
        ({"extractor": "inception:absent.pth"}, "needs its weights at absent.pth"),
        ({"clip": "absent"}, "open_clip"),
        ({"lpips": "vgg"}, "LPIPS needs its backbone"),
        ({"splits": 7}, "--splits must be at most 6"),
        ({"kid_subset_size": 1}, "subset_size"),
        ({"metrics": "[nonsense]"}, "metrics"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(
    flags: dict[str, object],
    message: str,
    family: Path,
    evalset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(_run(family, evalset, tmp_path / "out", **flags)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out").exists()


def test_output_that_is_a_file_is_refused(
    family: Path, evalset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(_run(family, evalset, tmp_path / "file" / "out")) == 2
    assert "--out must be a directory" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_damaged_pictures_are_named(
    family: Path, evalset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shutil.copytree(evalset, tmp_path / "data")
    (data / "evalset" / "p1.png").write_bytes(b"no picture")
    assert main(_run(family, data, tmp_path / "out")) == 2
    assert re.fullmatch(r"error: the image must be a picture, but \S*p1\.png .*\n", capsys.readouterr().err)


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["run"]])
def test_incomplete_commands_get_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert capsys.readouterr().err.count("\n") == 1
