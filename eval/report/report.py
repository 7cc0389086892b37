"""``python -m eval report``: pages of finished runs, made of their files alone."""

from dataclasses import dataclass, field
from pathlib import Path

from eval.files import METRICS_NAME, output_directory, write_text
from eval.finished import FinishedRun, read_runs
from eval.outputs import PAGE_NAME, TABLE_NAME
from eval.report.one_run import write_report
from eval.report.several_runs import sections_of
from eval.report.tables import tables_html, tables_markdown


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Which runs are shown."""

    runs: list[Path] = field(
        metadata={"many": "runs", "help": "Output directories of eval run: one, or up to six side by side."}
    )
    out: Path
    """Directory for report.html and metrics.md; where there is one run, its own may be named."""
    names: str | None = None
    """What several runs are called, with commas between; as their directories when absent."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("report needs at least one run; name a directory")


def report(config: ReportConfig, yaml: str = "") -> list[FinishedRun]:
    """Write the page and the Markdown.

    Args:
        config: what to do.
        yaml: not used; verbs share a signature.

    Returns:
        The runs that are shown.

    Raises:
        ValueError: a run cannot be read, runs do not fit on one page, or it would take the place of a run's own.
    """
    alone = len(config.runs) == 1 and config.out.resolve() == config.runs[0].resolve()
    if (config.out / METRICS_NAME).exists() and not alone:
        raise ValueError(
            f"--out must not be the directory of a run, whose own report would be lost, got {config.out}; name another"
        )
    names = [] if config.names is None else [name.strip() for name in config.names.split(",")]
    runs = read_runs(config.runs, names)
    with output_directory(config.out):
        if len(runs) == 1:
            write_report(runs[0], config.out)
        else:
            _write_several(runs, config.out)
    print(f"report of {', '.join(run.name for run in runs)}: {config.out / PAGE_NAME}")
    return runs


def _write_several(runs: list[FinishedRun], out: Path) -> None:
    sections = sections_of(runs)
    title, subtitle = " | ".join(run.name for run in runs), f"{len(runs)} runs of eval run, from their files"
    write_text(out / TABLE_NAME, tables_markdown(title, subtitle, sections))
    write_text(out / PAGE_NAME, tables_html(title, subtitle, sections))
