"""Drawn windows as PNG files."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule
from PIL import Image

from lit_outpaint.callbacks.sample_grid import to_uint8


class PredictionWriter(Callback):
    """Writes every window that ``predict`` draws to ``predictions/KEY.png`` in the run's directory."""

    def on_predict_batch_end(
        self,
        trainer: Any,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write a batch."""
        directory = Path(trainer.default_root_dir) / "predictions"
        directory.mkdir(parents=True, exist_ok=True)
        for key, picture in zip(batch.keys, to_uint8(outputs.float().cpu()), strict=True):
            Image.fromarray(picture).save(directory / f"{key}.png")
