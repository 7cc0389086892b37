import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from eval.figures import Figure, Target
from eval.functional.bootstrap import Estimate
from eval.report.loss_curve import LossCurve
from eval.report.page import Page, render
from eval.report.panoramas import Note, PanoramaCard
from eval.report.pictures import data_uri
from eval.testing import parsed_page
from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.heldout.walks import Geometry

HOSTILE = '<script>alert("x")</script> & <img src=x onerror=alert(1)>'


def _page(direction: Direction = "right", text: str = HOSTILE) -> Page:
    geometry = Geometry(direction, 16, 8)
    shape = (16, 32, 3) if geometry.horizontal else (32, 16, 3)
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    card = PanoramaCard(
        key=text,
        global_caption=text,
        captions=["start", text, "second"],
        pictures=[("real", picture), (text, picture[::-1].copy())],
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


def test_hostile_text_stays_text_everywhere() -> None:
    html = render(_page())
    assert "script" not in parsed_page(html).tags
    assert HOSTILE not in html
    assert html.count("&lt;script&gt;") >= 10


@pytest.mark.parametrize("direction", ["left", "right", "up", "down"])
def test_page_needs_no_other_file(direction: Direction) -> None:
    parser = parsed_page(render(_page(direction, "plain")))
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


def test_a_page_shows_what_there_is_alone() -> None:
    bare = replace(_page(), cards=(), pictures=(), loss=None, figures=[])
    assert re.findall(r"<h2>([^<]+)</h2>", render(_page())) == [
        "Figures",
        "Panoramas",
        "Pictures",
        "Step by step",
        "Training loss",
        "Definitions",
        "How it was made",
    ]
    assert re.findall(r"<h2>([^<]+)</h2>", render(bare)) == ["Figures", "How it was made"]


def test_pictures_come_through_unchanged() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    decoded = Image.open(io.BytesIO(base64.b64decode(data_uri(picture).split(",")[1])))
    np.testing.assert_array_equal(np.asarray(decoded), picture)
