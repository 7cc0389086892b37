import multiprocessing
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
import webdataset

from data_prep import caption, encode, pack
from data_prep.__main__ import main
from data_prep.engines import LocalEngine
from data_prep.scapes import shards as scapes_shards
from data_prep.testing import build_toy_shards
from lit_outpaint.captions.scene import read_scene
from lit_outpaint.data.integrity import check_shard_set
from lit_outpaint.data.schema import SampleRecord
from lit_outpaint.data.shard_files import ShardFiles
from lit_outpaint.system.bfloat16 import warn_where_imitated

SMALL = {"windows": 7, "val_windows": 0, "panoramas": 1, "eval_windows": 1, "samples_per_shard": 3}


def content(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def arguments(out: Path, models: Path, *more: str) -> list[str]:
    sizes = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    return ["all", "--out", str(out), "--models", str(models), "--workers", "1", *sizes, *more]


@pytest.fixture(scope="module")
def undisturbed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return content(build_toy_shards(tmp_path_factory.mktemp("undisturbed") / "set", models, **SMALL))


def test_the_same_command_twice_gives_the_same_bytes(
    models: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    assert content(build_toy_shards(tmp_path / "set", models, **SMALL)) == undisturbed
    assert {name for name in undisturbed if "/" not in name} == {
        "train-00000.tar", "train-00001.tar", "train-00002.tar", "index.jsonl", "empty.safetensors", "card.json"
    }  # fmt: skip


def test_plain_webdataset_reads_every_sample(shards: Path) -> None:
    _, entries = check_shard_set(shards)
    urls = sorted(str(path) for path in shards.glob("*.tar"))
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == [entry.key for entry in entries]
    for sample in samples:
        assert {name for name in sample if not name.startswith("__")} == {"webp", "json", "safetensors"}
        SampleRecord.model_validate_json(sample["json"])


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


@pytest.mark.parametrize("where", ["render", "caption", "encode"])
def test_a_killed_preparation_goes_on_and_ends_with_the_same_bytes(
    models: Path, tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    module = {"render": scapes_shards, "caption": caption, "encode": encode}[where]
    calls = 0

    def dying(items: Iterable[object], total: int, label: str) -> Iterable[object]:
        nonlocal calls
        for item in items:
            calls += 1
            if calls == 5:
                raise Killed
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(module, "progress", dying)
        with pytest.raises(Killed):
            build_toy_shards(tmp_path / "set", models, **SMALL)
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["work"]
    assert content(build_toy_shards(tmp_path / "set", models, **SMALL)) == undisturbed


def test_changed_settings_start_the_stages_they_concern_anew(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for unit in ("amx_tile", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, f"_is_{unit}_supported", lambda: False)
    warn_where_imitated.cache_clear()
    out = str(tmp_path / "set")
    sizes = ["--windows=4", "--val-windows=0", "--panoramas=0", "--eval-windows=0"]
    assert main(["scapes", "--out", out, "--workers=1", *sizes]) == 0
    assert main(["caption", "--out", out, "--imaginary", "2"]) == 0
    encoding = ["encode", "--out", out, "--models", str(models), "--ratios", "0.25", "--directions", "up,left"]
    assert main([*encoding, "--bf16", "true"]) == 0
    assert caplog.text.count("--bf16 false is faster") == 1, "this CPU has no units for bfloat16"
    assert main(["caption", "--out", out, "--imaginary", "1"]) == 0
    assert main(["encode", "--out", out, "--models", str(models), "--ratios", "0.25,0.5", "--directions", "up"]) == 0
    assert main(["pack", "--out", out]) == 0
    card, _ = check_shard_set(tmp_path / "set")
    assert card.views == ["up.0.25", "up.0.5"]
    assert card.settings["imaginary"] == 1


def test_a_finished_set_is_left_alone_and_other_settings_are_refused(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    assert main(arguments(out, models)) == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert main(arguments(out, models)) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert main(arguments(out, models, "--seed", "1")) == 2
    assert "other settings" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert main(arguments(out, models, "--seed", "1", "--overwrite")) == 0
    assert check_shard_set(out)[0].settings["seed"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--windows", "0"], "windows must be at least 1, got 0"),
        (["--windows", "-3"], "windows must be at least 1"),
        (["--windows", "many"], "many"),
        (["--ratios", "1.5"], "between 0 and 1"),
        (["--ratios", "0.33333333"], "at most six digits"),
        (["--directions", "forward"], "directions must be of left"),
        (["--captioner", "no.such.Captioner"], "No module named 'no'"),
        (["--captioner", "decimal.Decimal"], "does not implement protocol Captioner"),
        (["--models", "/nonexistent"], "/nonexistent"),
        (["--no-such-flag", "1"], "no_such_flag"),
        (["--source", "mars"], "scapes"),
    ],
)
def test_bad_settings_get_one_line_and_leave_nothing(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    assert main(arguments(tmp_path / "set", models, *change)) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("kind", ["file", "below a file", "foreign folder", "damaged set"])
def test_an_output_that_cannot_be_used_is_refused_untouched(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    out = tmp_path / "out"
    if kind in ("file", "below a file"):
        out.write_text("mine")
    else:
        out.mkdir()
        (out / ("notes.txt" if kind == "foreign folder" else "card.json")).write_text("{}")
    before = content(tmp_path)
    assert main(arguments(out / "x" if kind == "below a file" else out, models)) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert content(tmp_path) == before


def test_a_stage_without_the_one_before_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "set"
    assert main(["pack", "--out", str(out)]) == 2
    assert "--out must hold the stages before this one" in capsys.readouterr().err
    out.mkdir()
    assert main(["pack", "--out", str(out)]) == 2
    assert list(out.iterdir()) == []
    (out / "work").mkdir()
    assert main(["pack", "--out", str(out)]) == 2
    assert "is not complete; run the stages before" in capsys.readouterr().err


SIZES = ["--windows=4", "--val-windows=0", "--panoramas=0", "--eval-windows=0", "--workers=1"]


@pytest.mark.parametrize("again", [["scapes", *SIZES, "--seed", "3"], ["caption", "--imaginary", "1"]])
def test_stages_of_two_preparations_are_not_packed_together(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], again: list[str]
) -> None:
    out = ["--out", str(tmp_path / "set")]
    encode = ["encode", *out, "--models", str(models), "--directions", "right"]
    for words in (["scapes", *out, *SIZES], ["caption", *out], encode, [*again, *out]):
        assert main(words) == 0
    capsys.readouterr()
    assert main(["pack", *out]) == 2
    assert "run it and those after it again" in capsys.readouterr().err
    for words in (["caption", *out], encode, ["pack", *out]):
        assert main(words) == 0


@pytest.mark.parametrize("stranger", ["train-00007.tar", "index.jsonl", "evalset/mine.png"])
def test_files_of_others_are_neither_deleted_nor_replaced(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], stranger: str
) -> None:
    out = tmp_path / "set"
    (out / stranger).parent.mkdir(parents=True)
    (out / stranger).write_text("mine")
    for words in (arguments(out, models, "--overwrite"), ["scapes", "--out", str(out), *SIZES]):
        assert main(words) == 2
        assert f"{stranger} belongs to no shard set" in capsys.readouterr().err
    assert content(out) == {stranger: b"mine"}


@pytest.mark.parametrize("more", [["all", "--keep_work"], ["all", "--overwrite"], ["scapes"]])
def test_a_directory_of_yours_that_is_called_work_is_left_alone(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    out = tmp_path / "set"
    (out / "work" / "raw").mkdir(parents=True)
    (out / "work" / "raw" / "thesis.tex").write_text("mine")
    models_of_all = ["--models", str(models)] if more[0] == "all" else []
    assert main([more[0], "--out", str(out), *SIZES, *models_of_all, *more[1:]]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert content(out) == {"work/raw/thesis.tex": b"mine"}


def test_packing_continues_with_the_shards_that_are_missing(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, bytes]
) -> None:
    out = tmp_path / "set"

    def stopped(*_: object) -> None:
        raise Killed

    words = arguments(out, models, "--keep_work")
    with monkeypatch.context() as patch:
        patch.setattr(pack, "write_index", stopped)
        with pytest.raises(Killed):
            main(words)
    packed = out / "work" / "packed"
    (packed / "train-00001.packed.json").unlink()
    before = {path.name: path.stat().st_mtime_ns for path in (packed / "set").glob("*.tar")}
    assert len(before) == 3
    assert main(["pack", "--out", str(out), "--workers", "1"]) == 0
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert {name for name in before if before[name] != after[name]} == {"train-00001.tar"}
    assert all((out / name).read_bytes() == undisturbed[name] for name in after)
    assert main(["verify", str(out)]) == 0


def test_a_killed_overwrite_goes_on_and_one_of_kept_stages_starts_over(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    words = arguments(out, models, "--keep_work", "--workers=1", "--overwrite")

    def made() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (out / "work" / "raw").glob("*.tar")}

    assert main(words) == 0
    first = made()
    assert main(words) == 0
    second = made()
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)
    process = multiprocessing.get_context("forkserver").Process(target=main, args=(words,))
    process.start()
    while not ((out / "work" / "started_over").exists() and (out / "work" / "raw" / "done").exists()):
        assert process.is_alive()
        time.sleep(0.005)
    process.kill()
    process.join()
    third = made()
    assert all(second[name] != third[name] for name in second)
    assert main(words) == 0
    assert made() == third


def test_a_source_may_be_named_in_the_file_of_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"source: coco\nroot: {tmp_path / 'nowhere'}\n")
    assert main(["all", "-c", str(settings), "--out", str(tmp_path / "set")]) == 2
    assert "nowhere must hold train2017/" in capsys.readouterr().err


def test_options_that_would_do_nothing_are_refused(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path), "--vision", "somewhere"]) == 2
    assert "--vision names the CLIP that was given to encode beside --models" in capsys.readouterr().err
    assert main(arguments(tmp_path / "set", models, "--cache", str(tmp_path / "replies.sqlite"))) == 2
    assert "rules asks none, leave it out" in capsys.readouterr().err


def _end_of_this_process(stem: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_told_in_one_line() -> None:
    with pytest.raises(OSError, match="a process of render was killed, perhaps for want of memory"):
        LocalEngine(2).map(_end_of_this_process, ["a", "b"], "render")


def test_imagined_neighbours_never_decide_what_holds_for_the_scene(shards: Path) -> None:
    _, entries = check_shard_set(shards)
    files = ShardFiles(shards)
    for entry in entries:
        record = files.record(entry)
        assert len(record.imaginary_captions) == 3
        assert record.provenance == {
            "local_captions": "scapes annotator", "imaginary_captions": "rules", "global_caption": "rules"
        }  # fmt: skip
        scene = read_scene(record.global_caption)
        annotated = [read_scene(caption) for caption in record.local_captions]
        assert scene.time in {other.time for other in annotated}
        assert scene.weather in {other.weather for other in annotated}
        assert scene.mountains in {other.mountains for other in annotated}


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["all", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"--{name}" in text for name in ("windows", "val_windows", "ratios", "models", "captioner", "bf16"))
