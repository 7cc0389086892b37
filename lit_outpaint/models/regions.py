"""Regions of a window: the rows that each part of the picture reads, beside the base rows that all of it can read.

A region is a box, in fractions of the window, with context rows of its own and a base ratio: how much of the base
prompt stays inside the box. What no box covers follows the base prompt alone; where boxes overlap, the later one owns
the place.

Letters: B batch, R regions of a sample (samples with fewer are padded with empty boxes), D width of the context rows.
Source: Yang et al. 2024 (RPG), arXiv:2401.11708, and its released code, github.com/YangLing0818/RPG-DiffusionMaster.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the window, in [0, 1]."""
PooledFrom = Literal["last_region", "base", "mean"]
"""Whose pooled text embedding stands for the whole picture (Stable Diffusion XL)."""

# Cell edges are floors of products that are whole numbers up to rounding, such as 6 * (1 / 3 + 1 / 3).
_EDGE_TOLERANCE = 1e-4


class RegionContext(NamedTuple):
    """The regions of a batch of windows."""

    hidden_states: Float[Tensor, "b r rows d"]
    """Context rows of each region."""
    boxes: Float[Tensor, "b r 4"]
    """Where each region lies: left, top, right, bottom in fractions of the window; all zeros is no region."""
    base_ratio: Float[Tensor, "b r"]
    """Share of the base prompt inside each box, in [0, 1]: 1 is the base prompt alone, 0 the region's alone."""
    key_bias: Float[Tensor, "b r rows"] | None = None
    """Added to the attention logits of each row; None adds nothing."""

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "RegionContext":
        """The same with rows on ``device`` in ``dtype``; boxes and ratios stay where and as exact as they are."""
        bias = None if self.key_bias is None else self.key_bias.to(device)
        return self._replace(hidden_states=self.hidden_states.to(device, dtype), key_bias=bias)

    def repeat(self, copies: int) -> "RegionContext":
        """The batch ``copies`` times in a row."""
        bias = None if self.key_bias is None else self.key_bias.repeat(copies, 1, 1)
        return self._replace(
            hidden_states=self.hidden_states.repeat(copies, 1, 1, 1),
            boxes=self.boxes.repeat(copies, 1, 1),
            base_ratio=self.base_ratio.repeat(copies, 1),
            key_bias=bias,
        )

    def emptied(self) -> "RegionContext":
        """The same batch without any region: every position reads the base rows."""
        return self._replace(boxes=torch.zeros_like(self.boxes))


class RegionRows(NamedTuple):
    """One region of one window, encoded."""

    box: Box
    """Where it lies, in fractions of the window."""
    hidden_states: Float[Tensor, "rows d"]
    """Its context rows."""
    base_ratio: float
    """Share of the base prompt inside the box, in [0, 1]."""
    key_bias: Float[Tensor, " rows"] | None = None
    """Added to the attention logits of its rows."""


def gather_regions(samples: Sequence[Sequence[RegionRows]]) -> RegionContext | None:
    """Put the regions of the samples of a batch together; None when no sample has any.

    Args:
        samples: the regions of each sample, later ones on top; all have the same number of rows.

    Raises:
        ValueError: a box or a base ratio is out of range.
    """
    rows = [region for regions in samples for region in regions]
    if not rows:
        return None
    for region in rows:
        check_box(region.box)
        check_base_ratio(region.base_ratio)
    blank = torch.zeros_like(rows[0].hidden_states)
    no_region = RegionRows((0.0, 0.0, 0.0, 0.0), blank, 0.0)
    most = max(len(regions) for regions in samples)
    padded = [[*regions, *[no_region] * (most - len(regions))] for regions in samples]
    biased = any(region.key_bias is not None for region in rows)

    def bias_of(region: RegionRows) -> Tensor:
        return blank.new_zeros(len(blank)) if region.key_bias is None else region.key_bias

    return RegionContext(
        hidden_states=torch.stack([torch.stack([region.hidden_states for region in each]) for each in padded]),
        boxes=torch.tensor([[region.box for region in each] for each in padded], dtype=torch.float64),
        base_ratio=torch.tensor([[region.base_ratio for region in each] for each in padded], dtype=torch.float64),
        key_bias=torch.stack([torch.stack([bias_of(region) for region in each]) for each in padded])
        if biased
        else None,
    )


