import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from lit_outpaint.cli.outpaint import main
from lit_outpaint.testing.outpaint import argv_of, pixel_files_of, records_of
from lit_outpaint.testing.servers import FaultServer

GLOBAL = "a wide view at night: a meadow, a lake, and a desert"


def test_a_run_leaves_panorama_canvas_steps_and_record(
    arguments: dict[str, str], image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv_of(arguments)) == 0
    run = Path(arguments["--out"])
    assert sorted(path.name for path in run.iterdir()) == ["canvas.zarr", "panorama.png", "run.yaml", "steps.jsonl"]
    with Image.open(run / "panorama.png") as panorama:
        assert panorama.size == (128, 96)
        np.testing.assert_array_equal(np.asarray(panorama.convert("RGB"))[32:, :64], np.asarray(Image.open(image)))
    assert [(record["step"], record["direction"]) for record in records_of(run)] == [
        (0, "right"),
        (2, "up"),  # It needs nothing of the others, so it is drawn with the first.
        (1, "right"),
    ]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("1/3: step 0 right (")
    assert printed[0].endswith("): a lake")
    assert printed[-1] == f"{run}/panorama.png: 128 x 96 px after 3 steps"


def test_the_record_holds_what_is_needed_to_go_on_and_no_secret(
    arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sesame-open")
    assert main([*argv_of(arguments), "--seed", "7"]) == 0
    text = (Path(arguments["--out"]) / "run.yaml").read_text()
    record = yaml.safe_load(text)
    assert record["config"]["seed"] == 7
    assert record["config"]["model"] == arguments["--model"]
    assert record["command"][:3] == ["outpaint", "--image", arguments["--image"]]
    assert record["steps"] == ["right:2,up:1"]
    assert record["finished"] is True
    assert {"python", "torch", "diffusers"} <= record["versions"].keys()
    assert "sesame-open" not in text


def test_the_same_command_again_changes_nothing(arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(argv_of(arguments)) == 0
    run = Path(arguments["--out"])
    before, steps = pixel_files_of(run), (run / "steps.jsonl").read_bytes()
    # Nothing is left to draw, so that no model is loaded.
    monkeypatch.setattr("lit_outpaint.cli.outpaint._Parts", None)
    for again in (argv_of(arguments), ["--resume", str(run)]):
        assert main(again) == 0
    assert pixel_files_of(run) == before
    assert (run / "steps.jsonl").read_bytes() == steps


def test_steps_added_by_resume_are_the_steps_of_one_longer_run(arguments: dict[str, str], tmp_path: Path) -> None:
    assert main(argv_of(arguments)) == 0
    assert main(["--resume", arguments["--out"], "--steps", "left:2"]) == 0
    longer = {**arguments, "--steps": "right:2,up:1,left:2", "--out": str(tmp_path / "longer")}
    assert main(argv_of(longer)) == 0
    runs = [sorted(records_of(tmp_path / name), key=lambda record: record["step"]) for name in ("run", "longer")]
    assert runs[0] == runs[1]
    panoramas = [np.asarray(Image.open(tmp_path / name / "panorama.png")) for name in ("run", "longer")]
    np.testing.assert_array_equal(*panoramas)


def test_settings_come_from_a_file_and_the_command_line_wins(arguments: dict[str, str], tmp_path: Path) -> None:
    settings = {name[2:]: value for name, value in arguments.items()} | {"seed": 5, "num_inference_steps": 2}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(settings))
    assert main(["-c", str(tmp_path / "a.yaml"), "--steps", "down:1", "--device", "cpu"]) == 0
    record = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert (record["config"]["seed"], record["steps"]) == (5, ["down:1"])


def test_captions_come_from_a_file(arguments: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("a red house\na blue house\na kite\n")
    assert main(argv_of({**arguments, "--captions": str(tmp_path / "c.txt")})) == 0
    records = sorted(records_of(tmp_path / "run"), key=lambda record: record["step"])
    assert [record["local_caption"] for record in records] == ["a red house", "a blue house", "a kite"]
    assert {record["caption_source"] for record in records} == {"file"}


def test_a_captioner_is_chosen_by_class_path(arguments: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("a red house\n" * 3)
    chosen = {
        "--captioner": "lit_outpaint.captions.from_file.FileCaptioner",
        "--captioner.path": str(tmp_path / "c.txt"),
    }
    assert main(argv_of({**arguments, **chosen})) == 0
    assert records_of(tmp_path / "run")[0]["local_caption"] == "a red house"
    assert main(["--resume", arguments["--out"]]) == 0


def test_captions_are_recorded_and_replayed(
    arguments: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrapped(name: str, out: str, url: str = "http://127.0.0.1:9/v1") -> dict[str, str]:
        chosen = {
            "": "lit_outpaint.captions.language_model.LanguageModelCaptioner",
            ".config.max_similarity": "1",  # The server says the same each time.
            ".chat": f"lit_outpaint.chat.cache.{name}",
            ".chat.path": str(tmp_path / "a.sqlite"),
            ".chat.inner": "lit_outpaint.chat.openai_chat.OpenAIChat",
            ".chat.inner.model": "m",
            ".chat.inner.base_url": url,
        }
        flags = {f"--captioner{flag}": value for flag, value in chosen.items()}
        return {**arguments, **flags, "--out": str(tmp_path / out)}

    assert main(argv_of(wrapped("ReplayChat", "early"))) == 2
    assert "record it with CachedChat" in capsys.readouterr().err
    with FaultServer() as server:
        assert main(argv_of(wrapped("CachedChat", "recorded", server.url))) == 0
    assert "3 turns with the model, 0 replies from the cache" in capsys.readouterr().out
    assert main(argv_of(wrapped("ReplayChat", "replayed"))) == 0
    assert "0 turns with the model, 3 replies from the cache" in capsys.readouterr().out
    assert records_of(tmp_path / "replayed") == records_of(tmp_path / "recorded")
    assert main(argv_of({**wrapped("ReplayChat", "other"), "--caption": "a desert"})) == 2
    assert "has none of openai:m to " in capsys.readouterr().err


def test_captions_that_are_cut_are_counted_and_said(
    arguments: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.txt").write_text("a lake\n" + 2 * f"{GLOBAL * 20}\n")
    assert main(argv_of({**arguments, "--captions": str(tmp_path / "c.txt")})) == 0
    assert "2 local captions were longer than the text encoder reads" in capsys.readouterr().out


def test_a_global_caption_that_is_cut_is_said(
    arguments: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = f"{GLOBAL} " * 20
    assert main(argv_of({**arguments, "--caption": long, "--steps": "right:1"})) == 0
    assert "the caption is longer than the text encoder reads; not read: " in capsys.readouterr().out
    assert records_of(tmp_path / "run")[0]["truncated"].keys() == {"global"}


def test_a_large_picture_is_scaled_to_the_window_unless_kept(
    arguments: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (200, 128), "green").save(tmp_path / "large.png")
    wanted = {**arguments, "--image": str(tmp_path / "large.png"), "--steps": "right:1"}
    assert main(argv_of(wanted)) == 0
    assert "image: 200 x 128 px scaled to 100 x 64 px" in capsys.readouterr().out
    assert main(argv_of({**wanted, "--out": str(tmp_path / "kept"), "--fit": "keep"})) == 0
    assert Image.open(tmp_path / "kept" / "panorama.png").size == (232, 128)


Change = Callable[[Path, dict[str, str]], None]


def _set(name: str, value: str) -> Change:
    return lambda _, arguments: arguments.update({name: value})


def _drop(name: str) -> Change:
    def change(_: Path, arguments: dict[str, str]) -> None:
        del arguments[name]

    return change


def _only_resume(_: Path, arguments: dict[str, str]) -> None:
    arguments.clear()
    arguments["--resume"] = "absent"


def _file(name: str, option: str, data: bytes) -> Change:
    def change(directory: Path, arguments: dict[str, str]) -> None:
        (directory / name).write_bytes(data)
        arguments[option] = str(directory / name)

    return change


def _small_image(directory: Path, arguments: dict[str, str]) -> None:
    Image.new("RGB", (64, 15)).save(directory / "small.png")
    arguments["--image"] = str(directory / "small.png")


def _small_image_as_it_is(directory: Path, arguments: dict[str, str]) -> None:
    Image.new("RGB", (64, 63)).save(directory / "small.png")
    arguments |= {"--image": str(directory / "small.png"), "--fit": "keep"}


def _full_out(directory: Path, arguments: dict[str, str]) -> None:
    (directory / "run").mkdir()
    (directory / "run" / "thesis.txt").write_text("mine")


def _out_below_a_file(directory: Path, arguments: dict[str, str]) -> None:
    (directory / "file").write_text("")
    arguments["--out"] = str(directory / "file" / "run")


def _other_model(directory: Path, arguments: dict[str, str]) -> None:
    shutil.copytree(Path(arguments["--model"]).parent, directory / "family")
    shutil.rmtree(directory / "family" / "outpaint" / "unet")
    shutil.copytree(directory / "family" / "unet", directory / "family" / "outpaint" / "unet")
    arguments["--model"] = str(directory / "family" / "outpaint")


def _no_text_to_image(directory: Path, arguments: dict[str, str]) -> None:
    shutil.copytree(Path(arguments["--model"]).parent, directory / "family")
    shutil.rmtree(directory / "family" / "unet")
    arguments |= {"--model": str(directory / "family" / "outpaint"), "--visual_source": "image_from_global_caption"}


def _with_layout(name: str, value: str) -> Change:
    return lambda _, arguments: arguments.update({"--layout": "auto", name: value})


BAD_INPUT = {
    "missing image": (_set("--image", "absent.png"), "absent.png, which is missing"),
    "no picture": (_file("a.png", "--image", b"text"), "in no known format"),
    "broken picture": (_file("a.png", "--image", b"\x89PNG\r\n\x1a\n\0\0"), "a.png"),
    "small image": (_small_image, "at least 16 px on its shorter side for a window of 64 px, got 64 x 15"),
    "small image as it is": (_small_image_as_it_is, "at least one window, 64 x 64 px, got 64 x 63"),
    "empty caption": (_set("--caption", " "), "at least one word"),
    "no caption": (_drop("--caption"), "outpaint needs --caption"),
    "no image": (_drop("--image"), "outpaint needs --image"),
    "no out": (_drop("--out"), "outpaint needs --out"),
    "unknown direction": (_set("--steps", "north:2"), "one of left, right, up, down, got 'north'"),
    "zero steps": (_set("--steps", "right:0"), "positive whole number"),
    "negative steps": (_set("--steps", "right:-3"), "positive whole number"),
    "no steps": (_drop("--steps"), "outpaint needs a plan, one of --steps, --to, --loop, --plan"),
    "out is taken": (_full_out, "holds other files"),
    "out below a file": (_out_below_a_file, "not a writable directory"),
    "out in the kernel": (_set("--out", "/proc/run"), "cannot be written"),
    "unknown option": (_set("--sede", "3"), "sede"),
    "unknown config key": (_file("c.yaml", "--config", b"sede: 3\n"), "sede"),
    "config is no yaml": (_file("c.yaml", "--config", b"{"), "c"),
    "missing config": (_set("--config", "absent.yaml"), "absent.yaml"),
    "wrong type": (_set("--seed", "many"), "seed"),
    "too many denoising steps": (_set("--num_inference_steps", "1001"), "num_inference_steps must be at most 1000"),
    "negative seed": (_set("--seed", "-1"), "seed must not be negative, got -1"),
    "no window": (_set("--window_px", "0"), "window_px must be positive, got 0"),
    "wrong choice": (_set("--visual_source", "dreams"), "visual_source"),
    "out of range": (_set("--guidance_scale", "0"), "guidance_scale must be at least 1"),
    "overlap off the grid": (_set("--overlap_px", "30"), "multiple of 8, got 30; try 32"),
    "no overlap": (_set("--overlap_px", "0"), "overlap_px must lie between 8 and 56, got 0"),
    "TF32 without a GPU": (_set("--dtype", "tf32"), "tf32 needs an NVIDIA GPU"),
    "unknown scheduler": (_set("--scheduler", "Euler"), "must be a class of diffusers"),
    "missing model": (_set("--model", "absent"), "absent does not exist"),
    "model of another shape": (_other_model, "must read 9 channels, got 4"),
    "too few captions": (_file("c.txt", "--captions", b"a lake\n"), "a caption per step, got 1 for 3 steps"),
    "missing captions": (_set("--captions", "absent.txt"), "absent.txt"),
    "no captioner": (_set("--captioner", "builtins.dict"), "captioner"),
    "long image": (_set("--image", "x" * 300), "File name too long"),
    "long out": (_set("--out", "x" * 300), "File name too long"),
    "long model": (_set("--model", "x" * 300), "File name too long"),
    "a prompt as layout": (_set("--layout", "a meadow " * 40), "File name too long"),
    "captions with a layout": (_with_layout("--captions", "c.txt"), "--captions has no effect with --layout"),
    "a captioner with a layout": (
        _with_layout("--captioner", "lit_outpaint.captions.rules.RuleCaptioner"),
        "--captioner has no effect with --layout",
    ),
    "captions of one picture": (_set("--captions_from", "c.txt"), "--captions_from has no effect without a directory"),
    "what the picture shows": (_set("--image_caption", "a lake"), "--image_caption has no effect without --layout"),
    "nothing to choose from": (
        _set("--scorer", "lit_outpaint.drawing.candidates.SeamScorer"),
        "--scorer has no effect without --candidates",
    ),
    "no text-to-image model": (_no_text_to_image, "needs a text-to-image model beneath"),
    "missing run": (_only_resume, "must hold run.yaml"),
    "resume and more": (_set("--resume", "absent"), "with --resume only --batch_size, --candidate, --device, "),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_gets_one_line_and_leaves_nothing(
    case: str,
    arguments: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    change, message = BAD_INPUT[case]
    change(tmp_path, arguments)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    argv = [part for pair in arguments.items() for part in pair]
    assert main(argv) == 2
    error = capfd.readouterr().err
    lines = [line for line in error.splitlines() if "it/s]" not in line]
    assert len(lines) == 1, error
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_that_is_too_long_is_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--resume", "x" * 300]) == 2
    assert "File name too long" in capsys.readouterr().err


def test_a_picture_is_refused_before_the_model_is_loaded(
    arguments: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unloadable = tmp_path / "model"
    for part in ("unet", "vae"):
        shutil.copytree(Path(arguments["--model"]).parent / part, unloadable / part, ignore=_weights)
    (unloadable / "model_index.json").write_text('{"_class_name": "OutpaintPipeline"}')
    _small_image(tmp_path, arguments)
    assert main(argv_of({**arguments, "--model": str(unloadable)})) == 2
    assert "got 64 x 15" in capsys.readouterr().err


def _weights(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".safetensors")]


def test_a_picture_smaller_than_a_window_is_enlarged(
    arguments: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (48, 32), "red").save(tmp_path / "small.png")
    assert main(argv_of({**arguments, "--image": str(tmp_path / "small.png"), "--steps": "right:1"})) == 0
    assert "image: 48 x 32 px scaled to 96 x 64 px" in capsys.readouterr().out
    assert Image.open(Path(arguments["--out"]) / "panorama.png").size == (96 + 32, 64)


@pytest.mark.parametrize("engine", ["steps", "joint"])
def test_a_run_in_bfloat16_draws_nearly_the_same_and_goes_on_so(
    engine: str, arguments: dict[str, str], tmp_path: Path
) -> None:
    drawn = {}
    for dtype in ("float32", "bfloat16"):
        out = tmp_path / dtype
        assert main([*argv_of({**arguments, "--out": str(out)}), f"--dtype={dtype}", f"--engine={engine}"]) == 0
        drawn[dtype] = np.asarray(Image.open(out / "panorama.png")).astype(int)
    assert not np.array_equal(*drawn.values())
    assert np.abs(drawn["float32"] - drawn["bfloat16"]).mean() < 8
    if engine == "steps":
        assert main(["--resume", str(tmp_path / "bfloat16"), "--steps", "left:1"]) == 0
    assert yaml.safe_load((tmp_path / "bfloat16" / "run.yaml").read_text())["config"]["dtype"] == "bfloat16"


def test_another_run_in_the_same_place_is_refused(
    arguments: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv_of(arguments)) == 0
    files = pixel_files_of(Path(arguments["--out"]))
    assert main([*argv_of({**arguments, "--steps": "right:3"}), "--seed", "4"]) == 2
    assert "holds another run (seed, steps differ)" in capsys.readouterr().err
    assert pixel_files_of(Path(arguments["--out"])) == files


def test_a_run_does_not_go_on_with_another_model(
    arguments: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv_of(arguments)) == 0
    shutil.copytree(Path(arguments["--model"]).parent, tmp_path / "family")
    weights = next((tmp_path / "family" / "vae").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
    other = str(tmp_path / "family" / "outpaint")
    assert main(["--resume", arguments["--out"], "--steps", "left:1", "--model", other]) == 2
    assert "is not the one" in capsys.readouterr().err


def test_a_damaged_canvas_is_refused(arguments: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv_of(arguments)) == 0
    shutil.rmtree(Path(arguments["--out"]) / "canvas.zarr" / "c")
    assert main(["--resume", arguments["--out"]]) == 2
    assert "is damaged" in capsys.readouterr().err


def test_help_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("--image", "right:8,left:4", "--guidance_scale", "Same seed, same picture", "--resume"):
        assert words in text


def test_the_verb_answers_on_the_real_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lit_outpaint", "outpaint", "--image", "absent.png", "--steps", "north:1"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == ["error: outpaint needs --caption (or --resume DIR to continue a run)"]
