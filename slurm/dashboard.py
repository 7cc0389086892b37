"""``python -m slurm dashboard``: one self-contained HTML page of a sweep, and the same as a W&B report when online."""

import base64
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lit_outpaint.system.files import written_whole
from lit_outpaint.system.templates import template
from lit_outpaint.training.logger import WANDB_ID_NAME, read_wandb_id
from slurm.collect import markdown, missing_line, table
from slurm.plot import curves_plot, plot
from slurm.record import Record
from slurm.results import Results, combinations, gather, read_curves

PAGE_NAME: Final = "dashboard.html"
CURVES: Final = ("train/loss", "val/loss")
SAMPLES_KEY: Final = "val/samples"
MAX_POINTS: Final = 200


def dashboard(record: Record, *, online: bool = False) -> str:
    """Write the page; online, build the report too.

    Args:
        record: the sweep.
        online: whether W&B is asked to keep a report.

    Returns:
        Where they are.

    Raises:
        ValueError: W&B cannot be used; the page is written before.
    """
    results = gather(record)
    path = record.directory / PAGE_NAME
    with written_whole(path) as draft:
        draft.write_text(page(record, results), encoding="utf-8")
    return f"written: {path}" + (f"\nonline: {save_report(record, results)}" if online else "")


def page(record: Record, results: Results) -> str:
    """Table, missing cells, plots, training curves and the newest samples of every run."""
    headers, *rows = table(results)
    return template("slurm", "dashboard.html").render(
        record=record,
        missing=missing_line(results),
        headers=headers,
        rows=rows,
        plot=plot(results),
        training=[curves_plot(name, curves(record, name)) for name in CURVES],
        samples=_samples(record),
        figures=[(name, results.titles.get(name, name)) for name in results.figures],
    )


def curves(record: Record, name: str) -> dict[str, list[tuple[int, float]]]:
    """One figure over the steps for each combination: the run under the first seed that has it, thinned."""
    found = {}
    for combination, cells in combinations(record.cells).items():
        for cell in cells:
            if curve := read_curves(record.run_dir(cell) / "metrics.csv").get(name):
                found[combination] = curve[:: -(-len(curve) // MAX_POINTS)]
                break
    return found


def build_report(record: Record, results: Results, project: str, entity: str) -> Any:
    """The W&B report of a sweep, not yet saved.

    Raises:
        ValueError: the package wandb-workspaces is missing.
    """
    try:
        reports = importlib.import_module("wandb_workspaces.reports.v2")
    except ModuleNotFoundError as error:
        raise ValueError(
            "a W&B report needs the package wandb-workspaces; install it, or leave --online out"
        ) from error
    panels = [
        *(reports.LinePlot(x="trainer/global_step", y=[name]) for name in CURVES),
        *(reports.BarPlot(metrics=[_wandb_key(name)]) for name in results.figures),
        reports.MediaBrowser(media_keys=[SAMPLES_KEY, "eval/report"]),
    ]
    group = record.name.replace('"', "")
    runs = reports.Runset(entity=entity, project=project, name=record.name, filters=f'Metric("Group") == "{group}"')
    return reports.Report(
        project=project,
        entity=entity,
        title=f"Sweep {record.name}",
        blocks=[
            reports.MarkdownBlock(text=markdown(record, results)),
            reports.PanelGrid(runsets=[runs], panels=panels),
        ],
    )


def save_report(record: Record, results: Results) -> str:
    """Build the report where the runs are logged, and return its address.

    Raises:
        ValueError: no run logs to W&B, or W&B cannot be reached or refuses.
    """
    files = [record.run_dir(cell) / WANDB_ID_NAME for cell in record.cells]
    logged = [path for path in files if path.is_file()]
    if not logged:
        raise ValueError("no run of the sweep logs to W&B; sweep with --wandb PROJECT, then wandb sync its runs")
    import wandb

    try:
        entity = wandb.Api().default_entity
        report = build_report(record, results, read_wandb_id(logged[0])[1], entity or "")
        report.save()
    except (wandb.Error, OSError) as error:
        raise ValueError(f"W&B must be reachable and logged in to: {error}; the local page is written") from error
    return str(report.url)


def _wandb_key(figure: str) -> str:
    """How a figure is called among the values of a run: `wandb_results` puts those of the evaluation under eval/."""
    return figure if "/" in figure else f"eval/{figure}"


def _samples(record: Record) -> Iterator[tuple[str, str, str]]:
    """Name, step and newest picture of every run that has one."""
    for cell in record.cells:
        pictures = sorted((record.run_dir(cell) / "samples").glob("step-*.png"))
        if pictures:
            yield cell.name, pictures[-1].stem, data_uri(pictures[-1])


def data_uri(path: Path) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
