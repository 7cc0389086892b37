"""From the files of runs to one table."""

import csv
import html.parser
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image
from scipy import stats

from slurm.cell import run_stage
from slurm.collect import collect
from slurm.dashboard import dashboard
from slurm.intervals import student_quantile, summarise
from slurm.plot import COLOURS, curves_plot
from slurm.record import Cell, Record, load_record, make_record, merged, save_record
from slurm.results import gather, read_values
from slurm.sweep_file import load_sweep

SWEEP = """
base: base.yaml
grid: {captions: {"with": {}, without: {model.dropout.text: 1.0}}}
seeds: [0, 1, 2]
evaluate: python -m eval run --out {run}/eval
report: [val/loss, seam]
"""


def write_run(record: Record, cell: Cell, losses: list[float], seam: float | None) -> None:
    run_dir = record.run_dir(cell)
    run_dir.mkdir(parents=True)
    (run_dir / "run.json").write_text('{"finished_at_step": 4}')
    rows = "".join(f"{step},{loss},,\n" for step, loss in enumerate(losses))
    (run_dir / "metrics.csv").write_text(f"step,train/loss,val/loss,epoch\n{rows}3,,{losses[-1] / 2},0\n")
    if seam is not None:
        (run_dir / "eval").mkdir()
        figure = {"name": "seam <score>", "unit": "plain", "value": seam}
        (run_dir / "eval" / "metrics.json").write_text(json.dumps({"figures": {"seam": figure}}))


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Six cells; one has no evaluation and one nothing."""
    path = tmp_path / "toy.yaml"
    path.write_text(SWEEP)
    sweep = load_sweep(path)
    record = make_record(sweep, path, tmp_path / "sweep", sweep.seeds)
    save_record(record)
    for number, cell in enumerate(record.cells[:5]):
        write_run(record, cell, [4.0, 3.0, 2.0, 1.0 + number], None if number == 4 else 1.0 + number)
    return record


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 30, 101])
@pytest.mark.parametrize("probability", [0.5, 0.9, 0.975])
def test_quantiles_are_those_of_scipy(probability: float, freedom: int) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), abs=1e-9)


def test_the_interval_is_that_of_scipy() -> None:
    values = [0.3, 0.5, 0.42, 0.61]
    low, high = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / 4, scale=stats.sem(values))
    summary = summarise(values)
    assert (summary.low, summary.high) == pytest.approx((low, high))


def test_one_run_has_no_interval() -> None:
    assert summarise([2.0]) == (2.0, None, 1)


def test_values_are_the_end_of_the_curves_and_the_figures(record: Record) -> None:
    assert read_values(record.run_dir(record.cells[0])) == {"train/loss": 1.0, "val/loss": 0.5, "seam": 1.0}


def test_a_row_is_a_combination_over_its_seeds(record: Record) -> None:
    first, second = gather(record).rows
    assert (first.name, first.values) == ("with", {"val/loss": [0.5, 1.0, 1.5], "seam": [1.0, 2.0, 3.0]})
    assert first.summaries["seam"] == summarise([1.0, 2.0, 3.0])
    assert second.values == {"val/loss": [2.0, 2.5], "seam": [4.0]}


def test_missing_cells_are_named(record: Record) -> None:
    assert gather(record).missing == ["without-seed1 (lacks evaluate)", "without-seed2 (lacks train, evaluate)"]


def test_a_run_that_still_trains_does_not_count(record: Record) -> None:
    (record.run_dir(record.cells[0]) / "run.json").write_text("{}")
    results = gather(record)
    assert results.rows[0].values["val/loss"] == [1.0, 1.5]
    assert results.missing[0] == "with-seed0 (lacks train)"


def test_collect_writes_table_csv_markdown_and_plot(record: Record) -> None:
    text = collect(record)
    assert "without-seed2 (lacks train, evaluate)" in text
    with (record.directory / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert (rows[1]["captions"], rows[1]["figure"], float(rows[1]["mean"]), rows[1]["runs"]) == (
        "with",
        "seam",
        2.0,
        "3",
    )
    assert math.isclose(float(rows[1]["high_95"]) - 2.0, stats.t.ppf(0.975, 2) / math.sqrt(3))
    drawn = ElementTree.parse(record.directory / "results.svg")
    told = [mark.text for mark in drawn.iter("{http://www.w3.org/2000/svg}title")]
    results = gather(record)
    cells = [f"{row.name}: {results.cell(row, figure)}" for figure in results.figures for row in results.rows]
    assert told == cells, "tooltips of the means"
    assert "| with | 3 |" in (record.directory / "results.md").read_text()


def test_an_unknown_figure_is_refused_with_those_there_are(record: Record) -> None:
    with pytest.raises(ValueError, match="'seams'; there are seam, train/loss, val/loss"):
        collect(record, ["seams"])


def test_the_page_holds_everything_and_loads_nothing(record: Record) -> None:
    samples = record.run_dir(record.cells[0]) / "samples"
    samples.mkdir()
    Image.new("RGB", (4, 4)).save(samples / "step-0000004.png")
    dashboard(record)
    page = (record.directory / "dashboard.html").read_text()
    tags: list[tuple[str, dict[str, str | None]]] = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append((tag, dict(attrs)))  # type: ignore[method-assign]
    parser.feed(page)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in tags}
    sources = [attributes["src"] for _, attributes in tags if "src" in attributes]
    assert len(sources) == 1
    assert str(sources[0]).startswith("data:image/png;base64,")
    assert "seam &lt;score&gt;" in page
    assert "<score>" not in page
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page)


def test_curves_have_a_colour_and_a_name_each_and_higher_values_stand_higher() -> None:
    curves = {f"<{index}>": [(0, 0.1 * index), (10, 1.0)] for index in range(9)}
    drawn = ElementTree.fromstring(curves_plot("a & b", curves))
    lines = drawn.findall(".//{*}polyline")
    assert [line.findtext("{*}title") for line in lines] == list(curves)
    assert [line.get("stroke") for line in lines] == [*COLOURS, COLOURS[0]]
    starts = [float(line.get("points", "").split()[0].split(",")[1]) for line in lines]
    assert starts == sorted(starts, reverse=True)
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "a & b"
    assert {"step", "0", "10", "<0>", "<7>"} <= set(texts)
    assert "nothing to draw" in curves_plot("a", {})


def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert load_record(record.directory) == record


def test_more_seeds_come_behind_and_keep_the_old_numbers(record: Record, tmp_path: Path) -> None:
    sweep = load_sweep(tmp_path / "toy.yaml")
    more = merged(make_record(sweep, tmp_path / "toy.yaml", record.directory, [0, 7]))
    assert [cell.name for cell in more.cells] == [*(cell.name for cell in record.cells), "with-seed7", "without-seed7"]


def test_other_settings_in_the_same_directory_are_refused(record: Record, tmp_path: Path) -> None:
    sweep = load_sweep(tmp_path / "toy.yaml")
    with pytest.raises(ValueError, match="holds the run with-seed0 of other settings"):
        merged(make_record(sweep, tmp_path / "toy.yaml", record.directory, [0], ["--data.batch_size=3"]))


def test_other_axes_in_the_same_directory_are_refused(record: Record, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(SWEEP.replace("grid: {", "grid: {data.batch_size: [1, 2], "))
    sweep = load_sweep(tmp_path / "toy.yaml")
    with pytest.raises(ValueError, match=r"other axes \(captions; the file has data.batch_size and captions\)"):
        merged(make_record(sweep, tmp_path / "toy.yaml", record.directory, [0]))


def test_what_is_not_trained_to_its_end_is_not_scored(record: Record, capsys: pytest.CaptureFixture) -> None:
    cell = record.cells[5]
    assert run_stage(record, cell, "evaluate") == 1
    assert f"{cell.name} is not trained to its end" in capsys.readouterr().err


def test_a_row_that_was_torn_is_left_out_and_a_damaged_one_is_named(record: Record) -> None:
    path = record.run_dir(record.cells[0]) / "metrics.csv"
    whole = path.read_text()
    path.write_text(whole + "4,,0.")
    assert read_values(path.parent)["val/loss"] == 0.5
    path.write_text(whole + "4,,-,0\n")
    with pytest.raises(ValueError, match=r"metrics\.csv must hold numbers"):
        read_values(path.parent)


@pytest.mark.parametrize("end", [math.nan, math.inf])
def test_a_run_that_diverged_does_not_count_with_its_last_good_value(record: Record, end: float) -> None:
    cell = record.cells[0]
    (record.run_dir(cell) / "metrics.csv").write_text(
        f"step,train/loss,val/loss,epoch\n1,0.5,0.4,0\n2,0.3,0.25,0\n3,{end},{end},0\n"
    )
    assert not {"train/loss", "val/loss"} & read_values(record.run_dir(cell)).keys()
    assert f"{cell.name} (lacks val/loss, which ended as {end})" in gather(record).missing
