import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from eval.figures import Figure, Target
from eval.functional.bootstrap import Estimate
from eval.report.loss_curve import LossCurve
from eval.report.page import Note, Page, PanoramaCard, data_uri, render
from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.rollout import Geometry

HOSTILE = '<script>alert("x")</script> & <img src=x onerror=alert(1)>'
VOID = {"meta", "img", "br", "line", "polyline"}


class Strict(HTMLParser):
    """Fails on tags that do not close in order; collects sources and tags."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _page(direction: Direction = "right", text: str = HOSTILE) -> Page:
    geometry = Geometry(direction, 16, 8)
    shape = (16, 32, 3) if geometry.horizontal else (32, 16, 3)
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    card = PanoramaCard(
        key=text,
        global_caption=text,
        captions=["start", text, "second"],
        real=picture,
        generated=picture[::-1].copy(),
        notes=[Note(text, text), Note("day", "")],
    )
    figure = Figure(
        key="a",
        title=text,
        definition=text,
        unit="percent",
        estimate=Estimate(0.5, 0.4, 0.6, 3, 6),
        real=Estimate(1, 1, 1, 3, 6),
        target=Target(">=", 0.9),
        curve=(0.4, None, 0.6),
        real_curve=(1.0, 1.0, 1.0),
    )
    return Page(
        title=text,
        subtitle=text,
        figures=[figure],
        facts={text: text},
        config=text,
        cards=[card],
        geometry=geometry,
        loss=LossCurve([1.0, 2.0], [0.5, 0.25]),
        pictures=[(text, picture)],
    )


def _parse(html: str) -> Strict:
    parser = Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def test_hostile_text_stays_text_everywhere() -> None:
    html = render(_page())
    assert "script" not in _parse(html).tags
    assert HOSTILE not in html
    assert html.count("&lt;script&gt;") >= 10


@pytest.mark.parametrize("direction", ["left", "right", "up", "down"])
def test_page_needs_no_other_file(direction: Direction) -> None:
    parser = _parse(render(_page(direction, "plain")))
    assert parser.sources
    assert all(source.startswith("data:image/png;base64,") for source in parser.sources)
    assert "link" not in parser.tags


@pytest.mark.parametrize(
    ("direction", "borders"),
    [
        ("right", ["left:50.0000%", "left:75.0000%"]),
        ("left", ["right:50.0000%", "right:75.0000%"]),
        ("down", ["top:50.0000%", "top:75.0000%"]),
        ("up", ["bottom:50.0000%", "bottom:75.0000%"]),
    ],
)
def test_borders_lie_where_steps_begin(direction: Direction, borders: list[str]) -> None:
    found = re.findall(r'<i style="([^"]+)"></i>', render(_page(direction, "plain")))
    assert found == borders * 2, "real and generated, two borders each"


def test_captions_of_a_canvas_that_grows_left_stand_from_right_to_left() -> None:
    html = render(_page("left", "first step"))
    assert html.index("second") < html.index("<b>1</b> first step") < html.index("<b>start</b>")


def test_pictures_come_through_unchanged() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    decoded = Image.open(io.BytesIO(base64.b64decode(data_uri(picture).split(",")[1])))
    np.testing.assert_array_equal(np.asarray(decoded), picture)
