import json
from pathlib import Path

from lit_outpaint.canvas.journal import Journal

OLD = {
    "step": 0,
    "direction": "right",
    "window": [32, 0, 96, 64],
    "strip": [64, 0, 96, 64],
    "local_caption": "a lake",
    "global_caption": "a wide view: a lake",
    "caption_source": "rules",
    "truncated": {},
    "seed": 1,
    "seconds": 0.1,
    "checksum": "00",
}


def test_a_journal_from_before_captions_had_a_history_still_loads(tmp_path: Path) -> None:
    (tmp_path / "steps.jsonl").write_text(json.dumps(OLD) + "\n")
    (record,) = Journal(tmp_path / "steps.jsonl")
    assert (record.caption_instead_of, record.caption_similarity) == ("", None)
