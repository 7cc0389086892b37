from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.__main__ import main
from data_prep.scapes.compbench.prompts import make_prompts
from lit_outpaint.data.prompts import read_prompts


def test_file_and_true_pictures_are_written_together(tmp_path: Path) -> None:
    out = tmp_path / "new" / "p.jsonl"
    assert main(["compbench", "--out", str(out), "--prompts", "2", "--categories", "colour,scene", "--seed", "3"]) == 0
    prompts = read_prompts(out)
    staged = make_prompts(3, 2, ["colour", "scene"])
    assert prompts == [row.prompt for row in staged]
    for row in staged:
        picture = np.array(Image.open(tmp_path / "new" / "p_true" / f"{row.prompt.id}.png"))
        np.testing.assert_array_equal(picture, row.scene.render())


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        main(
            [
                "compbench",
                "--out",
                str(tmp_path / f"{name}.jsonl"),
                "--prompts",
                "3",
                "--pictures",
                str(tmp_path / name),
            ]
        )
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_prompts_for_steps_come_with_the_windows_before_them(tmp_path: Path) -> None:
    out = tmp_path / "p.jsonl"
    assert main(["compbench", "--out", str(out), "--prompts", "2", "--categories", "colour", "--per_step", "true"]) == 0
    for row in make_prompts(0, 2, ["colour"], per_step=True):
        assert row.step is not None
        known, true = (
            np.array(Image.open(tmp_path / f"p_{name}" / f"{row.prompt.id}.png")) for name in ("known", "true")
        )
        np.testing.assert_array_equal(true, row.step.render())
        np.testing.assert_array_equal(known, row.step.render_known())
    assert [prompt.step for prompt in read_prompts(out)] == [
        row.prompt.step for row in make_prompts(0, 2, ["colour"], per_step=True)
    ]


@pytest.mark.parametrize(
    ("flag", "value"), [("--prompts", "0"), ("--categories", "taste"), ("--categories", "dense,dense")]
)
def test_bad_settings_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, value: str
) -> None:
    assert main(["compbench", "--out", str(tmp_path / "p.jsonl"), flag, value]) == 2
    assert flag.lstrip("-") in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_out_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["compbench", "--out", str(tmp_path / "file" / "p.jsonl"), "--prompts", "1"]) == 2
    assert f"--out {tmp_path / 'file' / 'p_true'} cannot be written" in capsys.readouterr().err
