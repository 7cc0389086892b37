"""FSDP2 for training: Lightning's model-parallel strategy with checkpoints that fit every other strategy.

Lightning's own full checkpoints number the optimiser's state by the order of the model's weights, ours and torch's by
that of the parameter groups; a run could not continue under another strategy. Here both kinds hold what a run on one
device would have written.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.optim import Optimizer

from lit_outpaint.training.checkpoint import remove
from lit_outpaint.training.sharded_checkpoint import load_mapped, read_shards, write_shards
from lit_outpaint.training.sharding import map_tensors, placed, whole


class ShardedStrategy(ModelParallelStrategy):
    """Shards the U-Net's blocks, gradients, optimiser and moving average over all ranks.

    It saves memory, not time: a model that fits on one device trains faster with ``ddp``.
    """

    def __init__(self, sharded_checkpoints: bool = True, process_group_backend: str | None = None) -> None:
        """Configure.

        Args:
            sharded_checkpoints: ``last.ckpt`` is a directory with one file a rank, written and read side by side;
                otherwise one file, for which rank 0 gathers everything. Runs continue from either, under any strategy
                and number of ranks.
            process_group_backend: nccl on GPUs and gloo on CPUs unless given.
        """
        super().__init__(data_parallel_size=1, tensor_parallel_size=1, process_group_backend=process_group_backend)
        self.sharded_checkpoints = sharded_checkpoints

    def setup_environment(self) -> None:
        """All ranks share the data, none a tensor's work."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    @property
    def lightning_restore_optimizer(self) -> bool:
        """The optimiser is restored as under any other strategy."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The module's own, whose tensors are sharded."""
        assert self.lightning_module is not None
        return self.lightning_module.state_dict()

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The optimiser's own, whose tensors are sharded."""
        return optimizer.state_dict()

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """Write a directory, all ranks together, or one file."""
        path = Path(self.broadcast(filepath))
        if self.is_global_zero:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove(path)
            if self.sharded_checkpoints:
                path.mkdir()
        self.barrier()
        if self.sharded_checkpoints:
            write_shards(checkpoint, path, self.global_rank, self.world_size)
            self.barrier()
            return
        # All ranks gather; only the one that writes keeps what came.
        gathered = map_tensors(checkpoint, whole if self.is_global_zero else lambda tensor: whole(tensor).new_empty(0))
        if self.is_global_zero:
            torch.save(gathered, path)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint of either kind; what is whole is cut when it is put in its place."""
        path = Path(self.broadcast(checkpoint_path))
        if path.is_dir():
            return read_shards(path, self.device_mesh["data_parallel"])
        loaded: dict[str, Any] = load_mapped(path)
        return loaded

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Put weights in their place."""
        assert self.lightning_module is not None
        own = self.lightning_module.state_dict()
        saved = checkpoint["state_dict"]
        cut = {name: placed(tensor, own[name]) if name in own else tensor for name, tensor in saved.items()}
        self.lightning_module.load_state_dict(cut, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Put the optimiser's state in its place."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            numbers = [number for group in saved["param_groups"] for number in group["params"]]
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            like = dict(zip(numbers, weights, strict=True))
            state = {
                number: {
                    name: placed(value, like[number]) if isinstance(value, torch.Tensor) else value
                    for name, value in values.items()
                }
                for number, values in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})
