from pathlib import Path

import numpy as np
import pytest

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.plan import parse_plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.drawing.caption_queue import CaptionQueue
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.drawing.lay_out import lay_out


@pytest.fixture
def queue(tmp_path: Path) -> CaptionQueue:
    """Of two steps that have no caption yet."""
    (tmp_path / "canvas").mkdir()
    canvas = Canvas.create(tmp_path / "canvas", np.zeros((64, 64, 3), np.uint8))
    graph = lay_out(parse_plan("right:2"), Box(0, 0, 64, 64), OutpainterConfig(), 64)
    return CaptionQueue(RuleCaptioner(), graph, canvas, "a meadow and a lake", {}, None)


def test_captions_written_ahead_are_read_back_and_a_torn_line_is_written_again(
    queue: CaptionQueue, tmp_path: Path
) -> None:
    path = tmp_path / "captions.jsonl"
    own = b'{"step": 0, "text": "a red barn", "writer": "me", "instead_of": ""}\n'
    path.write_bytes(own + b'{"step": 1, "te')
    with queue:
        queue.write_all(path, lambda: False)
        assert [caption.text for caption in queue.take([0])] == ["a red barn"]
    assert path.read_bytes().startswith(own + b'{"step": 1, "text": "')


@pytest.mark.parametrize(
    "line", ["xx", "3", '{"step": 0}', '{"text": "a", "writer": "b"}', '{"step": 0, "text": 1, "writer": "b"}']
)
def test_a_damaged_line_is_named(queue: CaptionQueue, tmp_path: Path, line: str) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_text(f"{line}\n")
    with queue, pytest.raises(ValueError, match=r"captions\.jsonl:1 must be the caption of a step"):
        queue.write_all(path, lambda: False)