def cat_regions(parts: Sequence[RegionContext]) -> RegionContext:
    """Join batches of regions along the batch; those with fewer regions are padded with empty boxes."""
    most = max(part.boxes.shape[1] for part in parts)
    biased = any(part.key_bias is not None for part in parts)

    def extended(part: RegionContext) -> RegionContext:
        missing = most - part.boxes.shape[1]
        bias = part.key_bias
        if biased and bias is None:
            bias = part.hidden_states.new_zeros(part.hidden_states.shape[:3])
        return part._replace(
            hidden_states=pad(part.hidden_states, (0, 0, 0, 0, 0, missing)),
            boxes=pad(part.boxes, (0, 0, 0, missing)),
            base_ratio=pad(part.base_ratio, (0, missing)),
            key_bias=None if bias is None else pad(bias, (0, 0, 0, missing)),
        )

    padded = [extended(part) for part in parts]
    biases = [part.key_bias for part in padded if part.key_bias is not None]
    return RegionContext(
        hidden_states=torch.cat([part.hidden_states for part in padded]),
        boxes=torch.cat([part.boxes for part in padded]),
        base_ratio=torch.cat([part.base_ratio for part in padded]),
        key_bias=torch.cat(biases) if biases else None,
    )


def cell_owners(boxes: Float[Tensor, "b r 4"], height: int, width: int) -> Int[Tensor, "b h w"]:
    """Which region owns each position of a feature map; -1 where none does.

    Edges are floors of the box's fractions, as in the released code, so that boxes that share an edge share it on every
    map. A box that is narrower than a position may own none.

    Args:
        boxes: left, top, right, bottom in fractions of the window; later ones lie on top.
        height: of the feature map.
        width: of the feature map.
    """
    owners = torch.full((len(boxes), height, width), -1, dtype=torch.int64)
    for sample, regions in enumerate(boxes.tolist()):
        for region, (left, top, right, bottom) in enumerate(regions):
            rows = slice(_edge(top, height), _edge(bottom, height))
            owners[sample, rows, _edge(left, width) : _edge(right, width)] = region
    return owners


def base_weights(owners: Int[Tensor, "b h w"], base_ratio: Float[Tensor, "b r"]) -> Float[Tensor, "b h w"]:
    """Weight of the base at each position: the owner's base ratio, 1 where no region is."""
    of_owner = base_ratio.cpu().gather(1, owners.clamp(min=0).flatten(1)).view(owners.shape)
    return torch.where(owners < 0, 1.0, of_owner)


def map_size(size: tuple[int, int], positions: int) -> tuple[int, int]:
    """Height and width of the feature map with this many positions: the window, halved (rounding up) until they match.

    Raises:
        ValueError: no halving of the window has that many positions.
    """
    height, width = size
    while height * width > positions:
        if (height, width) == (1, 1):
            break
        height, width = math.ceil(height / 2), math.ceil(width / 2)
    if height * width != positions:
        raise ValueError(
            f"a feature map must be the window's latent size {size[0]} x {size[1]}, halved any number of times; "
            f"got {positions} positions: give the size that the U-Net is called with"
        )
    return height, width


def pooled_embedding(
    base: Float[Tensor, "b p"], regions: Float[Tensor, "b r p"], pooled_from: PooledFrom
) -> Float[Tensor, "b p"]:
    """The pooled text embedding of the whole picture, for U-Nets that read one (Stable Diffusion XL).

    Args:
        base: of the base prompt.
        regions: of each region's prompt; every sample has as many.
        pooled_from: the last region's, as in the released code (its loop overwrites the vector); the base prompt's; or
            the mean of all regions'.
    """
    if pooled_from == "base":
        return base
    return regions[:, -1] if pooled_from == "last_region" else regions.mean(dim=1)


def check_box(box: Box) -> None:
    """Refuse a box that is empty or leaves the window.

    Raises:
        ValueError: as said.
    """
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            f"a region's box must be left < right and top < bottom, all in [0, 1] of the window, got {box}; "
            "cut it at the window's edge"
        )


def check_base_ratio(base_ratio: float) -> None:
    """Refuse a base ratio outside [0, 1].

    Raises:
        ValueError: as said.
    """
    if not 0 <= base_ratio <= 1:
        raise ValueError(f"base_ratio must lie in [0, 1] (1 = base prompt alone), got {base_ratio}")


def _edge(fraction: float, cells: int) -> int:
    return math.floor(fraction * cells + _EDGE_TOLERANCE)
