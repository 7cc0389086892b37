"""Reports of finished runs, made of their files alone."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from eval.cli import main
from eval.finished import read_run
from eval.report.charts import RUN_STYLES
from eval.testing import parsed_page, write_toy_run

HOSTILE = "<script>alert(1)</script> & <b>bold</b>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs on the same panoramas; read only."""
    root = tmp_path_factory.mktemp("runs")
    return [write_toy_run(root / "one", caption=HOSTILE), write_toy_run(root / "two", 0.5, caption=HOSTILE)]


def _report(out: Path, *runs: Path, names: str | None = None) -> tuple[str, str]:
    """The page and the Markdown."""
    given = [] if names is None else ["--names", names]
    assert main(["report", *map(str, runs), "--out", str(out), *given]) == 0
    assert sorted(path.name for path in out.iterdir() if path.suffix in (".html", ".md")) == [
        "metrics.md",
        "report.html",
    ]
    return (out / "report.html").read_text(), (out / "metrics.md").read_text()


def test_what_a_run_tells_is_read_back(runs: list[Path]) -> None:
    run = read_run(runs[0])
    told = json.loads((runs[0] / "metrics.json").read_text())
    assert {key: figure.as_json() for key, figure in run.figures.items()} == told["figures"]
    assert run.record.model_dump(mode="json") == {key: told[key] for key in run.record.model_dump()}


def test_the_page_of_one_run_is_its_own(runs: list[Path], tmp_path: Path) -> None:
    page, table = _report(tmp_path / "out", runs[0])
    assert page == (runs[0] / "report.html").read_text()
    assert table == (runs[0] / "metrics.md").read_text()
    moved = shutil.copytree(runs[0], tmp_path / "moved")
    (moved / "report.html").unlink()
    assert _report(moved, moved)[0] == page


def test_several_runs_have_a_column_each_beside_the_real_one(runs: list[Path], tmp_path: Path) -> None:
    page, table = _report(tmp_path / "out", *runs, names="<i>ours</i>,theirs")
    lines = [line for line in table.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert rows[0] == ["figure", "target", "real", "<i>ours</i>", "theirs"]
    assert rows[2] == ["time kept", ">= 50.0 %", "100.0 %", "50.0 % (25.0 .. 75.0)", "45.0 % (25.0 .. 75.0), MISSED"]
    assert rows[3] == ["<b>seam</b> \\| joint", "-", "1.000", "2.000 (1.500 .. 2.500)", "2.500 (1.500 .. 2.500)"]
    assert ["is.n6", "-", "1.000", "3.000", "3.500"] in rows
    assert ["fid.n6", "-", "1.000", "not computed", "not computed"] in rows
    assert "<i>ours</i>, theirs: not computed: fid.n6: too few." in table
    assert all(f"How {key} is made." in table for key in ("kept", "seam", "is", "fid"))
    assert ["<b>seam</b> \\| joint", "real", "1.000", "2.000"] in rows
    assert ["", "theirs", "1.500", "2.500"] in rows
    assert "&lt;i&gt;ours&lt;/i&gt;" in page


def test_differences_are_those_of_compare(runs: list[Path], tmp_path: Path) -> None:
    table = _report(tmp_path / "out", *runs)[1]
    assert main(["compare", *map(str, runs), "--out", str(tmp_path / "compared")]) == 0
    compared = (tmp_path / "compared" / "comparison.md").read_text().split("## ")
    (paired,) = (part for part in compared if part.startswith("Paired differences"))
    assert "| <b>seam</b> \\| joint | two | 2.000 | 2.500 | +0.500 | 0.500 .. 0.500 | too few | 3 / 6 |" in paired
    assert f"## {paired}" in table


def test_pages_hold_all_pictures_and_no_markup_of_texts(runs: list[Path], tmp_path: Path) -> None:
    html = _report(tmp_path / "out", *runs)[0]
    page = parsed_page(html)
    assert len(page.sources) == 2 * 3, "real, one and two of each of the shown panoramas"
    assert len(set(page.sources)) == 2 * 2, "both drew the same"
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not {"script", "link"} & set(page.tags)
    assert HOSTILE not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_lines_differ_in_more_than_colour(runs: list[Path], tmp_path: Path) -> None:
    six = [*runs, *(shutil.copytree(runs[0], tmp_path / f"copy{index}") for index in range(4))]
    html = _report(tmp_path / "out", *six)[0]
    chart = re.findall(r'<figure class="chart">.*?</figure>', html, re.DOTALL)[0]
    marks = {style: re.search(rf'<(?:circle|path) class="{style}"(?: d="([^"]*)")?', chart) for style in RUN_STYLES}
    shapes = [found[1] for found in marks.values() if found]
    assert len(set(shapes)) == len(RUN_STYLES) == 6
    dashes = re.findall(r"polyline\.(?:run\d|truth) \{[^}]*stroke-dasharray: ([^;]+);", html)
    assert len(set(dashes)) == 6


def test_runs_that_cannot_be_paired_are_shown_and_it_says_why(runs: list[Path], tmp_path: Path) -> None:
    other = write_toy_run(tmp_path / "other", 0.5, {"sampling": {"seed": 1}}, caption="elsewhere")
    page, table = _report(tmp_path / "out", runs[0], other)
    assert "None: runs must share --sampling.seed, got 0 in one and 1 in other." in table
    assert "| is.n6 | - | 1.000 | 3.000 | 3.500 |" in table
    assert "<img" not in page, "none was drawn from the same inputs"
    assert "2 panoramas are left out" in page


def test_a_figure_of_another_name_has_a_row_of_its_own(runs: list[Path], tmp_path: Path) -> None:
    other = shutil.copytree(runs[1], tmp_path / "other")
    content = json.loads((other / "metrics.json").read_text())
    content["figures"]["is"]["name"] = "is.n12"
    (other / "metrics.json").write_text(json.dumps(content))
    table = _report(tmp_path / "out", runs[0], other)[1]
    assert "| is.n6 | - | 1.000 | 3.000 | - |" in table
    assert "| is.n12 | - | 1.000 | - | 3.500 |" in table


def _without_real(run: Path) -> None:
    (run / "real" / "p2.png").unlink()


def _damaged(run: Path) -> None:
    (run / "pictures" / "p0.png").write_bytes(b"no picture")


def _older(run: Path) -> None:
    content = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(content | {"schema": 2}))


