"""What a sweep file may say, and that those of the repository would run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from slurm.check import check_cells
from slurm.record import Cell, make_record
from slurm.sweep_file import Sweep, flow, load_sweep

ROOT = Path(__file__).resolve().parents[2]
SWEEPS = sorted((ROOT / "experiments" / "sweeps").glob("*.yaml"))
SHIPPED = [
    (path, world) for path in SWEEPS for world in ["scapes", *(yaml.safe_load(path.read_text()).get("worlds") or {})]
]


def sweep_of(tmp_path: Path, text: str, world: str = "scapes") -> Sweep:
    path = tmp_path / "toy.yaml"
    path.write_text(text)
    return load_sweep(path, world)


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        sweep_of(tmp_path, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_every_label(cells: Sequence[Cell]) -> list[Cell]:
    """Cells among which each value of each axis is found: the product of two axes takes minutes to parse."""
    found, kept = set[tuple[str, str]](), []
    for cell in cells:
        if not found.issuperset(cell.labels.items()):
            found |= set(cell.labels.items())
            kept.append(cell)
    return kept


@pytest.mark.parametrize(("path", "world"), SHIPPED, ids=lambda value: getattr(value, "stem", value))
def test_every_setting_of_a_shipped_sweep_parses_on_the_real_command_lines(
    path: Path, world: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    sweep = load_sweep(path.relative_to(ROOT), world)
    record = make_record(sweep, path, tmp_path, sweep.seeds)
    check_cells(replace(record, cells=with_every_label(record.cells)))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_shipped_sweep_names_command_cost_and_expectation(path: Path) -> None:
    head = path.read_text().split("\nbase:")[0].split("\ngrid:")[0]
    assert f"python -m slurm sweep experiments/sweeps/{path.name}" in head
    assert "Cost" in head
    assert "Expected:" in head


def test_cells_are_the_product_of_the_axes(tmp_path: Path) -> None:
    sweep = sweep_of(
        tmp_path,
        "base: a.yaml\nsettings: {model.ema.decay: 0.9, data.batch_size: 4}\n"
        "grid: {data.batch_size: [8, 16], drop: {'no': {}, 'yes': {model.dropout.text: 1.0, model.dropout.both: 0}}}\n",
    )
    assert [choice.name for choice in sweep.choices()] == ["8-no", "8-yes", "16-no", "16-yes"]
    assert sweep.choices()[1].settings == {
        "model.ema.decay": 0.9,
        "data.batch_size": 8,
        "model.dropout.text": 1.0,
        "model.dropout.both": 0,
    }


def test_a_world_replaces_keys(tmp_path: Path) -> None:
    text = "base: a.yaml\nseeds: [3]\nworlds: {coco: {base: b.yaml, seeds: [0, 1]}}\n"
    there = sweep_of(tmp_path, text, "coco")
    assert (there.name, there.base, there.seeds) == ("toy-coco", ("b.yaml",), (0, 1))
    assert sweep_of(tmp_path, text).name == "toy"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("grid: [1]\nbase: a.yaml", "grid must map"),
        ("gird: {}\nbase: a.yaml", "'gird'"),
        ("base: a.yaml\nseeds: [1, 1]", "seeds"),
        ("base: a.yaml\nseeds: [one]", "seeds"),
        ("base: a.yaml\nsettings: {data.seed: 3}", "data.seed"),
        ("base: a.yaml\ngrid: {data.mask_ratio: [0.5, 0.5]}", "different values"),
        ("base: a.yaml\ngrid: {data.directions: [[left], [right]]}", "label"),
        ("base: a.yaml\ngrid: {data.shards: [../../etc]}", "label"),
        ("base: a.yaml\ngrid: {drop: {no: {}, yes: {}}}", "quotes"),
        ("base: a.yaml\nevaluate: rm -rf /", "python -m"),
        ("base: a.yaml\nevaluate: python -m eval run --out {home}", "{home}"),
        ("base: a.yaml\nevaluate: python -m eval 'run", "No closing quotation"),
        ("base: a.yaml\nevaluate: python -m eval run --out {run}/scores", "must write to {run}/eval"),
        ("base: a.yaml\nevaluate: python -m eval run --out=runs/scores", "must write to {run}/eval"),
        ("base: a.yaml\ngrid: {a: {1: {}, '1': {}}}", "one label twice"),
        ("base: a.yaml\ngrid: {evaluate.steps: [1, 2]}", "evaluates nothing"),
        ("evaluate: python -m eval run\ngrid: {data.mask_ratio: [0.5]}", "trains nothing"),
        ("seeds: [0]", "base to train"),
        ("- a\n- b", "mapping"),
        ("a: [", "YAML"),
    ],
)
def test_what_no_sweep_may_say_is_refused_in_one_line(tmp_path: Path, text: str, names: str) -> None:
    assert names in refusal(tmp_path, text)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_bytes(b"base: \xff.yaml")
    with pytest.raises(ValueError, match=r"sweep\.yaml must be YAML"):
        load_sweep(path)


@pytest.mark.parametrize("value", [1, 0.5, True, None, "full", [1, 2], {"a": [0.1, None]}])
def test_values_reach_the_command_line_as_they_are(value: object) -> None:
    assert "\n" not in flow(value)
    assert yaml.safe_load(flow(value)) == value


def test_braces_that_are_no_places_are_left_alone(tmp_path: Path) -> None:
    command = "python -m eval run --out {run}/eval --sampling '{num_inference_steps: 4}' --seed {seed}"
    text = f'evaluate: "{command}"\n'
    (cell,) = make_record(sweep_of(tmp_path, text), tmp_path / "toy.yaml", tmp_path, (3,)).cells
    place = str(tmp_path / cell.name / "eval")
    assert cell.evaluate is not None
    assert cell.evaluate[-6:] == ["--out", place, "--sampling", "{num_inference_steps: 4}", "--seed", "3"]
    varied = 'evaluate: "python -m eval run --sampling {}"\nsettings: {evaluate.data: "{run}/d"}\n'
    (cell,) = make_record(sweep_of(tmp_path, varied), tmp_path / "toy.yaml", tmp_path, (3,)).cells
    assert cell.evaluate is not None
    assert cell.evaluate[-2:] == ["{}", f"--data={tmp_path / cell.name / 'd'}"]


def test_worlds_that_are_no_mapping_are_refused_and_an_empty_one_is_the_file(tmp_path: Path) -> None:
    assert "worlds must map names" in refusal(tmp_path, "worlds: [tiny]\nevaluate: python -m eval run\n")
    assert sweep_of(tmp_path, "worlds: {tiny: }\nevaluate: python -m eval run\n", "tiny").name == "toy-tiny"
