from pathlib import Path

import pytest

from lit_outpaint.runs.pictures import PictureRun, read_prompts


@pytest.mark.parametrize("data", [b"a: [\n", b"\xff\xfe\xff"])
def test_a_run_with_a_damaged_record_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "run.yaml").write_bytes(data)
    with pytest.raises(ValueError, match=r"run\.yaml is no run of generate") as caught:
        PictureRun(tmp_path, {"seed": 1})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'prompt,id\n"a red barn, by day",x\na lake,y\n'),
        ("a.json", '[{"prompt": "a red barn, by day", "id": "x"}, {"prompt": "a lake", "id": "y"}]'),
        ("a.jsonl", '{"id": "x", "prompt": "a red barn, by day"}\n\n{"id": "y", "prompt": "a lake"}\n'),
    ],
)
def test_prompts_are_read_from_every_kind_of_table(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_prompts(tmp_path / name) == [("x", "a red barn, by day"), ("y", "a lake")]


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", "prompt\na lake\na hill\n"), ("a.json", '["a lake", "a hill"]'), ("a.txt", "a lake\na hill")]
)
def test_prompts_without_ids_are_numbered(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_prompts(tmp_path / name) == [("0000", "a lake"), ("0001", "a hill")]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "a lake\na hill\n", r"a\.csv:2 must have a prompt"),
        ("a.json", '{"prompt": "a lake"}', r"a\.json must be a list"),
        ("a.json", '["a lake", 3]', r"a\.json, entry 2 must have a prompt"),
    ],
)
def test_tables_without_prompts_are_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        read_prompts(tmp_path / name)
