"""Pictures of what the model draws, in the logger and as PNG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from PIL import Image
from torch import Tensor

from lit_outpaint.canvas.compositing import to_uint8
from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.features import PICTURES, TEXTS
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.drawing.batches import draw_batch
from lit_outpaint.models.encoders import latent_mode
from lit_outpaint.training.sharding import gathered


class SampleGrid(Callback):
    """Draws held-out windows after each validation: masked input, prediction, target, one window a row.

    Prompts of one's own add a row each: the windows once more in turn, from the same noise, under these words.

    The noise is the same every time, so that two grids differ by training alone. Pictures go to
    ``samples/step-NNNNNNN.png`` in the run's directory, and to TensorBoard or W&B where one of them logs. Verbs that
    only score a checkpoint draw nothing.
    """

    def __init__(
        self,
        num_windows: int = 4,
        num_inference_steps: int = 20,
        guidance_scale: float = 3.0,
        seed: int = 0,
        prompts: Sequence[str] = (),
    ) -> None:
        """Configure.

        Args:
            num_windows: rows of the grid, at most the validation batch size.
            num_inference_steps: denoising steps per picture.
            guidance_scale: strength of the captions; 1 draws without guidance.
            seed: of the noise.
            prompts: captions of one's own, as local and global caption.

        Raises:
            ValueError: a count is not positive.
        """
        if num_windows < 1:
            raise ValueError(f"num_windows must be at least 1, got {num_windows}")
        self.num_windows = num_windows
        self.sampling = Sampling(num_inference_steps=num_inference_steps, guidance_scale=guidance_scale)
        self.seed, self.prompts = seed, tuple(prompts)

    def on_validation_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: OutpaintBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the first windows of the first batch, while the module holds the averaged weights."""
        if batch_idx > 0 or trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        # Hooks run outside of autocast, in which the run's precision computes.
        with gathered(pl_module), trainer.precision_plugin.forward_context():
            if not trainer.is_global_zero:
                return
            (grid,) = to_uint8(tile(self.rows(pl_module, batch.cut(slice(self.num_windows))))[None])
        if not trainer.fast_dev_run:
            # Not log_dir: it asks all ranks.
            path = Path(trainer.default_root_dir) / "samples" / f"step-{trainer.global_step:07d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(grid).save(path)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("val/samples", grid, trainer.global_step, dataformats="HWC")
            elif isinstance(logger, WandbLogger):
                logger.log_image("val/samples", [Image.fromarray(grid)], step=trainer.global_step)

    def rows(self, module: Any, batch: OutpaintBatch) -> list[Float[Tensor, "n 3 hh ww"]]:
        """The columns of all rows: of the windows as they are, and of the prompts."""
        parts = [self.columns(module, batch)]
        for begin in range(0, len(self.prompts), len(batch.mask)):
            prompts = self.prompts[begin : begin + len(batch.mask)]
            parts.append(self.columns(module, under_prompts(module, batch.cut(slice(len(prompts))), prompts)))
        return [torch.cat(column) for column in zip(*parts, strict=True)]

    def columns(self, module: Any, batch: OutpaintBatch) -> list[Float[Tensor, "n 3 hh ww"]]:
        """Masked input, prediction and target, in [-1, 1]."""
        generator = torch.Generator().manual_seed(self.seed)

        def normal(like: Tensor) -> Tensor:
            return torch.randn(like.shape, generator=generator)

        latents = draw_batch(module, batch, self.sampling, normal)
        target = module.encoders.decode(latent_mode(batch.moments, module.scaling_factor))
        if batch.pixel_values is not None:
            target = batch.pixel_values
        return [target * (batch.mask < 0.5), module.encoders.decode(latents), target]


def under_prompts(module: Any, batch: OutpaintBatch, prompts: Sequence[str]) -> OutpaintBatch:
    """A batch with other captions, one per window."""
    batch, language = module.complete(batch), module.frozen.language(module.device)
    made = {
        name: module.encoders.encode_text(prompts) if name in TEXTS else language.encode(prompts)
        for name in module.context.needs
        if name not in PICTURES
    }
    features = batch.features._replace(**{name: value.float() for name, value in made.items()})
    return batch._replace(features=features, captions=tuple((prompt, prompt) for prompt in prompts))


def tile(columns: list[Float[Tensor, "n 3 hh ww"]], gap_px: int = 2) -> Float[Tensor, "3 _ _"]:
    """Lay pictures out, one list entry a column, with a white gap between neighbours."""
    rows = torch.stack(columns, dim=1).float().cpu()
    framed = torch.nn.functional.pad(rows, (0, gap_px, 0, gap_px), value=1.0)
    count, width, channels, tall, wide = framed.shape
    return framed.permute(2, 0, 3, 1, 4).reshape(channels, count * tall, width * wide)[:, :-gap_px, :-gap_px]
