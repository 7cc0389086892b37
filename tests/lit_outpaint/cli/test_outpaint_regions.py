"""Regions of a layout inside the windows of ``outpaint``, at toy size."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.cli.outpaint import main
from lit_outpaint.testing.models import TOY_WINDOW_PX

CAPTION = "a meadow with a red barn, a lake with a boat and a desert with a green cactus"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "first.png"
    side = (TOY_WINDOW_PX, TOY_WINDOW_PX, 3)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, side, dtype=np.uint8)).save(path)
    return path


def outpaint(model: Path, image: Path, out: Path, *more: str) -> int:
    base = ["--image", str(image), "--caption", CAPTION, "--model", str(model), "--out", str(out), "--layout", "auto"]
    return main([*base, "--num_inference_steps", "1", "--device", "cpu", *more])


def steps(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "steps.jsonl").read_text().splitlines()]
    return sorted(lines, key=lambda step: step["step"])


def pixels(out: Path) -> np.ndarray:
    return np.array(Image.open(out / "panorama.png"))


@pytest.mark.parametrize("merge", ["attention_crop", "latent_concat"])
def test_regions_act_beside_the_captions(model: Path, image: Path, tmp_path: Path, merge: str) -> None:
    plan = ["--steps", "right:2", "--merge", merge]
    assert outpaint(model, image, tmp_path / "regions", *plan) == 0
    assert outpaint(model, image, tmp_path / "captions", *plan, "--base_ratio", "1.0") == 0
    with_regions, alone = (steps(tmp_path / name) for name in ("regions", "captions"))
    assert [step["local_caption"] for step in with_regions] == [step["local_caption"] for step in alone]
    assert all(one["checksum"] != other["checksum"] for one, other in zip(with_regions, alone, strict=True))


def test_a_rectangle_does_not_depend_on_its_batches_and_keeps_known_pixels(
    model: Path, image: Path, tmp_path: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert outpaint(model, image, one, "--to", "192x128", "--batch_size", "1") == 0
    assert outpaint(model, image, other, "--to", "192x128", "--batch_size", "7") == 0
    assert np.abs(pixels(one).astype(int) - pixels(other)).max() <= 1
    assert np.array_equal(pixels(one)[32:96, 64:128], np.array(Image.open(image)))


def test_a_region_with_another_prompt_is_drawn_again_where_it_acts(model: Path, image: Path, tmp_path: Path) -> None:
    """Its caption may stay as it is."""
    out, edited = tmp_path / "run", tmp_path / "edited.json"
    assert outpaint(model, image, out, "--steps", "right:2,left:1") == 0
    before, panorama = steps(out), pixels(out)
    plan = json.loads((out / "layout.json").read_text())
    x1 = max(step["window"][2] for step in before)
    east = next(region for region in plan["regions"] if region["box"][0] < x1 <= region["box"][2])
    east["prompt"] = "a big tree in a field"
    edited.write_text(json.dumps(plan))
    assert main(["--resume", str(out), "--layout", str(edited)]) == 0
    after = steps(out)
    assert [step["local_caption"] for step in after] == [step["local_caption"] for step in before]
    changed = [one["step"] for one, new in zip(before, after, strict=True) if one["checksum"] != new["checksum"]]
    assert 1 in changed
    assert 2 not in changed
    assert np.array_equal(pixels(out)[:, : -2 * TOY_WINDOW_PX], panorama[:, : -2 * TOY_WINDOW_PX])


def test_the_page_of_a_run_shows_its_layout_in_pixels_of_the_picture(model: Path, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert outpaint(model, image, out, "--steps", "left:1,right:1", "--export", "page,webp") == 0
    page = next(out.rglob("index.html")).read_text()
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    width, height = data["head"]["size_px"]
    shown = data["head"]["layout"]
    assert {"a red barn"} <= {region["text"] for region in shown}
    assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in (r["box"] for r in shown))
    assert min(region["box"][0] for region in shown) == 0
    assert b'"is_thing"' not in next(out.glob("*.webp")).read_bytes()


def test_a_base_ratio_out_of_range_gets_one_line_and_writes_nothing(
    model: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outpaint(model, image, tmp_path / "run", "--steps", "right:1", "--base_ratio", "2") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "base_ratio" in error
    assert not (tmp_path / "run").exists()
