"""Statistics of real pictures, kept by the content of the pictures."""

import hashlib
import logging
import os
from pathlib import Path

from safetensors.torch import load_file, save_file

from eval.metrics.base import TwoSetMetric
from lit_outpaint.data.shard_cache import cache_home
from lit_outpaint.system.files import let_others_read

log = logging.getLogger(__name__)

_VERSION = 2


def default_directory() -> Path:
    """Where statistics are kept unless something else is said."""
    return cache_home() / "reference"


class ReferenceCache:
    """Stores what metrics have summed up of a set of real pictures.

    Args:
        directory: made when something is stored.
        content: says which pictures, and how they are cut.
    """

    def __init__(self, directory: Path, content: str) -> None:
        self._directory, self._content = directory, content

    def load(self, metric: TwoSetMetric) -> bool:
        """Give a metric its stored statistics; False where there are none."""
        path = self._path(metric)
        if not path.is_file():
            return False
        try:
            metric.load_reference_state(load_file(path))
        except Exception as error:
            log.warning("%s cannot be read (%s) and is made again", path, error)
            return False
        return True

    def store(self, metric: TwoSetMetric) -> None:
        """Keep the statistics of a metric; a cache that cannot be written is no error."""
        path = self._path(metric)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{os.getpid()}")
            save_file({name: value.contiguous().cpu() for name, value in metric.reference_state().items()}, partial)
            let_others_read(partial)
            partial.replace(path)
        except OSError as error:
            log.warning("the reference statistics are not kept: %s", error)

    def _path(self, metric: TwoSetMetric) -> Path:
        name = hashlib.sha256(f"{_VERSION}/{self._content}/{metric.reference_key}".encode()).hexdigest()
        return self._directory / f"{name}.safetensors"
