"""``metrics.csv`` of a run, which a resumed run goes on with."""

import csv
from pathlib import Path
from typing import cast

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter


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


class AppendingWriter(ExperimentWriter):
    """Adds to ``metrics.csv`` where Lightning's own writer deletes it."""

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="") as file:
                self.metrics_keys = list(next(csv.reader(file), []))
