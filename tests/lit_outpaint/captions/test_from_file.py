from pathlib import Path

import pytest

from lit_outpaint.captions.from_file import FileCaptioner, read_captions
from lit_outpaint.protocols import Captioner, CaptionError


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _ask(captioner: Captioner, step: int) -> str:
    return captioner.next_local(view=None, direction="left", global_caption="a", previous=[], seen=[], step=step).text


def test_a_text_file_gives_a_caption_per_line(tmp_path: Path) -> None:
    captioner = FileCaptioner(str(_write(tmp_path / "c.txt", "a lake\n\n  a town. \n")))
    assert isinstance(captioner, Captioner)
    assert [_ask(captioner, step) for step in range(2)] == ["a lake", "a town"]


def test_a_yaml_file_gives_a_caption_per_item(tmp_path: Path) -> None:
    assert read_captions(_write(tmp_path / "c.yaml", '- a lake\n- "a town: at night"\n')) == [
        "a lake",
        "a town: at night",
    ]


def test_beyond_its_end_it_says_so(tmp_path: Path) -> None:
    captioner = FileCaptioner(str(_write(tmp_path / "c.txt", "a lake")))
    with pytest.raises(CaptionError, match="holds 1 captions, step 2 needs one more"):
        _ask(captioner, 1)


def test_shuffled_captions_are_the_same_in_another_order(tmp_path: Path) -> None:
    captions = [f"a lake with {number} boats" for number in range(9)]
    path = str(_write(tmp_path / "c.txt", "\n".join(captions)))
    shuffled = FileCaptioner(path, shuffle_seed=1)
    assert shuffled.captions != captions
    assert sorted(shuffled.captions) == captions
    for seed in range(20):
        moved = FileCaptioner(path, shuffle_seed=seed)
        assert all(own != other for own, other in zip(captions, moved.captions, strict=True))
        assert all(own not in {text for text, *_ in moved.imagine(own, 8)} for own in captions)
        assert all(moved.summarise([own]).text != own for own in captions)
    with pytest.raises(ValueError, match="at least two captions"):
        FileCaptioner(str(_write(tmp_path / "one.txt", "a lake")), shuffle_seed=0)
    assert shuffled.captions == FileCaptioner(path, shuffle_seed=1).captions != FileCaptioner(path, 2).captions
    assert (
        shuffled.next_local(view=None, direction="left", global_caption="a", previous=[], seen=[], step=0).writer
        == "file:shuffled"
    )


def test_shuffled_it_answers_preparation_with_captions_of_other_pictures(tmp_path: Path) -> None:
    captions = [f"a lake with {number} boats" for number in range(50)]
    path = str(_write(tmp_path / "c.txt", "\n".join(captions)))
    shuffled, again, other = (FileCaptioner(path, shuffle_seed=seed) for seed in (1, 1, 2))
    imagined = [text for text, *_ in shuffled.imagine("a town", 5)]
    assert len(set(imagined)) == 5
    assert set(imagined) <= set(captions)
    asked = [f"place {number}" for number in range(40)]
    summaries = [shuffled.summarise([text]).text for text in asked]
    # The answer hangs on the question and the seed, not on what was asked before.
    assert [again.summarise([text]).text for text in reversed(asked)] == summaries[::-1]
    assert again.imagine("a town", 5) == shuffled.imagine("a town", 5) != other.imagine("a town", 5)
    assert len(set(summaries)) > 15
    with pytest.raises(CaptionError, match="holds 50 captions of other pictures, 51 were asked for"):
        shuffled.imagine("a town", 51)
    for ask in (lambda: FileCaptioner(path).imagine("a", 1), lambda: FileCaptioner(path).summarise(["a"])):
        with pytest.raises(CaptionError, match="or a shuffle_seed"):
            ask()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.txt", "\n\n", "at least one caption"),
        ("c.txt", "a lake\n...\n", "at least one word"),
        ("c.yaml", "a: lake", "must be a list of texts, got dict"),
        ("c.yaml", "- [1, 2]", "must be a list of texts"),
        ("c.yaml", "- 'a", "must be YAML"),
    ],
)
def test_a_file_that_is_no_list_of_captions_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FileCaptioner(str(_write(tmp_path / name, text)))


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        read_captions(tmp_path / "absent.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_captions(tmp_path / "latin.txt")
