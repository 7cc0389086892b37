import subprocess
import sys

import pytest
from pydantic import ValidationError

from lit_outpaint.data.schema import FileCard, SampleRecord, ShardError, check_key, parse_view, view_name


@pytest.mark.parametrize(
    ("direction", "ratio"), [("left", 0.5), ("right", 0.25), ("up", 1 / 3), ("down", 0.75), ("up+left", 0.5)]
)
def test_a_view_name_says_its_direction_and_ratio(direction: str, ratio: float) -> None:
    side, share = parse_view(view_name(direction, ratio))
    assert side == direction
    assert share == pytest.approx(ratio, abs=1e-6)


@pytest.mark.parametrize("name", ["right", "right.1.5", "forward.0.5", "right.0.5.x", "left+up.0.5", "up+down.0.5", ""])
def test_a_malformed_view_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"direction\.ratio"):
        parse_view(name)


@pytest.mark.parametrize("key", ["../x", "a/b", "a.b", "", "x" * 200, "a b"])
def test_a_key_that_could_leave_its_directory_or_split_a_suffix_is_refused(key: str) -> None:
    with pytest.raises(ShardError, match="letters, digits"):
        check_key(key)


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", "a\\b", ""])
def test_a_card_cannot_name_a_file_outside_its_directory(name: str) -> None:
    with pytest.raises(ValidationError, match="inside"):
        FileCard(name=name, size=1, sha256="")


def test_a_record_whose_local_index_names_no_caption_is_refused() -> None:
    fields = {
        "id": "1",
        "source": "s",
        "licence": "l",
        "imaginary_captions": [],
        "global_caption": "g",
        "provenance": {},
    }
    assert SampleRecord(local_captions=["a", "b"], local_index=1, **fields).local_caption == "b"
    with pytest.raises(ValidationError, match="local_index"):
        SampleRecord(local_captions=["a", "b"], local_index=2, **fields)


def test_the_schema_needs_no_torch() -> None:
    code = "import sys, lit_outpaint.data.schema, lit_outpaint.heldout.evalset; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
