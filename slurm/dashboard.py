"""``python -m slurm dashboard``: one self-contained HTML page of a sweep, and the same as a W&B report when online."""

import base64
import importlib
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from lit_outpaint.system.files import written_whole
from lit_outpaint.training.logger import WANDB_ID_NAME, read_wandb_id
from slurm.collect import markdown, missing_line, table
from slurm.plot import curves_plot, plot
from slurm.record import Cell, Record
from slurm.results import Results, combinations, gather, read_curves

PAGE_NAME: Final = "dashboard.html"
CURVES: Final = ("train/loss", "val/loss")
SAMPLES_KEY: Final = "val/samples"
MAX_POINTS: Final = 200
# Nothing but the page's own pictures may load, whatever a label or a file name holds.
POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE: Final = """
body { margin: 0 auto; padding: 24px; max-width: 1100px; font: 15px/1.5 system-ui, sans-serif; color: #1c2733; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 18px; margin: 32px 0 8px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid #dde3e9; white-space: nowrap; }
svg { max-width: 100%; height: auto; } .note { color: #5c6b7a; } .runs { display: flex; flex-wrap: wrap; gap: 18px; }
figure { margin: 0; } figure img { max-width: 330px; display: block; } figcaption { font-size: 13px; color: #5c6b7a; }
"""


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
    head, *rows = table(results)
    body = [
        f"<h1>Sweep {escape(record.name)}</h1>",
        f'<p class="note">{escape(record.source)}, world {escape(record.world)}, {len(record.cells)} cells; '
        f"{escape(missing_line(results))}.</p>",
        f'<div class="wide"><table><tr>{_cells("th", head)}</tr>',
        *(f"<tr>{_cells('td', row)}</tr>" for row in rows),
        "</table></div>",
        '<p class="note">Mean over runs, with half of the 95 % Student interval of the mean; dots are runs.</p>',
        plot(results),
        "<h2>Training</h2>",
        *(curves_plot(name, curves(record, name)) for name in CURVES),
        "<h2>Newest samples</h2>",
        '<p class="note">Masked input, prediction, target.</p><div class="runs">',
        *(_samples(record, cell) for cell in record.cells),
        "</div>",
        "<h2>Figures</h2><dl>",
        *(f"<dt>{escape(name)}</dt><dd>{escape(results.titles.get(name, name))}</dd>" for name in results.figures),
        "</dl>",
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Sweep {escape(record.name)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
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


def _cells(tag: str, texts: Sequence[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)


def _samples(record: Record, cell: Cell) -> str:
    pictures = sorted((record.run_dir(cell) / "samples").glob("step-*.png"))
    if not pictures:
        return ""
    return (
        f'<figure><img alt="samples of {escape(cell.name)}" src="{data_uri(pictures[-1])}">'
        f"<figcaption>{escape(cell.name)}, {escape(pictures[-1].stem)}</figcaption></figure>"
    )


def data_uri(path: Path) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
