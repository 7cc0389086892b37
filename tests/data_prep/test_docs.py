import re
import shlex
from pathlib import Path

import pytest

from data_prep.__main__ import build_parser

ROOT = Path(__file__).resolve().parents[2]


def commands() -> list[str]:
    """The words after ``data_prep`` of every command that docs/data.md and the header of coco.yaml show."""
    blocks = re.findall(r"^```\n(.*?)^```$", (ROOT / "docs/data.md").read_text(), flags=re.M | re.S)
    header = re.findall(r"^#   (.*\n(?:#     .*\n)*)", (ROOT / "experiments/coco.yaml").read_text(), flags=re.M)
    text = "\n".join([*blocks, *(lines.replace("\n#", "\n") for lines in header)]).replace("\\\n", " ")
    return re.findall(r"(?:-m data_prep|slurm/data_prep\.sbatch) ([^()\n]*)", text)


@pytest.mark.parametrize("command", [words for words in commands() if "..." not in words])
def test_command_of_the_documentation_parses(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("captions.yaml").write_text(
        "captioner: {class_path: lit_outpaint.captions.rules.RuleCaptioner}\nimaginary: 2\n"
    )
    options = build_parser("coco").parse_args(shlex.split(command))
    assert options.command == command.split()[0]


def test_every_command_is_documented() -> None:
    assert {words.split()[0] for words in commands()} == {"all", "coco", "caption", "encode", "pack", "verify", "texts"}


def test_every_cause_that_is_counted_is_documented() -> None:
    modules = [*(ROOT / "data_prep/coco").glob("*.py"), ROOT / "lit_outpaint/canvas/decoding.py"]
    sources = "".join(path.read_text() for path in modules)
    causes = set(re.findall(r'(?:FileError|PictureError)\(\s*"(\w+)"', sources))
    causes |= set(re.findall(r"\{(?:LEFT_OUT|MENDED)\}(\w+)", sources))
    assert len(causes) >= 11
    assert not {cause for cause in causes if f"`{cause}`" not in (ROOT / "docs/data.md").read_text()}
