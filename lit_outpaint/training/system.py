"""What every system in training has, whatever it learns: optimiser, sharding, moving average, checkpoints."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch.nn import Parameter

from lit_outpaint.training.averaged_weights import AveragedWeights
from lit_outpaint.training.checkpoint import check_shapes
from lit_outpaint.training.draws import BatchDraws
from lit_outpaint.training.ema import Ema
from lit_outpaint.training.hyperparameters import plain_hyperparameters
from lit_outpaint.training.optim import OptimConfig, build_lr_schedule, build_optimizer
from lit_outpaint.training.random_states import RandomStates
from lit_outpaint.training.sharding import clip_gradients, is_sharded, shard_module


class TrainedSystem(LightningModule):
    """A U-Net and what conditions it, in training; the subclass says what is learnt."""

    unet: Any
    optim: OptimConfig
    ema: Ema | None

    def configure_model(self) -> None:
        """Shard the weights, under a strategy that asks for it."""
        if self.device_mesh is None or is_sharded(self):
            return
        if self.optim.name != "adamw":
            raise ValueError(
                f"optim.name {self.optim.name} works on whole matrices, which sharded weights are not; use adamw"
            )
        blocks = [*self.unet.down_blocks, self.unet.mid_block, *self.unet.up_blocks]
        sent = torch.bfloat16 if self.trainer.precision == "bf16-mixed" else None
        shard_module(self, blocks, self.device_mesh["data_parallel"], sent)
        self.ema = Ema(self.ema.config, self.trained()) if self.ema is not None else None

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, and a learning rate that changes per optimiser step."""
        optimizer = build_optimizer(self.optim, self.trained())
        schedule = build_lr_schedule(self.optim, optimizer, self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_start(self) -> None:
        """Give the loader its place in a run that continues.

        Lightning does so when it sets the loader up, and it was set up too early where `configure_optimizers` asks for
        the length of a run that ``max_epochs`` bounds: then the place is still to be given.
        """
        self.trainer.fit_loop._load_combined_loader_states()

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the joint norm; of sharded gradients over all ranks."""
        if self.device_mesh is None or not gradient_clip_val:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        else:
            mesh = self.device_mesh["data_parallel"]
            clip_gradients(self.trained().values(), gradient_clip_val, mesh, gradient_clip_algorithm)

    def configure_callbacks(self) -> list[Callback]:
        """What every checkpoint of a run needs: the random states, and the moving average, which drives itself."""
        return [RandomStates(), *([AveragedWeights()] if self.ema is not None else [])]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the configuration as plain values, from which Lightning makes the same parts again."""
        checkpoint["hyper_parameters"] = plain_hyperparameters(checkpoint["hyper_parameters"])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of another shape in one line."""
        check_shapes(checkpoint["state_dict"], self.state_dict())

    def batch_draws(self) -> BatchDraws:
        """The random numbers of this rank's part of the training batch; the run's seed is the process's."""
        run, number = self.trainer, self.trainer.fit_loop.total_batch_idx
        rank, world_size = run.global_rank, run.world_size
        return BatchDraws(torch.initial_seed(), number, rank=rank, world_size=world_size, device=self.device)

    def trained(self) -> dict[str, Parameter]:
        """The parameters that training changes, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}
