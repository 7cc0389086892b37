"""Where a run logs: ``metrics.csv``, which a resumed run continues, and Weights & Biases where it is asked for."""

import csv
import importlib.util
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

WANDB_ID_NAME: Final = "wandb_run.txt"
"""Id and project of a run, one a line, in its directory."""


@dataclass(frozen=True, kw_only=True)
class WandbConfig:
    """Logging to Weights & Biases, besides ``metrics.csv`` and TensorBoard."""

    project: str | None = None
    """Project; None logs nothing there."""
    mode: Literal["offline", "online"] = "offline"
    """offline: files in the run directory, which ``wandb sync`` sends later; online: send at once (needs a log-in)."""
    entity: str | None = None
    """User or team; that of the log-in when absent."""
    group: str | None = None
    """Runs of one group are shown together; a sweep sets its name."""
    tags: tuple[str, ...] = ()
    """Words to find the run by."""

    def __post_init__(self) -> None:
        if self.project is not None and importlib.util.find_spec("wandb") is None:
            raise ValueError(
                "wandb.project needs the package wandb; install lit-outpaint[wandb], or leave the project out"
            )


class RunLogger(CSVLogger):
    """Lightning's CSV logger, writing into the run directory itself and keeping the rows that are there."""

    def __init__(self, run_dir: str) -> None:
        """Configure.

        Args:
            run_dir: directory of the run.
        """
        path = Path(run_dir)
        super().__init__(save_dir=str(path.parent), name=path.name, version="")

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer, made on first use."""
        if self._experiment is None:
            self._experiment = AppendingWriter(log_dir=self.log_dir)
        return cast(ExperimentWriter, self._experiment)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Write the rows, so that a run that continues from the checkpoint finds all that led to it."""
        self.save()


class RunWandbLogger(WandbLogger):
    """Lightning's W&B logger under an id that stays with the run directory, however often the run continues.

    Offline, every start leaves a directory of its own; all carry the same id, so that they are one run once synced.
    """

    def __init__(
        self,
        run_dir: str,
        project: str,
        mode: Literal["offline", "online"] = "offline",
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
    ) -> None:
        """Configure; see `WandbConfig`.

        Args:
            run_dir: directory of the run; names it, and holds its files and its id.
            project: project of W&B.
            mode: offline or online.
            entity: user or team.
            group: runs that are shown together.
            tags: words to find the run by.
        """
        path = Path(run_dir)
        options: dict[str, Any] = {"mode": mode, "entity": entity, "group": group, "tags": list(tags) or None}
        super().__init__(
            name=path.name,
            project=project,
            save_dir=path,
            id=wandb_id(path, project),
            # A summary at the end of every run would bury the program's own last lines.
            settings={"quiet": True},
            **options,
        )
        # Lightning still passes it, and W&B warns of it in every run.
        self._wandb_init.pop("anonymous", None)

    def finalize(self, status: str) -> None:
        """Write everything out when training ends or is interrupted, not only when the process ends."""
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None


def wandb_id(run_dir: Path, project: str) -> str:
    """The id of a run, made at its first start.

    All processes of a run may ask at once: the first to create the file decides.
    """
    path = run_dir / WANDB_ID_NAME
    run_dir.mkdir(parents=True, exist_ok=True)
    temporary = run_dir / f".{WANDB_ID_NAME}.{secrets.token_hex(4)}"
    temporary.write_text(f"{secrets.token_hex(6)}\n{project}\n", encoding="utf-8")
    try:
        # Unlike a rename, a link never replaces what is there, and what is there is whole.
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    return read_wandb_id(path)[0]


def read_wandb_id(path: Path) -> tuple[str, str]:
    """Id and project that a run was logged under.

    Raises:
        ValueError: the file is damaged.
    """
    lines = path.read_text(encoding="utf-8").split()
    if len(lines) != 2:
        raise ValueError(f"{path} must hold the id and the project of a W&B run, got {len(lines)} words; remove it")
    return lines[0], lines[1]


def drop_rows(path: Path, step: int, validation_due: bool = False) -> None:
    """Take out of a ``metrics.csv`` what a run that continues writes once more, and a row that has no end.

    Args:
        path: of the file.
        step: that the run continues from; rows of it and later go.
        validation_due: the run begins with the validation behind the step before, whose rows go, too.
    """
    if not path.is_file():
        return
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    if not rows or "step" not in rows[0]:
        return
    place = rows[0].index("step")
    whole = [row for row in rows[1:] if len(row) == len(rows[0]) and row[place].isdigit()]
    scores = [column for column, name in enumerate(rows[0]) if name.startswith("val/")] if validation_due else []
    kept = [
        row
        for row in whole
        if int(row[place]) < step and not (int(row[place]) == step - 1 and any(row[column] for column in scores))
    ]
    draft = path.with_name(f".{path.name}.part")
    with draft.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([rows[0], *kept])
    draft.replace(path)


class AppendingWriter(ExperimentWriter):
    """Adds to ``metrics.csv`` where Lightning's own writer deletes it."""

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="") as file:
                self.metrics_keys = list(next(csv.reader(file), []))
