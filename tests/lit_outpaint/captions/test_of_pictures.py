from pathlib import Path

import pytest

from lit_outpaint.captions.of_pictures import read_picture_captions

WANTED = {"a.png": "a lake", "b.jpg": "a red barn"}
FORMS = {
    "c.jsonl": '{"image": "a.png", "caption": "a lake."}\n\n{"file_name": "sub/b.jpg", "text": "a red barn"}\n',
    "map.json": '{"a.png": "a lake", "b.jpg": "a red barn"}',
    "list.json": '[{"image": "a.png", "caption": "a lake"}, {"image": "b.jpg", "caption": "a red barn"}]',
    "c.txt": "a.png\ta lake\nb.jpg\t a red barn \n",
    "c.csv": 'image,caption\na.png,a lake\nb.jpg,"a red\nbarn"\n',
    "separators.jsonl": '{"image": "a.png", "caption": "a\u2028lake"}\n'
    '{"image": "b.jpg", "caption": "a red\u2028barn"}\n',
    "halves.jsonl": '{"image": "a.png", "caption": "a lake \\ud83d"}\n'
    '{"image": "b.jpg", "caption": "a \\ud83d red barn"}',
}
BAD = {
    "empty.txt": ("", "must hold a caption per picture, got none"),
    "no_tab.txt": ("a.png a lake\n", r"no_tab.txt:1 must be a picture, a tab and its caption, got 'a.png a lake'"),
    "twice.txt": ("a.png\ta lake\na.png\ta town\n", "twice.txt:2: a.png has a caption already"),
    "wordless.txt": ("a.png\t...\n", "wordless.txt:1: "),
    "torn.jsonl": ('{"image": "a.png"', "torn.jsonl:1 must be JSON"),
    "short.jsonl": ('{"image": "a.png"}', "short.jsonl:1 must be a record such as"),
    "null.jsonl": ('{"image": "a.png", "caption": null}', "null.jsonl:1 must be a record such as"),
    "null.json": ('{"a.png": null}', "null.json, entry 1 must be a record"),
    "open.csv": ('image,caption\na.png,"a lake\n', "open.csv:2 is no row"),
    "number.json": ("3", "must be a map from pictures to captions"),
    "list.json": ('["a lake"]', "list.json, entry 1 must be a record"),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_says_which_caption_is_whose(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FORMS[name])
    assert read_picture_captions(tmp_path / name) == WANTED


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    text, message = BAD[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_picture_captions(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a readable text file"):
        read_picture_captions(tmp_path / "absent.json")
