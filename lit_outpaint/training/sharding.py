"""Weights spread over ranks (FSDP2): what is sharded, and how tensors come and go between whole and sharded.

Every sharded tensor is cut along its first axis over all ranks, as ``torch.chunk`` cuts it, so that a rank's part
follows from shape, rank and number of ranks alone.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.distributed import all_reduce
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor


def shard_module(
    module: LightningModule, blocks: Iterable[nn.Module], mesh: DeviceMesh, sent: torch.dtype | None = None
) -> None:
    """Shard a training system in place: each block by itself, everything else together.

    Single numbers stay whole, since they have no axis to cut along; their gradients are averaged as they come.

    Args:
        module: the system, called through its ``forward``.
        blocks: parts that are gathered when they compute and given back afterwards.
        mesh: one-dimensional, over all ranks.
        sent: type in which weights travel and compute, half as much to send and to hold in bfloat16; what a rank
            keeps, and the sum of gradients, stay as they are. None sends weights as they are kept.
    """
    whole = {parameter for parameter in module.parameters() if parameter.ndim == 0}
    for parameter in module.parameters():
        # Rows are cut from memory as it lies. Convolutions follow the layout of their input, so that channels_last
        # costs a copy of the weights per step and no speed of the kernels.
        parameter.data = parameter.data.contiguous()
    # Inputs are not cast: autocast does that, layer by layer.
    policy = MixedPrecisionPolicy(param_dtype=sent, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in blocks:
        # Given back after a forward pass without a backward one, too: the moving average is swapped in between.
        fully_shard(block, mesh=mesh, reshard_after_forward=True, ignored_params=whole, mp_policy=policy)
    fully_shard(module, mesh=mesh, reshard_after_forward=True, ignored_params=whole, mp_policy=policy)
    for parameter in whole:
        parameter.data = parameter.data.to(mesh.device_type)
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(_averager(mesh))


def is_sharded(module: nn.Module) -> bool:
    """Whether any weight is spread over ranks."""
    return any(isinstance(parameter, DTensor) for parameter in module.parameters())


@contextmanager
def gathered(module: nn.Module) -> Iterator[None]:
    """Hold all weights on every rank, in the type in which they travel; nothing for a module that is not sharded.

    For whoever uses parts of a system outside of its ``forward``, which gathers what it needs. All ranks must enter;
    inside, each may do as it likes.
    """
    parts = [part for part in module.modules() if isinstance(part, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.set_reshard_after_forward(True, recurse=False)
            part.reshard()


def local(tensor: Tensor) -> Tensor:
    """What this rank holds of a tensor: a view of its part, or the whole of it."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, on the CPU; every rank must ask."""
    return tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor


def placed(tensor: Tensor, like: Tensor) -> Tensor:
    """Cut a whole tensor as ``like`` is cut, without talking to other ranks; a tensor that is cut stays as it is."""
    if not isinstance(like, DTensor) or isinstance(tensor, DTensor) or tensor.shape != like.shape:
        return tensor
    mesh = like.device_mesh
    rows = rows_of(len(tensor), mesh.get_local_rank(), mesh.size())
    part = tensor[rows].to(local(like).device, copy=True).contiguous()
    return DTensor.from_local(part, mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride())


def rows_of(count: int, rank: int, world_size: int) -> slice:
    """Which of ``count`` rows a rank holds.

    >>> [rows_of(5, rank, 4) for rank in range(4)]
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None), slice(5, 5, None)]
    """
    share = -(-count // world_size)
    return slice(min(rank * share, count), min((rank + 1) * share, count))


@torch.no_grad()
def clip_gradients(
    parameters: Iterable[nn.Parameter], max_norm: float, mesh: DeviceMesh, algorithm: str | None = None
) -> None:
    """Scale gradients down to a joint norm of ``max_norm``, counting what all ranks hold.

    ``torch.nn.utils.clip_grad_norm_`` does not take whole and sharded ones together.

    Args:
        parameters: those whose gradients count.
        max_norm: in the units of the gradients.
        mesh: over all ranks.
        algorithm: as the trainer names it; there is only ``norm`` here, which None stands for.

    Raises:
        ValueError: another algorithm is asked for.
    """
    if algorithm not in (None, "norm"):
        raise ValueError(f"sharded gradients are clipped by norm, got gradient_clip_algorithm {algorithm}")
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    cut = [local(gradient) for gradient in gradients if isinstance(gradient, DTensor)]
    uncut = [gradient for gradient in gradients if not isinstance(gradient, DTensor)]
    square = torch.stack([part.float().square().sum() for part in cut]).sum()
    all_reduce(square, group=mesh.get_group())
    for gradient in uncut:
        square += gradient.float().square()
    factor = (max_norm / (square.sqrt() + 1e-6)).clamp(max=1.0)
    for part in [*cut, *uncut]:
        part.mul_(factor.to(part.dtype))


def map_tensors(tree: Any, change: Any) -> Any:
    """Rebuild nested dictionaries, lists and tuples with every tensor put through ``change``."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: map_tensors(value, change) for key, value in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(map_tensors(value, change) for value in tree)
    return tree


def _averager(mesh: DeviceMesh) -> Any:
    def average(parameter: nn.Parameter) -> None:
        assert parameter.grad is not None
        all_reduce(parameter.grad, group=mesh.get_group())
        parameter.grad /= mesh.size()

    return average
