import subprocess
import sys
from pathlib import Path

import pytest

from lit_outpaint.data.prompts import (
    CountAtom,
    PresentAtom,
    Prompt,
    RelationAtom,
    Thing,
    read_prompts,
    true_pictures_dir,
    write_prompts,
)

BARN = PresentAtom(kind="barn")


def _prompt(key: str = "presence-0000") -> Prompt:
    left = RelationAtom(relation="left_of", thing=Thing(kind="barn"), others=(Thing(kind="tent", colour="red"),))
    count = CountAtom(thing=Thing(kind="tent"), count=2)
    return Prompt(id=key, category="spatial", prompt="a barn left of a red tent", atoms=(BARN, left, count), pair="p")


def test_prompts_come_back_as_they_were_written(tmp_path: Path) -> None:
    prompts = [_prompt(), _prompt("spatial-0001")]
    write_prompts(tmp_path / "p.jsonl", prompts)
    assert read_prompts(tmp_path / "p.jsonl") == prompts


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "is empty"),
        ("{}", r"p\.jsonl:1 .*id"),
        (_prompt().model_dump_json() + "\n" + _prompt().model_dump_json(), r"p\.jsonl:2.*presence-0000 comes twice"),
        (_prompt().model_dump_json().replace('"present"', '"absent"'), r"p\.jsonl:1.*atoms"),
        (_prompt().model_dump_json().replace('"presence-0000"', '"../up"'), r"p\.jsonl:1.*id"),
    ],
)
def test_bad_files_are_refused_with_their_line(tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "p.jsonl").write_text(lines)
    with pytest.raises(ValueError, match=message):
        read_prompts(tmp_path / "p.jsonl")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="data_prep compbench"):
        read_prompts(tmp_path / "none.jsonl")


def test_true_pictures_lie_beside_the_prompts() -> None:
    assert true_pictures_dir(Path("a/b.jsonl")) == Path("a/b_true")


def test_prompts_need_no_torch() -> None:
    code = "import sys, lit_outpaint.data.prompts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
