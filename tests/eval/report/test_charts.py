import xml.etree.ElementTree as ElementTree

from eval.report.charts import HEIGHT, WIDTH, Chart, Line, charts


def _drawn(*lines: Line, target: float | None = None, top: float | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{charts([Chart('a <chart>', lines, 'a & b', top, target)])}</div>")


def test_points_stay_inside_and_higher_values_stand_higher() -> None:
    drawn = _drawn(Line("a", "drawn", [1, 2, 3], [0.2, 0.8, 0.5]), top=1.0, target=0.9)
    points = [(float(each.get("cx", "")), float(each.get("cy", ""))) for each in drawn.iter("circle")]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert points[0][1] > points[2][1] > points[1][1]
    (target,) = (float(each.get("y1", "")) for each in drawn.iter("line") if each.get("class") == "target")
    assert target < points[1][1]


def test_axes_say_what_they_count() -> None:
    texts = [each.text for each in _drawn(Line("a", "drawn", [2, 8], [0.0, 1.0])).iter("text")]
    assert texts == ["0", "0.5", "1", "2", "8", "a & b"]


def test_curve_breaks_where_nothing_was_asked() -> None:
    drawn = _drawn(Line("a", "drawn", range(5), [1.0, 2.0, None, 3.0, 4.0]))
    assert [len(each.get("points", "").split()) for each in drawn.iter("polyline")] == [2, 2]
    assert [each.text for each in drawn.iter("title")] == ["a, 0: 1", "a, 1: 2", "a, 3: 3", "a, 4: 4"]


def test_long_curves_are_lines_alone() -> None:
    drawn = _drawn(Line("a", "drawn", range(41), [1.0] * 41))
    assert not list(drawn.iter("circle"))


def test_curve_without_values_says_so() -> None:
    drawn = _drawn(Line("a", "drawn", [1], [None]))
    assert drawn.findtext(".//p") == "nothing to draw"
    assert drawn.findtext(".//figcaption") == "a <chart>"


def test_labels_are_texts() -> None:
    page = charts([Chart("t", [Line("<b>", "run2", [1], [1.0])], "<b>")], [("<b>", "run2"), ("goal", "target")], "<b>.")
    drawn = ElementTree.fromstring(f"<div>{page}</div>")
    assert not list(drawn.iter("b"))
    assert drawn.findtext(".//title") == "<b>, 1: 1"
    keys = drawn.findall(".//span")
    assert ["".join(key.itertext()).strip() for key in keys] == ["<b>", "goal"]
    assert [len(key.findall(".//path")) for key in keys] == [1, 0]
