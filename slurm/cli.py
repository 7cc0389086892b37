"""The verbs of ``python -m slurm``.

Words behind ``--`` are arguments of ``fit``. Exit codes: 0 done, 1 a cell failed, 2 the input was at fault (one line on
stderr), 128 and the signal's number when one stopped a local sweep.
"""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final, Literal

from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings

from lit_outpaint.system.command_line import checked_words
from lit_outpaint.system.one_line import one_line
from slurm import record as records
from slurm.batch import Resources, render
from slurm.record import Record, Stage
from slurm.site import Site, read_site
from slurm.sweep_file import DEFAULT_WORLD, listed, load_sweep, with_seeds


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    try:
        words = checked_words(sys.argv[1:] if argv is None else argv)
        words, rest = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
        options = build_parser().parse_args([_underscored(word) for word in words])
        return _ACTIONS[options.verb](options[options.verb], rest)
    except SystemExit as stop:  # --help
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        print("slurm: interrupted; the same command continues with the cells that are missing", file=sys.stderr)
        return 130
    except (ValueError, OSError, ArgumentError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2


def build_parser() -> ArgumentParser:
    """The parser of all verbs."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog="python -m slurm", description=__doc__, exit_on_error=False)
    verbs = parser.add_subcommands(dest="verb", required=True)
    for name, (fill, help_text) in _VERBS.items():
        verb = ArgumentParser(description=f"{help_text[0].upper()}{help_text[1:]}.", exit_on_error=False)
        fill(verb)
        verbs.add_subcommand(name, verb, help=help_text)
    return parser


def _submit_options(parser: ArgumentParser) -> None:
    parser.add_argument("-c", "--config", action="append", type=str, required=True, help="experiment; the last wins")
    parser.add_argument("--resume", action="store_true", help="continue the run that is in the run directory")
    parser.add_argument("--dry_run", action="store_true", help="print the batch script and queue nothing")
    parser.add_class_arguments(Resources, as_group=False)


def _sweep_options(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=str, help="YAML file of the sweep, see experiments/sweeps")
    parser.add_argument("--world", type=str, default=DEFAULT_WORLD, help="which of the file's worlds, such as coco")
    parser.add_argument("--seeds", type=str | None, default=None, help="instead of the file's, such as 0,1")
    parser.add_argument("--out", type=str | None, default=None, help="directory; runs/sweeps/NAME when absent")
    parser.add_argument("--throttle", type=int | None, default=None, help="how many cells of an array run at once")
    parser.add_argument("--local", action="store_true", help="no cluster: run the cells on this machine")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="with --local: how many cells at once")
    parser.add_argument("--wandb", type=str | None, default=None, help="W&B project that the runs log to (offline)")
    parser.add_argument("--dry_run", action="store_true", help="print the cells and scripts; write and queue nothing")
    parser.add_class_arguments(Resources, as_group=False)


def _directory_option(parser: ArgumentParser) -> None:
    parser.add_argument("sweep", type=str, help="directory of the sweep, its name, or the file it was made from")


def _collect_options(parser: ArgumentParser) -> None:
    _directory_option(parser)
    parser.add_argument(
        "--figures", type=str | None, default=None, help="instead of the file's report, such as NAME,NAME"
    )


def _dashboard_options(parser: ArgumentParser) -> None:
    _directory_option(parser)
    parser.add_argument("--online", action="store_true", help="also build the W&B report (needs a log-in)")


def _cell_options(parser: ArgumentParser) -> None:
    _directory_option(parser)
    parser.add_argument("stage", type=Literal["train", "evaluate"], help="what to do")
    parser.add_argument("--cell", type=int | None, default=None, help="its number; that of the array task when absent")


def _submit(options: Namespace, rest: list[str]) -> int:
    from slurm.launch import fit_job, submit_fit

    site = read_site(os.environ)
    job = fit_job(options.config, rest, _resources(options), site)
    if options.dry_run:
        print(render(job, site), end="")
        return 0
    if (job.log.parent / "config.yaml").exists() and not options.resume:
        raise ValueError(f"{job.log.parent} holds a run; give -- --name=OTHER, or --resume to continue it")
    submit_fit(job, site)
    return 0


def _sweep(options: Namespace, rest: list[str]) -> int:
    from slurm.check import check_cells, check_shards

    if options.jobs < 1 or (options.throttle is not None and options.throttle < 1):
        raise ValueError(f"jobs and throttle must be at least 1, got {options.jobs} and {options.throttle}")
    resources, site = _resources(options), read_site(os.environ)
    sweep = load_sweep(Path(options.file), options.world)
    if options.wandb is not None:
        rest = [f"--wandb.project={options.wandb}", f"--wandb.group={sweep.name}", *rest]
    directory = Path(options.out) if options.out else records.SWEEPS / sweep.name
    made = records.make_record(sweep, Path(options.file), directory, with_seeds(sweep, options.seeds), rest)
    asked = {cell.name for cell in made.cells}
    record = records.merged(made)
    check_cells(made)
    if not options.dry_run:
        check_shards(made)
        records.save_record(record)
    if options.local:
        return _sweep_here(options, record, asked)
    return _sweep_there(options, record, asked, resources, site)


def _sweep_here(options: Namespace, record: Record, asked: set[str]) -> int:
    from slurm.local import Stopped, run_cells

    cells = [cell for cell in record.cells if cell.name in asked]
    if options.dry_run:
        for cell in cells:
            for stage, words in (("train", ["-m", "lit_outpaint", *(cell.fit or [])]), ("evaluate", cell.evaluate)):
                if stage in cell.stages and words:
                    print(f"{cell.name}: {stage}: {shlex.join(['python', *words])}")
        return 0
    try:
        failed = run_cells(record, cells, options.jobs)
    except Stopped as reason:
        print(f"slurm: {reason}", file=sys.stderr)
        return 128 + reason.number
    for line in failed:
        print(f"error: {line}", file=sys.stderr)
    print(
        f"{len(cells) - len(failed)} of {len(cells)} cells are done; table: python -m slurm collect {record.directory}"
    )
    return 1 if failed else 0


def _sweep_there(options: Namespace, record: Record, asked: set[str], resources: Resources, site: Site) -> int:
    from slurm.launch import submit_sweep, sweep_jobs
    from slurm.status import queued

    stages: tuple[Stage, ...] = ("train", "evaluate")
    known = {stage: set() if options.dry_run else queued(record, stage) for stage in stages}
    missing: dict[Stage, list[int]] = {
        stage: [n for n in record.missing(stage) if n not in known[stage] and record.cells[n].name in asked]
        for stage in stages
    }
    # Scoring waits for a training of this submission; one that an earlier submission still trains comes next time.
    missing["evaluate"] = [n for n in missing["evaluate"] if n not in known["train"]]
    jobs = sweep_jobs(record, missing, resources, site, options.throttle)
    if options.dry_run:
        print("\n".join(render(job, site) for _, job in jobs), end="")
        return 0
    if not jobs:
        print("nothing is missing that does not run or wait already")
    submit_sweep(record, jobs, site)
    return 0


def _status(options: Namespace, rest: list[str]) -> int:
    from slurm.status import status_lines, sweep_status

    print("\n".join(status_lines(sweep_status(_load(options)))))
    return 0


def _collect(options: Namespace, rest: list[str]) -> int:
    from slurm.collect import collect

    print(collect(_load(options), None if options.figures is None else listed(options.figures)))
    return 0


def _dashboard(options: Namespace, rest: list[str]) -> int:
    record = _load(options)
    from slurm.dashboard import dashboard  # It takes the reader of Lightning's logs.

    print(dashboard(record, online=options.online))
    return 0


def _cell(options: Namespace, rest: list[str]) -> int:
    from slurm.cell import cell_number, run_stage

    record = _load(options)
    return run_stage(record, record.cells[cell_number(record, options.cell, os.environ)], options.stage, rest)


def _load(options: Namespace) -> Record:
    return records.load_record(records.find_sweep(options.sweep))


def _resources(options: Namespace) -> Resources:
    return Resources(**{field.name: options[field.name] for field in fields(Resources)})


def _underscored(word: str) -> str:
    """``--dry_run`` for ``--dry-run``."""
    flag, equals, value = word.partition("=")
    return f"--{flag[2:].replace('-', '_')}{equals}{value}" if flag.startswith("--") else word


_VERBS: Final[dict[str, tuple[Callable[[ArgumentParser], None], str]]] = {
    "submit": (_submit_options, "queue one training run, which continues by itself after a pre-emption"),
    "sweep": (_sweep_options, "queue what is missing of a sweep: training, and the evaluation that follows it"),
    "status": (_directory_option, "say what of a sweep is done, runs, waits or is missing"),
    "collect": (_collect_options, "make one table of a sweep: mean and 95 % interval over seeds; CSV, Markdown, plot"),
    "dashboard": (_dashboard_options, "make one page of a sweep: table, plots, curves, samples"),
    "cell": (_cell_options, "run one stage of one cell; what the tasks of an array call"),
}
_ACTIONS: Final[dict[str, Callable[[Namespace, list[str]], int]]] = {
    "submit": _submit,
    "sweep": _sweep,
    "status": _status,
    "collect": _collect,
    "dashboard": _dashboard,
    "cell": _cell,
}
