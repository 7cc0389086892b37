import json
from pathlib import Path

from eval.outputs import begin_outputs


def test_pictures_of_others_stay_where_a_run_begins(tmp_path: Path) -> None:
    rows = [{"image": "mine.png", "caption": "a lake"}, {"caption": "no picture"}]
    rows.append({"image": "drawn.png", "caption": "a lake", "made_by": "eval run"})
    (tmp_path / "captions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "pictures").mkdir()
    for name in ("mine.png", "drawn.png"):
        (tmp_path / "pictures" / name).touch()
    begin_outputs(tmp_path)
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["mine.png"]
