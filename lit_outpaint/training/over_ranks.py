"""Numbers that all ranks share."""

import torch
from torch import Tensor, distributed


@torch.no_grad()
def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean of what every rank has, which all must ask for; a copy of the value where there is one rank.

    Lightning's ``sync_dist`` puts a barrier before each such mean, for which a GPU would wait in every step.
    """
    mean = value.detach().clone()
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(mean)
        mean /= distributed.get_world_size()
    return mean
