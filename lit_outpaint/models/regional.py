"""Regional attention: each part of the picture reads its own prompt, mixed with the base prompt's (RPG).

    O_b = attention(q, base rows)                      every position
    O_r = attention(q, rows of the region's prompt)    positions of the region's box alone
    O   = base_ratio O_b + (1 - base_ratio) O_r        inside a box; O_b where no box is

The released code mixes after the output projection; that is linear, so mixing before it gives the same and projects
once. Self-attention and convolutions see the whole map and blend the seams.

Source: Yang et al. 2024, arXiv:2401.11708; the mechanics are those of its released code, which differ from the paper's
formula (`lit_outpaint.models.latent_concat` has that one).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor

from lit_outpaint.models.attend import attend, attention_weights
from lit_outpaint.models.attention import BiasedAttentionProcessor, FullAttention, project, split_heads
from lit_outpaint.models.context import Context
from lit_outpaint.models.region_cells import RegionCells, region_cells
from lit_outpaint.models.regions import RegionContext, map_size


@dataclass(frozen=True)
class RegionalAttention:
    """Positions inside a region's box read the region's rows too; a context without regions is attended as a whole."""

    def install(self, unet: UNet2DConditionModel) -> None:
        """Set a `RegionalProcessor` on every attention layer of ``unet``."""
        names = [name.removesuffix(".processor") for name in unet.attn_processors]
        unet.set_attn_processor({f"{name}.processor": RegionalProcessor(name) for name in names})

    def cross_attention_kwargs(self, context: Context, size: tuple[int, int]) -> dict[str, Any]:
        """Hand the bias of the rows, and the regions, to the processors."""
        kwargs = FullAttention().cross_attention_kwargs(context._replace(regions=None), size)
        if context.regions is not None:
            kwargs["regional"] = RegionalRows(context.regions, size, {}, None)
        return kwargs

    def loop_kwargs(self, unet: UNet2DConditionModel, context: Context, size: tuple[int, int]) -> dict[str, Any]:
        """The same, with the keys and values of all rows in every layer."""
        kwargs = FullAttention().loop_kwargs(unet, context._replace(regions=None), size)
        if context.regions is None:
            return kwargs
        rows = context.regions.hidden_states.flatten(0, 1)
        projected = {name: project(unet.get_submodule(name), rows) for name in kwargs["projected"]}
        return {**kwargs, "regional": RegionalRows(context.regions, size, {}, projected)}


class RegionalRows(NamedTuple):
    """What the processors of one U-Net read about regions, in one call or in all calls of a loop."""

    regions: RegionContext
    """The regions of the batch."""
    size: tuple[int, int]
    """Height and width of the latents that the U-Net gets."""
    cells: dict[int, RegionCells]
    """Layout of the cells by number of positions of the map; filled by the first layer that has such a map."""
    projected: Mapping[str, tuple[Tensor, Tensor]] | None
    """Keys and values of the regions' rows, (B * R, heads, L, C), by name of the layer, where they are known."""

    def cells_of(self, positions: int) -> RegionCells:
        """The layout on the map with this many positions."""
        if positions not in self.cells:
            self.cells[positions] = region_cells(self.regions, *map_size(self.size, positions))
        return self.cells[positions]


class RegionalProcessor:
    """Attention with regions in the cross-attention layers; all else is `BiasedAttentionProcessor`'s.

    Args:
        name: of the layer in its U-Net, by which it finds its keys and values where they are projected beforehand.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._full = BiasedAttentionProcessor(name)

    @property
    def _attention_backend(self) -> str | None:
        """What ``set_attention_backend`` of diffusers sets; the name is diffusers'."""
        return self._full._attention_backend

    @_attention_backend.setter
    def _attention_backend(self, backend: str | None) -> None:
        self._full._attention_backend = backend

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        key_bias: Tensor | None = None,
        projected: Mapping[str, tuple[Tensor, Tensor]] | None = None,
        regional: RegionalRows | None = None,
        maps: dict[str, Tensor | None] | None = None,
    ) -> Tensor:
        """Attend from ``hidden_states`` (B, N, C) to ``encoder_hidden_states`` (B, L, D) and to the regions' rows.

        Args:
            attn: the layer whose projections are used.
            hidden_states: the queries' source.
            encoder_hidden_states: the base rows; None means self-attention, which knows no regions.
            attention_mask: must be None.
            temb: unused, part of diffusers' calling convention.
            key_bias: (L,) or (B, L), added to the logits of each base row.
            projected: keys and values of the base rows by name of the layer.
            regional: the regions; None attends to the base rows alone.
            maps: where it has this layer's name as a key, the weights of the base rows are put under it, as they are
                outside all boxes.

        Raises:
            ValueError: a mask was given, or the map is no halving of the regions' window.
        """
        if encoder_hidden_states is None or regional is None:
            return self._full(
                attn,
                hidden_states,
                encoder_hidden_states,
                attention_mask,
                temb,
                key_bias,
                projected=projected,
                maps=maps,
            )
        if attention_mask is not None:
            raise ValueError("attention_mask must be None: context rows are weighted by key_bias instead")
        query = attn.to_q(hidden_states)
        cells = regional.cells_of(query.shape[1])
        mixed = self._regions(attn, query, cells, regional)
        if mixed is None or cells.needs_base:
            keys, values = project(attn, encoder_hidden_states) if projected is None else projected[self.name]
            of_heads = split_heads(query, attn.heads)
            base = _join_heads(attend(of_heads, keys, values, key_bias, self._attention_backend))
            if maps is not None and self.name in maps:
                maps[self.name] = attention_weights(of_heads, keys, key_bias)
            # torch's lerp is exact at both ends, so that a base ratio of 1 is the base prompt bit for bit.
            mixed = base if mixed is None else torch.lerp(mixed, base, cells.base_weight.to(base.dtype))
        return attn.to_out[1](attn.to_out[0](mixed))

    def _regions(self, attn: Attention, query: Tensor, cells: RegionCells, regional: RegionalRows) -> Tensor | None:
        """What each position reads from the region that owns it, (B, N, C); None when no region is on this map."""
        if not cells.groups:
            return None
        rows = regional.regions.hidden_states.flatten(0, 1)
        keys, values = project(attn, rows) if regional.projected is None else regional.projected[self.name]
        bias = regional.regions.key_bias
        flat = query.flatten(0, 1)
        attended = []
        for group in cells.groups:
            own = split_heads(flat[group.positions], attn.heads)
            own_bias = None if bias is None else bias.flatten(0, 1)[group.regions]
            result = attend(own, keys[group.regions], values[group.regions], own_bias, self._attention_backend)
            attended.append(_join_heads(result).flatten(0, 1))
        return torch.cat(attended)[cells.source]


def _join_heads(attended: Tensor) -> Tensor:
    """(B, heads, N, C) to (B, N, heads * C)."""
    return attended.transpose(1, 2).flatten(2)
