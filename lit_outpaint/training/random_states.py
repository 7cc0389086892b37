"""Saves where the global random generators stand, and puts them back."""

import logging
import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import distributed

CHECKPOINT_KEY = "random_states"

log = logging.getLogger(__name__)


class RandomStates(Callback):
    """Keeps the states of Python, NumPy and torch in checkpoints, one entry a rank; the module adds it by itself.

    The noise of training does not depend on them (`lit_outpaint.training.draws`); whatever else draws does, such as
    dropout layers. They are put back at the last moment before the first batch, since setting up a run draws too.
    """

    def __init__(self) -> None:
        self._loaded: list[dict[str, Any]] = []

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Collect the states of all ranks."""
        states: list[Any] = [random_states()]
        if trainer.world_size > 1 and distributed.is_initialized():
            states = [None] * trainer.world_size
            distributed.all_gather_object(states, random_states())
        checkpoint[CHECKPOINT_KEY] = states

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep what was saved until training starts."""
        self._loaded = checkpoint.get(CHECKPOINT_KEY, [])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the states back, unless another number of ranks saved them."""
        if len(self._loaded) == trainer.world_size:
            restore_random_states(self._loaded[trainer.global_rank])
        elif self._loaded:
            rank_zero_only(log.warning)(
                "the checkpoint is of %d ranks and the run has %d: the global random generators start over (the noise"
                " of training does not depend on them, nor the order of samples while batch_size times ranks stays)",
                len(self._loaded),
                trainer.world_size,
            )
        self._loaded = []


def random_states() -> dict[str, Any]:
    """States of the global generators, as plain values and tensors that load with ``weights_only=True``."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    assert name == "MT19937"
    states = {
        "python": [version, list(words), gauss],
        "numpy": [torch.from_numpy(np.asarray(keys, np.int64)), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random_states(states: dict[str, Any]) -> None:
    """Put the global generators where `random_states` found them."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"].cpu())
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"].cpu())
