import itertools
import multiprocessing
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_prep.__main__ import main
from data_prep.caption import CaptionShard, read_captions, read_records
from data_prep.caption_journal import CaptionJournal, read_lines
from data_prep.scapes.captions import global_caption
from data_prep.scapes.windows import Place
from data_prep.scapes.world import World
from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.captions.scene import read_scene
from lit_outpaint.data.schema import SampleRecord
from lit_outpaint.protocols import CaptionError, Written
from lit_outpaint.testing.models import ScriptedCaptioner
from lit_outpaint.testing.servers import FaultServer

CAPTIONER = "lit_outpaint.captions.language_model.LanguageModelCaptioner"
OPENAI = "lit_outpaint.chat.openai_chat.OpenAIChat"
WINDOWS = 24
SIZES = ["--windows", str(WINDOWS), "--val-windows", "0", "--panoramas", "0", "--eval-windows", "0"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output directory with one raw shard; read only."""
    out = tmp_path_factory.mktemp("raw") / "set"
    assert main(["scapes", "--out", str(out), *SIZES, "--workers", "1"]) == 0
    return out


@pytest.fixture
def out(prepared: Path, tmp_path: Path) -> Path:
    """The same, to be written to."""
    work = tmp_path / "set" / "work"
    work.mkdir(parents=True)
    (work / "raw").symlink_to(prepared / "work" / "raw")
    return tmp_path / "set"


class Diary(RuleCaptioner):
    """Rules that take their time and note every call, past the death of the process."""

    concurrency = 4

    def __init__(self, path: Path, pause_s: float = 0.0) -> None:
        super().__init__()
        self.path, self.pause_s = path, pause_s

    def imagine(self, caption: str, n: int) -> list[Written]:
        time.sleep(self.pause_s)
        return super().imagine(caption, n)

    def summarise(self, captions: Any) -> Written:
        time.sleep(self.pause_s)
        with self.path.open("a") as file:
            file.write(f"{captions[0]}|{captions[-1]}\n")
        return super().summarise(captions)


def _shard(out: Path, tmp_path: Path, name: str, pause_s: float = 0.0) -> CaptionShard:
    (tmp_path / name).mkdir(exist_ok=True)
    return CaptionShard(out / "work" / "raw", tmp_path / name, Diary(tmp_path / f"{name}.txt", pause_s), imaginary=3)


def _kill_when(journal: Path, num_lines: int, process: Any) -> None:
    while process.is_alive() and (not journal.exists() or journal.read_bytes().count(b"\n") < num_lines):
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_killed_inside_a_shard_it_goes_on_with_the_next_sample_and_ends_with_the_same_bytes(
    out: Path, tmp_path: Path
) -> None:
    _shard(out, tmp_path, "undisturbed")("train-00000")
    context = multiprocessing.get_context("fork")
    kept = []
    for num_lines in (3, 12):
        process = context.Process(target=_shard(out, tmp_path, "killed", pause_s=0.01), args=("train-00000",))
        process.start()
        _kill_when(tmp_path / "killed" / "train-00000.journal", num_lines, process)
        assert process.exitcode == -signal.SIGKILL
        kept.append(len(read_lines(tmp_path / "killed" / "train-00000.journal")))
    assert 3 <= kept[0] < kept[1] < WINDOWS
    with (tmp_path / "killed" / "train-00000.journal").open("ab") as file:
        file.write(b'train_0000099\t{"id": "torn')
    _shard(out, tmp_path, "killed")("train-00000")
    files = {name: {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("undisturbed", "killed")}
    assert files["killed"] == files["undisturbed"]
    asked = Counter((tmp_path / "killed.txt").read_text().splitlines())
    # What was being asked when the process was killed, four at a time and twice, may be asked again.
    assert sum(asked.values()) <= WINDOWS + 2 * Diary.concurrency
    done_first = list(read_captions(tmp_path / "undisturbed" / "train-00000.jsonl"))
    assert len(done_first) == WINDOWS


def test_a_torn_line_is_dropped_from_the_journal(tmp_path: Path) -> None:
    record = SampleRecord(
        id="1",
        source="s",
        licence="l",
        local_captions=["a caf\u00e9 \u2028 lake"],
        local_index=0,
        imaginary_captions=[],
        global_caption="g",
        provenance={},
    )
    with CaptionJournal(tmp_path / "j") as journal:
        with pytest.raises(ValueError, match="another process is writing"):
            CaptionJournal(tmp_path / "j")
        journal.add("a", record)
    whole = (tmp_path / "j").read_bytes()
    for end in range(1, 30):
        (tmp_path / "j").write_bytes(whole + f"b\t{record.model_dump_json()}\n".encode()[:end])
        with CaptionJournal(tmp_path / "j") as journal:
            assert set(journal.lines) == {"a"}
            journal.add("c", record)
        assert list(read_captions(tmp_path / "j")) == ["a", "c"]
    assert read_captions(tmp_path / "j")["a"] == record


def test_the_record_says_who_wrote_and_instead_of_whom(out: Path, tmp_path: Path) -> None:
    captioner = WithFallback(ScriptedCaptioner(["a lake", CaptionError("late", "timeout")]))
    ledger = CaptionShard(out / "work" / "raw", tmp_path, captioner, imaginary=1)("train-00000")
    records = list(read_captions(tmp_path / "train-00000.jsonl").values())
    assert [record.provenance["global_caption"] for record in records] == ["rules instead of scripted: timeout"] * 24
    assert records[0].provenance["imaginary_captions"] == "scripted"
    assert ledger.fallbacks == {"timeout": 2 * WINDOWS - 1}


def test_a_captioner_from_yaml_writes_and_the_replies_are_cached(
    out: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultServer() as server:
        chat = {"class_path": OPENAI, "init_args": {"model": "m", "base_url": server.url}}
        init = {"chat": chat, "config": {"tokenizer": str(models / "tokenizer")}}
        config = {"captioner": {"class_path": CAPTIONER, "init_args": init}, "imaginary": 2}
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
        command = ["caption", "--out", str(out), "-c", str(tmp_path / "c.yaml"), "--cache", str(tmp_path / "a.sqlite")]
        assert main([*command, "--dry-run"]) == 0
        assert f"{WINDOWS} of {WINDOWS} windows to be captioned by openai:m" in capsys.readouterr().out
        assert not (out / "work" / "captions").exists()
        assert not (tmp_path / "a.sqlite").exists()
        assert main(command) == 0
        path = out / "work" / "captions" / "train-00000.jsonl"
        first = path.read_bytes()
        assert len(read_captions(path)["train_0000000"].imaginary_captions) == 2
        path.unlink()
        capsys.readouterr()
        assert main(command) == 0
        # The two questions about a window, and none twice: windows with equal captions share theirs.
        hits = int(capsys.readouterr().err.split("0 turns with the model, ")[1].split()[0])
        assert hits == 2 * WINDOWS
        assert len(server.requests) <= 2 * WINDOWS
    assert path.read_bytes() == first


def test_a_dry_run_counts_turns_tokens_and_money_of_what_is_left(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    captioner = ["--captioner", CAPTIONER, "--captioner.chat", OPENAI]
    model = ["--captioner.chat.model", "some-model", "--captioner.chat.base_url", "http://127.0.0.1:9/v1"]
    prices = ["--price_prompt", "1000000", "--price_completion", "0"]
    command = ["caption", "--out", str(out), *captioner, *model, *prices, "--dry-run"]
    before = sorted(tmp_path.rglob("*"))
    assert main(command) == 0
    said = capsys.readouterr().out
    assert f"{2 * WINDOWS} turns with the model, 0 replies from the cache" in said
    tokens, cost = (said.split(word)[1].split()[0] for word in ("cache\n  ", "cost "))
    assert float(tokens.replace(",", "")) == pytest.approx(float(cost), rel=1e-3)
    assert 2 * WINDOWS * 250 < float(cost) < 2 * WINDOWS * 450
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_of_a_set_that_is_packed_says_that_there_is_nothing_to_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["caption", "--out", str(tmp_path), "--dry-run"]) == 2
    assert "--out must hold the stages before this one, found no directory" in capsys.readouterr().err


def test_a_server_that_misbehaves_leaves_whole_captions_and_every_fallback_is_told(
    out: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = itertools.cycle(["good", "wrong_schema", "half_json", "good", "injection", "reset", "empty", "huge"])
    with FaultServer(lambda _: next(kinds)) as server:
        captioner = {
            "captioner": CAPTIONER,
            "captioner.chat": OPENAI,
            "captioner.chat.model": "stub",
            "captioner.chat.base_url": server.url,
            "captioner.chat.max_retries": "1",
            "captioner.chat.first_wait_s": "0.01",
            "captioner.config.tokenizer": str(models / "tokenizer"),
        }
        flags = [part for name, value in captioner.items() for part in (f"--{name}", value)]
        assert main(["caption", "--out", str(out), *flags]) == 0
    records = list(read_captions(out / "work" / "captions" / "train-00000.jsonl").values())
    wrote = Counter(record.provenance[name] for record in records for name in ("imaginary_captions", "global_caption"))
    by_rules = sum(count for writer, count in wrote.items() if "rules instead of openai:stub: " in writer)
    assert len(records) == WINDOWS
    assert by_rules + wrote["openai:stub"] == 2 * WINDOWS
    assert min(by_rules, wrote["openai:stub"]) > 0
    assert all(len(set(record.imaginary_captions)) == 3 for record in records)
    assert f"  {by_rules} fallbacks (" in capsys.readouterr().err


def test_rules_cost_nothing_and_pick_from_the_set_itself(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caption", "--out", str(out), "--dry-run"]) == 0
    assert "nothing to pay" in capsys.readouterr().out
    assert main(["caption", "--out", str(out)]) == 0
    captions = read_captions(out / "work" / "captions" / "train-00000.jsonl")
    told = {
        read_scene(record.local_captions[record.local_index]).place
        for _, record in read_records(out / "work" / "raw" / "train-00000.tar")
    }
    imagined = [text for record in captions.values() for text in record.imaginary_captions]
    assert sum(text in told for text in imagined) > len(imagined) / 2


def test_the_truth_is_told_which_window_it_is_asked_about(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = ["--captioner", "data_prep.scapes.captioner.ScapesCaptioner", "--captioner.steps", "right:4,left:4"]
    command = ["caption", "--out", str(out), *truth]
    assert main([*command, "--dry-run"]) == 0
    assert "nothing to pay" in capsys.readouterr().out
    assert main([*command, "--cache", str(out / "a.sqlite")]) == 2
    assert "leave it out" in capsys.readouterr().err
    assert main(command) == 0
    samples = read_captions(out / "work" / "captions" / "train-00000.jsonl")
    for _, raw in read_records(out / "work" / "raw" / "train-00000.tar"):
        place = Place.parse(raw.id)
        stretch = World(place.world).facts(place.x - 256, place.y, 640)
        sample = next(sample for sample in samples.values() if sample.id == raw.id)
        assert sample.global_caption == global_caption(stretch)
        assert set(sample.provenance.values()) == {"scapes annotator", "scapes:truth"}


def test_captions_of_other_windows_are_the_lower_bound(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "global.txt").write_text("\n".join(f"a wide view of lake {number}" for number in range(30)))
    shuffled = {"path": str(tmp_path / "global.txt"), "shuffle_seed": "0"}
    flags = [part for name, value in shuffled.items() for part in (f"--captioner.{name}", value)]
    captioner = ["--captioner", "lit_outpaint.captions.from_file.FileCaptioner", *flags]
    assert main(["caption", "--out", str(out), *captioner]) == 0
    samples = list(read_captions(out / "work" / "captions" / "train-00000.jsonl").values())
    assert all(sample.global_caption.startswith("a wide view of lake") for sample in samples)
    assert len({sample.global_caption for sample in samples}) > WINDOWS / 3
    assert {sample.provenance["global_caption"] for sample in samples} == {"file:shuffled"}
