"""Which queries attend to which region on one feature map, laid out for few and even attention calls.

The released code lets every region attend from the whole map and cuts its rectangle out of the result. Attention works
on each query alone, so that the cell's own queries give the same; they are taken together here by size of the cell.
"""

from collections import defaultdict
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lit_outpaint.models.regions import RegionContext, base_weights, cell_owners


class CellGroup(NamedTuple):
    """Cells of about one size, computed by one call."""

    regions: Int[Tensor, " g"]
    """Whose rows each cell reads: ``sample * R + region``."""
    positions: Int[Tensor, "g n"]
    """Queries of each cell, ``sample * N + position``; cells with fewer than n repeat one of theirs."""


class RegionCells(NamedTuple):
    """The cells of a batch on one feature map of N positions."""

    groups: tuple[CellGroup, ...]
    """All cells that own a position."""
    source: Int[Tensor, "b n"]
    """Where each position's result lies among those of the groups, in their order; 0 where no region is."""
    base_weight: Float[Tensor, "b n 1"]
    """Weight of the base at each position, 1 where no region is."""
    needs_base: bool
    """Whether any position has a base weight above 0."""


def region_cells(regions: RegionContext, height: int, width: int) -> RegionCells:
    """Lay out the cells of ``regions`` on a map of ``height`` x ``width`` positions.

    A cell's queries are filled up to a power of two, so that how a cell is computed does not depend on what else is in
    the batch, and cells of one length go together: at most twice the cell's own work, in few calls.
    """
    num_regions, num_positions = regions.boxes.shape[1], height * width
    owners = cell_owners(regions.boxes, height, width)
    flat = owners.flatten(1)
    by_length: defaultdict[int, list[tuple[int, Tensor]]] = defaultdict(list)
    for sample, of_sample in enumerate(flat):
        for region in range(num_regions):
            own = (of_sample == region).nonzero().flatten()
            if len(own):
                length = 1 << (len(own) - 1).bit_length()
                by_length[length].append((sample * num_regions + region, sample * num_positions + own))
    source = torch.zeros(flat.numel(), dtype=torch.int64)
    groups, begin = [], 0
    for length, cells in sorted(by_length.items()):
        for number, (_, own) in enumerate(cells):
            source[own] = begin + number * length + torch.arange(len(own))
        begin += len(cells) * length
        positions = torch.stack([torch.cat([own, own[:1].expand(length - len(own))]) for _, own in cells])
        groups.append(CellGroup(torch.tensor([region for region, _ in cells]), positions))
    weights = base_weights(owners, regions.base_ratio).flatten(1)[..., None]
    device, dtype = regions.hidden_states.device, regions.hidden_states.dtype
    return RegionCells(
        groups=tuple(CellGroup(group.regions.to(device), group.positions.to(device)) for group in groups),
        source=source.view(flat.shape).to(device),
        base_weight=weights.to(device, dtype),
        needs_base=bool((weights > 0).any()),
    )
