import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lit_outpaint.runs.fingerprint import fingerprint

LANGUAGE = {"class_path": "lit_outpaint.models.language.T5Language", "init_args": {"path": "../lm", "length": 8}}


def _model(home: Path) -> Path:
    """An overlay of a family, with a language model beside it."""
    for name, size in (("unet", 70_000_000), ("vae", 3_000_000), ("lm", 1000), ("outpaint/context", 1000)):
        (home / name).mkdir(parents=True)
        (home / name / "model.safetensors").write_bytes(b"1" * size)
        (home / name / "notes.md").write_text(str(home))
    (home / "outpaint" / "unet_changes.safetensors").write_bytes(b"1" * 1000)
    (home / "outpaint" / "outpaint.json").write_text(json.dumps({"base": "..", "language": LANGUAGE}))
    return home / "outpaint"


def _byte(name: str, place: int) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        with (home / name).open("r+b") as file:
            file.seek(place)
            file.write(b"2")

    return change


def _said(**said: object) -> Callable[[Path], None]:
    return lambda home: (home / "outpaint" / "outpaint.json").write_text(json.dumps({"base": "..", **said}))


CHANGES = {
    "the middle of a file": _byte("vae/model.safetensors", 1_500_000),
    "the middle of a large file": _byte("unet/model.safetensors", 35 << 20),
    "the end of a large file": _byte("unet/model.safetensors", 69_999_999),
    "what the U-Net differs in": _byte("outpaint/unet_changes.safetensors", 500),
    "the language model": _byte("lm/model.safetensors", 500),
    "how captions are read": _said(language={**LANGUAGE, "init_args": {"path": "../lm", "length": 9}}),
    "the attention rule": _said(language=LANGUAGE, attention={"class_path": "a.B"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_fingerprint_changes_with_what_decides_the_picture(tmp_path: Path, change: str) -> None:
    model = _model(tmp_path)
    before = fingerprint(model)
    CHANGES[change](tmp_path)
    assert fingerprint(model) != before


def test_a_fingerprint_does_not_change_with_the_place(tmp_path: Path) -> None:
    first, second = (_model(tmp_path / name) for name in ("a", "b"))
    assert fingerprint(first) == fingerprint(second)
    moved = tmp_path / "b" / "deeper" / "outpaint"
    moved.parent.mkdir()
    second.rename(moved)
    language = {**LANGUAGE, "init_args": {"path": "../../lm", "length": 8}}
    (moved / "outpaint.json").write_text(json.dumps({"base": "../..", "language": language}))
    assert fingerprint(moved) == fingerprint(first)


def test_a_run_is_compared_by_the_kind_that_it_began_with(tmp_path: Path) -> None:
    model = _model(tmp_path)
    # What outpaint wrote of this model before fingerprints had kinds.
    first_kind = "5bf02726249f32b661e841e9da25792df9a604810e89ad9b91154f5e7f68bf87"
    assert fingerprint(model, like=first_kind) == first_kind
    _byte("vae/model.safetensors", 2_999_999)(tmp_path)
    assert fingerprint(model, like=first_kind) != first_kind
