import os
import tempfile
from pathlib import Path

import pytest

from lit_outpaint.system.files import let_others_read, written_whole


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_changes_when_the_block_ends_and_not_before(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with written_whole(path, shared=shared) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with written_whole(path) as draft:
            draft.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_that_a_kill_left_behind_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.txt.partial").write_text("left behind, and longer than what comes")
    with written_whole(tmp_path / "a.txt") as draft:
        draft.write_text("new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "new")]


def test_drafts_of_several_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with written_whole(path, shared=True) as one, written_whole(path, shared=True) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_others_may_read_what_new_files_let_them_read(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        new, kept = tmp_path / "new", Path(tempfile.mkdtemp(dir=tmp_path))
        new.mkdir()
        for folder in (new, kept):
            (folder / "weights").touch()
        (kept / "weights").chmod(0o600)
        let_others_read(kept)
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    for one, other in ((new, kept), (new / "weights", kept / "weights")):
        assert one.stat().st_mode == other.stat().st_mode
