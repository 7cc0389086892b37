"""Attention rules: how the U-Net's attention layers read the rows of a context.

A rule installs its processors on the attention layers once, and turns a context into the
``cross_attention_kwargs`` of U-Net calls. Which rule is used is configuration (``class_path``); the
conditioning that produces the context knows nothing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor

from lit_outpaint.models.attend import attend, attention_weights
from lit_outpaint.models.context import Context

Size = tuple[int, int]
"""Height and width."""

_PROCESSOR = ".processor"
_CROSS = ".attn2"
"""How diffusers calls the layers that read the context."""


@runtime_checkable
class AttentionRule(Protocol):
    """Decides which context rows a position of the feature map reads, and how strongly."""

    def install(self, unet: UNet2DConditionModel) -> None:
        """Set the rule's processors on the attention layers of ``unet``."""
        ...

    def cross_attention_kwargs(self, context: Context, size: Size) -> dict[str, Any]:
        """Return the ``cross_attention_kwargs`` of one call of the U-Net with ``context``.

        Args:
            context: what is read.
            size: height and width of the latents that the call gets; attention layers see their positions as a list.
        """
        ...

    def loop_kwargs(self, unet: UNet2DConditionModel, context: Context, size: Size) -> dict[str, Any]:
        """Return the same for many calls of ``unet`` with ``context``, having done here what all of them would do."""
        ...


@dataclass(frozen=True)
class FullAttention:
    """Every position reads every row; rows with a bias are weighted down (or up) by it."""

    def install(self, unet: UNet2DConditionModel) -> None:
        """Set a `BiasedAttentionProcessor` on every attention layer of ``unet``."""
        names = [name.removesuffix(_PROCESSOR) for name in unet.attn_processors]
        unet.set_attn_processor({name + _PROCESSOR: BiasedAttentionProcessor(name) for name in names})

    def cross_attention_kwargs(self, context: Context, size: Size) -> dict[str, Any]:
        """Hand the bias of the rows to the processors; no bias leaves stock attention.

        Raises:
            ValueError: the context has regions, which this rule would pass over.
        """
        if context.regions is not None:
            raise ValueError("regions need an attention rule that reads them, got FullAttention: set RegionalAttention")
        return {} if context.key_bias is None else {"key_bias": context.key_bias}

    def loop_kwargs(self, unet: UNet2DConditionModel, context: Context, size: Size) -> dict[str, Any]:
        """The same, with the keys and values of the context in every layer; a denoising loop reads one context."""
        names = [name.removesuffix(_PROCESSOR) for name in unet.attn_processors]
        layers = {name: unet.get_submodule(name) for name in names if name.endswith(_CROSS)}
        projected = {name: project(attn, context.hidden_states) for name, attn in layers.items()}
        return {**self.cross_attention_kwargs(context, size), "projected": projected}


class BiasedAttentionProcessor:
    """Scaled dot-product attention with a bias on the logits of the cross-attention keys.

    It serves the attention layers of ``UNet2DConditionModel`` in Stable Diffusion layout: three-dimensional hidden
    states, no attention mask, no normalised queries or keys. After diffusers ``AttnProcessor2_0`` (Apache-2.0).

    Args:
        name: of the layer in its U-Net, by which it finds its keys and values where they are projected beforehand.
    """

    _attention_backend: str | None = None
    """What ``set_attention_backend`` of diffusers sets; the name is diffusers'."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        key_bias: Tensor | None = None,
        projected: Mapping[str, tuple[Tensor, Tensor]] | None = None,
        maps: dict[str, Tensor | None] | None = None,
    ) -> Tensor:
        """Attend from ``hidden_states`` (B, N, C) to ``encoder_hidden_states`` (B, L, D), or to itself.

        Args:
            attn: the layer whose projections are used.
            hidden_states: the queries' source.
            encoder_hidden_states: the keys' source; None means self-attention, which ignores ``key_bias``.
            attention_mask: must be None.
            temb: unused, part of diffusers' calling convention.
            key_bias: (L,) or (B, L), added to the logits of each key in every head.
            projected: `project` of ``encoder_hidden_states`` by name of the layer.
            maps: where it has this layer's name as a key, the attention weights (B, heads, N, L) are put under it.

        Raises:
            ValueError: a mask was given, or the bias does not have one value per context row.
        """
        if attention_mask is not None:
            raise ValueError("attention_mask must be None: context rows are weighted by key_bias instead")
        query = split_heads(attn.to_q(hidden_states), attn.heads)
        if encoder_hidden_states is None:
            attended = attend(query, *project(attn, hidden_states), backend=self._attention_backend)
        else:
            keys_and_values = project(attn, encoder_hidden_states) if projected is None else projected[self.name]
            attended = attend(query, *keys_and_values, key_bias, self._attention_backend)
            if maps is not None and self.name in maps:
                maps[self.name] = attention_weights(query, keys_and_values[0], key_bias)
        hidden_states = attn.to_out[0](attended.transpose(1, 2).flatten(2))
        return attn.to_out[1](hidden_states)


def project(attn: Attention, source: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of ``source`` (B, L, D) in a layer, each (B, heads, L, C)."""
    return split_heads(attn.to_k(source), attn.heads), split_heads(attn.to_v(source), attn.heads)


def split_heads(projected: Tensor, heads: int) -> Tensor:
    """(B, N, heads * C) to (B, heads, N, C)."""
    return projected.unflatten(-1, (heads, -1)).transpose(1, 2)
