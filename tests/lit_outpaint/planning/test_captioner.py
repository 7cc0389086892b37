import pytest
from PIL import Image

from lit_outpaint.canvas.geometry import Box
from lit_outpaint.planning.captioner import LayoutCaptioner
from lit_outpaint.planning.layout import plan_layout
from lit_outpaint.planning.local import Layout, local_caption
from lit_outpaint.protocols import Captioner, CaptionError

CAPTION = "a wide view at dusk: a lake with a red lighthouse, and a desert with a cactus"
PLAN = plan_layout(CAPTION, Box(0, 0, 1024, 128), 128, image_box=Box(0, 0, 128, 128))


def window_of(step: int) -> Box:
    return Box(64 + 64 * step, 0, 192 + 64 * step, 128)


def test_a_layout_writes_the_captions_of_steps() -> None:
    captioner = LayoutCaptioner(PLAN, window_of)
    assert isinstance(captioner, Captioner)
    assert isinstance(PLAN, Layout)
    for step in (5, 0, 12):
        written = captioner.next_local(
            view=None, direction="right", global_caption=CAPTION, previous=["x"], seen=[], step=step
        )
        assert written == (local_caption(PLAN, window_of(step)), "layout", "")


def test_its_identity_is_the_layout() -> None:
    other = plan_layout(CAPTION, Box(0, 0, 2048, 128), 128, image_box=Box(0, 0, 128, 128))
    one, two = (
        LayoutCaptioner(PLAN, window_of).identity("next_local"),
        LayoutCaptioner(other, window_of).identity("next_local"),
    )
    assert one != two
    assert one["sees"] is False


def test_it_writes_nothing_else() -> None:
    captioner = LayoutCaptioner(PLAN, window_of)
    for ask in (
        lambda: captioner.imagine("a", 2),
        lambda: captioner.summarise(["a"]),
        lambda: captioner.describe(Image.new("RGB", (8, 8))),
    ):
        with pytest.raises(CaptionError):
            ask()
