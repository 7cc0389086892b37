import os
import subprocess
import sys
from pathlib import Path

import pytest

from lit_outpaint.system.command_line import checked_words

HALF = os.fsdecode(b"a caf\xe9")


def test_words_with_bytes_that_are_no_text_are_refused_unless_they_name_a_file(tmp_path: Path) -> None:
    assert checked_words(["--prompt", "a caf\u00e9 \U0001f600"]) == ["--prompt", "a caf\u00e9 \U0001f600"]
    with pytest.raises(ValueError, match=r"'--prompt=a caf '") as caught:
        checked_words([f"--prompt={HALF}"])
    str(caught.value).encode()
    file = tmp_path / HALF
    file.touch()
    assert checked_words([f"--image={file}", str(file)]) == [f"--image={file}", str(file)]


def test_a_terminal_that_lacks_a_character_ends_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lit_outpaint", "plan", "--out", str(tmp_path / "a"), "--prompt"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*command, "a caf\u00e9 at a lake"], env=ascii_only, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"caf\xe9" in done.stdout
    refused = subprocess.run([*command, b"a caf\xe9"], env=os.environ, capture_output=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count(b"\n") == 1
    assert b"command line must be text" in refused.stderr