def _upwards(run: Path) -> None:
    content = json.loads((run / "metrics.json").read_text())
    content["geometry"]["direction"] = "up"
    (run / "metrics.json").write_text(json.dumps(content))


def _outside(run: Path) -> None:
    content = json.loads((run / "metrics.json").read_text())
    content["shown"][0]["key"] = "../../p0"
    (run / "metrics.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "several", "message"),
    [
        (_without_real, False, "must hold real/p2.png, which is missing; do that run again: python -m eval run --out"),
        (_damaged, False, "p0.png must be a readable picture"),
        (_damaged, True, "p0.png must be a readable picture"),
        (_older, False, "must have version 3, got 2; do that run again: python -m eval run --out"),
        (_older, True, "must have version 3, got 2"),
        (_upwards, True, "must share direction, window_px and stride_px, got right 16 8 in one and up 16 8 in spoilt"),
        (_outside, False, "keys of panoramas must do as names of files, got ../../p0"),
        (lambda run: (run / "metrics.json").unlink(), False, "holds no metrics.json"),
    ],
)
def test_bad_runs_get_one_line_and_leave_nothing(
    spoil: Callable[[Path], object],
    several: bool,
    message: str,
    runs: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoilt = shutil.copytree(runs[1], tmp_path / "spoilt")
    spoil(spoilt)
    given = [runs[0], spoilt] if several else [spoilt]
    assert main(["report", *map(str, given), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out").exists()


def test_what_does_not_go_on_one_page_is_refused(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = runs
    many = [shutil.copytree(one, tmp_path / f"copy{index}") for index in range(7)]
    out = ["--out", tmp_path / "out"]
    wrong = {
        "is given twice": [one, two, one / ".." / "one", *out],
        "at most 6 runs, got 7": [*many, *out],
        "--out must not be the directory of a run": [one, two, "--out", one],
        "--names must be 2 different names, one for each run, got a": [one, two, *out, "--names", "a"],
        "one for each run, got a,a": [one, two, *out, "--names", "a, a"],
    }
    before = (one / "report.html").read_bytes()
    for message, given in wrong.items():
        assert main(["report", *map(str, given)]) == 2
        assert message in capsys.readouterr().err
    assert main(["report", str(two), "--out", str(one)]) == 2, "a run's report is not another's"
    assert (one / "report.html").read_bytes() == before
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_browser_opens_the_page(runs: list[Path], tmp_path: Path, browse: Callable[..., bytes]) -> None:
    html = _report(tmp_path / "out", *runs)[0]
    # What loads marks itself, so that a picture or a chart that a browser cannot draw is missed.
    probe = (
        "<script>onload = () => { document.title = [...document.images].filter(each => each.naturalWidth == 32).length "
        "+ ',' + [...document.querySelectorAll('figure svg')].filter(each => each.getBBox().width > 200).length; }"
        "</script></body>"
    )
    page = tmp_path / "page.html"
    page.write_text(html.replace("</body>", probe))
    assert "<title>6,1</title>" in browse(page, "--dump-dom").decode()
