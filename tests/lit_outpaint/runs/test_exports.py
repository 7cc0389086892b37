import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import Image

from lit_outpaint.cli.outpaint import main
from lit_outpaint.runs.exports import run_facts
from lit_outpaint.runs.record import OutpaintRecord


@pytest.fixture
def begin(tmp_path: Path, model: Path) -> list[str]:
    """The command of a short run in ``tmp_path/run``, without its steps."""
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    caption = "a wide view at night: a meadow & a lake"
    fast = ["--num_inference_steps", "2", "--device", "cpu"]
    where = ["--image", str(tmp_path / "in.png"), "--out", str(tmp_path / "run"), "--model", str(model)]
    return [*where, "--caption", caption, *fast]


def _story(panorama: Path) -> dict[str, Any]:
    with Image.open(panorama) as image:
        packet = image.info["xmp"]
    text = next(ElementTree.fromstring(packet).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")).text
    assert text is not None
    return json.loads(text)


def test_the_panorama_tells_how_it_came_to_be_and_nothing_of_the_machine(begin: list[str], tmp_path: Path) -> None:
    assert main([*begin, "--steps", "right:1,up:1", "--seed", "7"]) == 0
    story = _story(tmp_path / "run" / "panorama.png")
    assert story["global_caption"] == "a wide view at night: a meadow & a lake"
    assert (story["seed"], story["plan"], story["size_px"]) == (7, ["right:1,up:1"], [96, 96])
    assert [step["direction"] for step in story["steps"]] == ["right", "up"]
    assert len(story["model_fingerprint"]) == len("2:") + 64
    assert story["settings"]["num_inference_steps"] == 2
    assert str(tmp_path) not in json.dumps(story)


def test_facts_hold_no_setting_that_could_be_secret() -> None:
    record = OutpaintRecord(
        command=["outpaint", "--captioner.api_key", "sesame-open"],
        config={"seed": 1, "caption": "a", "captioner": {"api_key": "sesame-open"}, "image": "/srv/sesame-open/a.png"},
        steps=["right:1"],
        finished=True,
        image_sha256="0",
        model_fingerprint="1",
        versions={},
    )
    assert "sesame-open" not in json.dumps(run_facts(record))


def test_formats_of_a_finished_run_need_no_model_and_change_nothing_else(begin: list[str], tmp_path: Path) -> None:
    assert main([*begin, "--steps", "right:1"]) == 0
    run = tmp_path / "run"
    record = OutpaintRecord.load(run)
    record.model_copy(update={"config": {**record.config, "model": str(tmp_path / "gone")}}).save(run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["--resume", str(run), "--export", "page,tiff"]) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert (run / "view" / "index.html").is_file()
    np.testing.assert_array_equal(tifffile.imread(run / "panorama.tif"), np.asarray(Image.open(run / "panorama.png")))


def test_added_steps_renew_what_was_exported_before(begin: list[str], tmp_path: Path) -> None:
    assert main([*begin, "--steps", "right:1", "--export", "tiff"]) == 0
    assert tifffile.imread(tmp_path / "run" / "panorama.tif").shape == (64, 96, 3)
    assert main(["--resume", str(tmp_path / "run"), "--steps", "right:1", "--export", "dzi"]) == 0
    assert tifffile.imread(tmp_path / "run" / "panorama.tif").shape == (64, 128, 3)
    assert 'Width="128"' in (tmp_path / "run" / "view" / "panorama.dzi").read_text()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("panorama.png", "--steps right:1"),
        ("panorama.tif", "--export tiff"),
        ("panorama.tif", "--steps right:1"),
        ("panorama.jpg", "--steps right:1 --export jpeg"),
    ],
)
def test_a_directory_in_the_place_of_a_picture_is_refused_before_any_work(
    begin: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    assert main([*begin, "--steps", "right:1"]) == 0
    run = tmp_path / "run"
    (run / name).unlink(missing_ok=True)
    (run / name).mkdir()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capsys.readouterr()
    resumed, again = ["--resume", str(run)], [*begin, "--steps", "right:1"]
    for command in (resumed,) if "--steps" in words else (resumed, again):
        assert main([*command, *words.split()]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{run / name} is a directory; move it away" in line
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("formats", "says"), [("gif", "--export takes a list of"), ("webp", "webp holds at most 16383 px a side")]
)
def test_a_format_that_cannot_be_had_is_refused_before_any_work(
    begin: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], formats: str, says: str
) -> None:
    assert main([*begin, "--steps", "right:600", "--export", formats]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert not (tmp_path / "run").exists()
