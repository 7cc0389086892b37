import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from lit_outpaint.__main__ import main


def test_help_is_there_before_anything_heavy() -> None:
    code = "import sys; from lit_outpaint.__main__ import main; main(['generate', '--help']); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "--negative_prompt" in shown
    assert not {"torch", "diffusers", "transformers", "numpy", "lightning"} & set(shown.splitlines()[-1].split())


@pytest.fixture
def argv(toy_family: Path, tmp_path: Path) -> list[str]:
    prompts = tmp_path / "prompts.jsonl"
    rows = [{"id": f"p-{number}", "prompt": f"a lake with {number} boats"} for number in range(3)]
    prompts.write_text("\n".join(map(json.dumps, rows)))
    given = {"prompts": prompts, "model": toy_family, "out": tmp_path / "out", "num_inference_steps": 2}
    return ["generate", *(str(part) for name, value in given.items() for part in (f"--{name}", value)), "--device=cpu"]


def pictures(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("*.png")}


def records(directory: Path) -> list[dict]:
    lines = (directory / "pictures.jsonl").read_text().splitlines()
    return [json.loads(line) | {"seconds": 0} for line in lines]


def test_a_run_leaves_a_picture_and_a_line_for_each_prompt(argv: list[str], tmp_path: Path) -> None:
    assert main(argv) == 0
    out = tmp_path / "out"
    assert sorted(pictures(out)) == ["p-0.png", "p-1.png", "p-2.png"]
    assert [record["prompt"] for record in records(out)] == [f"a lake with {number} boats" for number in range(3)]
    assert len({record["sha256"] for record in records(out)}) == 3
    assert Image.open(out / "p-1.png").size == (64, 64)
    assert yaml.safe_load((out / "run.yaml").read_text())["num_inference_steps"] == 2


def test_the_same_command_goes_on_and_ends_with_the_same_pictures(argv: list[str], tmp_path: Path) -> None:
    assert main(argv) == 0
    whole, lines = pictures(tmp_path / "out"), records(tmp_path / "out")
    broken = tmp_path / "broken"
    again = [str(broken) if part == str(tmp_path / "out") else part for part in argv]
    assert main([*again, "--batch_size=1"]) == 0
    # As a kill leaves it: a picture without its line, and half a line, cut within a letter.
    text = (broken / "pictures.jsonl").read_text().splitlines()
    (broken / "pictures.jsonl").write_bytes(f"{text[0]}\n{text[1][:40]}".encode() + b"\xc3")
    (broken / "p-2.png").unlink()
    assert main([*again, "--batch_size=2"]) == 0
    assert pictures(broken) == whole
    said = (broken / "pictures.jsonl").read_text(errors="replace").splitlines()
    there = [json.loads(line) for line in said if line.endswith("}")]
    assert sorted(record["id"] for record in there) == ["p-0", "p-1", "p-2"]
    assert {record["sha256"] for record in there} == {record["sha256"] for record in lines}


def test_several_pictures_of_a_prompt_differ(argv: list[str], tmp_path: Path) -> None:
    one = [*argv[:1], "--prompt=a lake", *argv[3:], "--num_images=2"]
    assert main(one) == 0
    first, second = (np.asarray(Image.open(tmp_path / "out" / f"0000-{number}.png")) for number in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--prompt=a lake"], "one of --prompt and --prompts"),
        (["--num_inference_steps=0"], "num_inference_steps must be at least 1"),
        (["--model=nowhere"], "nowhere does not exist"),
        (["--height=60"], "multiples of 8"),
        (["--num_inference_steps=1001"], "num_inference_steps must be at most 1000"),
        (["--width=0"], "width must be at least 1"),
        (["--seed=-1"], "seed must not be negative"),
        (["--out=/proc/nowhere"], "--out /proc/nowhere cannot be written"),
        (["--scheduler=NoSuchScheduler"], "NoSuchScheduler"),
        (["--num_images=0"], "num_images must be at least 1"),
        (["--method=magic"], "method"),
        (["--uncond=text_and_visual"], "reads one caption and no picture"),
        (["--left_out=local,visual"], "reads one caption and no picture"),
    ],
)
def test_bad_input_gets_one_line(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert main([*argv, *more]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    # Settings that could not be drawn do not bind the next command.
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "at least one prompt"),
        ('{"prompt": "a lake"}\n{"text": "b"}', "prompts.jsonl:2 must have a prompt"),
        ('{"prompt": "a lake", "id": "x"}\n{"prompt": "b c", "id": "x"}', "comes twice"),
        ('{"prompt": "a lake", "id": "../x"}', "an id holds letters"),
        ('{"prompt": "..."}', "at least one word"),
        (json.dumps({"prompt": "a lake", "id": "x" * 300}), "an id has at most 200 bytes"),
        ("{", "prompts.jsonl:1 must be JSON"),
    ],
)
def test_prompt_files_at_fault_are_named_with_their_line(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str, said: str
) -> None:
    (tmp_path / "prompts.jsonl").write_text(lines)
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "prompts.jsonl" in err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("*.png"))


def test_a_run_with_other_settings_is_not_mixed_in(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    assert main([*argv, "--seed=7"]) == 2
    assert "seed 0, not 7" in capsys.readouterr().err


def test_a_directory_with_other_files_is_left_alone(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert main(argv) == 2
    assert "holds other files" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_pictures_are_drawn_in_another_type(argv: list[str], tmp_path: Path) -> None:
    assert main(argv) == 0
    half = [str(tmp_path / "half") if part == str(tmp_path / "out") else part for part in argv]
    assert main([*half, "--dtype=bfloat16"]) == 0
    assert "dtype" not in yaml.safe_load((tmp_path / "out" / "run.yaml").read_text())
    assert yaml.safe_load((tmp_path / "half" / "run.yaml").read_text())["dtype"] == "bfloat16"
    whole, rounded = (np.asarray(Image.open(tmp_path / run / "p-0.png"), np.int16) for run in ("out", "half"))
    assert 0 < np.abs(whole - rounded).mean() < 20


def test_tf32_on_a_cpu_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, "--dtype=tf32"]) == 2
    assert "tf32 needs an NVIDIA GPU" in capsys.readouterr().err
