"""Help and refusals come before anything heavy is imported; ``python -m benchmarks.startup`` says what they take."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.startup import HEAVY, HELPS, REFUSALS, UNKNOWN_FLAGS, VERBS, cpu_seconds

ROOT = Path(__file__).parents[1]
ANSWERS = """
import contextlib, importlib, io, json, sys
heavy, commands = json.loads(sys.argv[1])
answers = []
for package, *words in commands:
    main = importlib.import_module(f"{package}.__main__").main
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            code = main(words)
        except SystemExit as stop:
            code = stop.code or 0
    answers.append([code, told.getvalue(), sorted(set(heavy) & set(sys.modules))])
print(json.dumps(answers))
"""


def _answers(commands: list[list[str]], cwd: Path) -> list[tuple[int, str, list[str]]]:
    """Exit code, output and heavy modules imported so far of each command, all in one process."""
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS, json.dumps([HEAVY, commands])],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(answer) for answer in json.loads(done.stdout)]


def test_help_of_every_verb_is_there_before_anything_heavy(tmp_path: Path) -> None:
    for words, (code, told, imported) in zip(HELPS, _answers(HELPS, tmp_path), strict=True):
        assert not imported, f"{words} imports {imported}"
        assert code == 0, (words, told)
        assert "usage:" in told


def test_every_verb_is_asked() -> None:
    import data_prep.__main__
    import eval.cli
    import lit_outpaint.__main__
    import slurm.cli

    assert set(VERBS["lit_outpaint"]) == {
        *lit_outpaint.__main__.TRAINING_VERBS,
        *lit_outpaint.__main__.OWN_VERBS,
    }
    assert set(VERBS["eval"]) == set(eval.cli._VERBS)
    assert set(VERBS["data_prep"]) == set(data_prep.__main__._COMMANDS)
    assert set(VERBS["slurm"]) == set(slurm.cli._VERBS)


@pytest.mark.parametrize("commands", [UNKNOWN_FLAGS, REFUSALS], ids=["unknown flags", "missing files"])
def test_bad_input_is_refused_in_one_line_before_anything_heavy(commands: list[list[str]], tmp_path: Path) -> None:
    for name in ("docs", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    for words, (code, told, imported) in zip(commands, _answers(commands, tmp_path), strict=True):
        assert code == 2, (words, told)
        assert not imported, f"{words} imports {imported}: {told}"
        assert len(told.splitlines()) == 1, (words, told)
    assert {path.name for path in tmp_path.iterdir()} == {"docs", "models"}, "nothing is left behind"


def test_the_time_of_an_answer_is_that_of_the_answer_expected() -> None:
    assert cpu_seconds(["-c", "raise SystemExit(2)"], 2) > 0
    with pytest.raises(SystemExit, match=r"error: python -c raise SystemExit\('gone'\) ended with .* 1, not 2: gone"):
        cpu_seconds(["-c", "raise SystemExit('gone')"], 2)
