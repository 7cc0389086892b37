from pathlib import Path

import pytest

from lit_outpaint.system.text_files import csv_rows, json_lines, json_value, read_text, text_lines

TEXT = "a meadow\u2028with a barn\r\n\r\na lake\x0b\x85\rcaf\u00e9 \u4e2d\u6587\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_a_text_is_read_in_every_unicode_encoding(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding.startswith("utf-32-") else ""
    (tmp_path / "a").write_bytes((mark + TEXT).encode(encoding))
    lines = text_lines(read_text(tmp_path / "a", "it"))
    assert lines == [(1, "a meadow\u2028with a barn"), (3, "a lake\x0b\x85"), (4, "caf\u00e9 \u4e2d\u6587")]


@pytest.mark.parametrize("data", [b"a lake\na caf\xe9\n", b"\xff\xfea\0b", "a\nb".encode("utf-16")[:-1]])
def test_bytes_that_are_no_text_are_named_with_file_and_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ValueError, match=r"it must .*/a:\d .*save it as UTF-8") as caught:
        read_text(tmp_path / "a", "it")
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_text_at_all_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\n\xdb\0\xdb\0\xdb\xdb")
    with pytest.raises(ValueError, match=r"it must be a text file, and .*a\.jpg is none"):
        read_text(tmp_path / "a.jpg", "it")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ValueError, match=f"it must be .*{path}"):
            read_text(path, "it")


def test_json_lines_say_where_they_stand_and_hold_no_halves_of_characters(tmp_path: Path) -> None:
    lines = '{"caption": "a lake \\ud83d with a \\ud83d\\ude00"}\n\n["a\u2028b", {"\\udc00": null}]\n{"a": \n'
    (tmp_path / "a").write_text(lines, encoding="utf-8")
    rows = json_lines(tmp_path / "a", "it")
    assert next(rows) == (f"{tmp_path}/a:1", {"caption": "a lake   with a \U0001f600"})
    assert next(rows) == (f"{tmp_path}/a:3", ["a\u2028b", {" ": None}])
    with pytest.raises(ValueError, match=r"/a:4 must be JSON"):
        next(rows)
    with pytest.raises(ValueError, match="nested too deeply"):
        json_value("[" * 100_000, "it")


def test_a_row_of_a_spreadsheet_may_hold_line_breaks(tmp_path: Path) -> None:
    table = 'image,caption\r\n00.png,"a meadow\r\nwith ""a"" barn"\r\n\r\n01.png, a lake\r\n'
    (tmp_path / "a.csv").write_text(table, encoding="utf-16", newline="")
    assert list(csv_rows(tmp_path / "a.csv", "it")) == [
        (f"{tmp_path}/a.csv:2", {"image": "00.png", "caption": 'a meadow\nwith "a" barn'}),
        (f"{tmp_path}/a.csv:5", {"image": "01.png", "caption": " a lake"}),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [("00.png,a lake, a barn", "must have 2 columns"), ("00.png", "2 columns"), ('00.png,"a lake', "no row")],
)
def test_a_row_that_is_none_is_named_with_its_line(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(f'image,caption\n9.png,"a\nb"\n{row}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=rf"a\.csv:4 .*{said}"):
        list(csv_rows(tmp_path / "a.csv", "it"))
