import subprocess
import sys
from pathlib import Path

import pytest
import webdataset

from data_prep.__main__ import main
from data_prep.texts import texts


def test_the_captions_of_a_set_are_printed_as_they_stand_in_it(
    shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = [
        sample["json"]
        for path in sorted(shards.glob("train-*.tar"))
        for sample in webdataset.WebDataset(str(path), shardshuffle=False).decode()
    ]
    assert main(["texts", str(shards)]) == 0
    assert capsys.readouterr().out.splitlines() == [sample["global_caption"] for sample in samples]
    assert list(texts(shards, "local")) == [sample["local_captions"][sample["local_index"]] for sample in samples]
    assert list(texts(shards, "imaginary")) == [text for sample in samples for text in sample["imaginary_captions"]]
    assert main(["texts", str(shards), "--split", "val", "--kind", "local"]) == 0
    assert 0 < len(capsys.readouterr().out.splitlines()) < len(samples)


def test_a_directory_without_a_set_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["texts", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_reader_that_has_enough_is_no_error(shards: Path) -> None:
    command = [sys.executable, "-m", "data_prep", "texts", str(shards)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # Before the first line is written.
        assert process.stderr.read() == b""
    assert process.returncode == 0
