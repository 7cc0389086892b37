"""Drawn windows as PNG files."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule
from PIL import Image

from lit_outpaint.callbacks.sample_grid import to_uint8


class PredictionWriter(Callback):
    """Writes every window that ``predict`` draws to ``predictions/KEY.png`` in the run's directory.

    A key with folders, which members of plain shards may have, lies in these folders.
    """

    def on_predict_batch_end(
        self,
        trainer: Any,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write a batch.

        Raises:
            ValueError: a key leads out of the directory.
        """
        directory = Path(trainer.default_root_dir) / "predictions"
        for key, picture in zip(batch.keys, to_uint8(outputs.float().cpu()), strict=True):
            path = directory / f"{key}.png"
            if not path.resolve().is_relative_to(directory.resolve()):
                raise ValueError(f"the key of a sample must name a file below {directory}, got {key!r}")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
