from pathlib import Path

import pytest

from data_prep.__main__ import main
from data_prep.scapes.rectangles import rectangle
from data_prep.scapes.staging import HOME
from lit_outpaint.captions.of_pictures import read_picture_captions
from lit_outpaint.planning.places import read_scenery


def test_windows_and_captions_are_written_and_fewer_are_the_first_of_more(tmp_path: Path) -> None:
    for name, number in (("a", 2), ("b", 3)):
        assert main(["rectangles", "--out", str(tmp_path / name), "--count", str(number), "--seed", "5"]) == 0
    captions = [read_picture_captions(tmp_path / name / "captions.jsonl") for name in ("a", "b")]
    assert captions[0].items() <= captions[1].items()
    assert list(captions[1]) == ["0000.png", "0001.png", "0002.png"]
    for name in captions[0]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_window_shows_the_first_place_of_the_caption_with_all_its_things() -> None:
    for number in range(20):
        scene, caption, _ = rectangle(1, number)
        first = read_scenery(caption).surface[0]
        assert len(first.things) == len(scene.things)
        assert {HOME[thing.kind] for thing in scene.things} == {first.name.removeprefix("a ")}


def test_bad_settings_are_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rectangles", "--out", str(tmp_path / "a"), "--count", "0"]) == 2
    assert "count" in capsys.readouterr().err
