"""Attention rules: how the U-Net's attention layers read the rows of a context.

A rule installs its processor on every attention layer once, and turns a context into the
``cross_attention_kwargs`` of one U-Net call. Which rule is used is configuration (``class_path``); the
conditioning that produces the context knows nothing of it.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from lit_outpaint.models.context import Context


@runtime_checkable
class AttentionRule(Protocol):
    """Decides which context rows a position of the feature map reads, and how strongly."""

    def install(self, unet: UNet2DConditionModel) -> None:
        """Set the rule's processor on every attention layer of ``unet``."""
        ...

    def cross_attention_kwargs(self, context: Context) -> dict[str, Any]:
        """Return the ``cross_attention_kwargs`` of one call of the U-Net with ``context``."""
        ...


class FullAttention:
    """Every position reads every row; rows with a bias are weighted down (or up) by it."""

    def install(self, unet: UNet2DConditionModel) -> None:
        """Set a `BiasedAttentionProcessor` on every attention layer of ``unet``."""
        unet.set_attn_processor(BiasedAttentionProcessor())

    def cross_attention_kwargs(self, context: Context) -> dict[str, Any]:
        """Hand the bias of the rows to the processors; no bias leaves stock attention."""
        return {} if context.key_bias is None else {"key_bias": context.key_bias}


class BiasedAttentionProcessor:
    """Scaled dot-product attention with a bias on the logits of the cross-attention keys.

    It serves the attention layers of ``UNet2DConditionModel`` in Stable Diffusion layout: three-dimensional hidden
    states, no attention mask, no normalised queries or keys. After diffusers ``AttnProcessor2_0`` (Apache-2.0).
    """

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        key_bias: Tensor | None = None,
    ) -> Tensor:
        """Attend from ``hidden_states`` (B, N, C) to ``encoder_hidden_states`` (B, L, D), or to itself.

        Args:
            attn: the layer whose projections are used.
            hidden_states: the queries' source.
            encoder_hidden_states: the keys' source; None means self-attention, which ignores ``key_bias``.
            attention_mask: must be None.
            temb: unused, part of diffusers' calling convention.
            key_bias: (L,) or (B, L), added to the logits of each key in every head.

        Raises:
            ValueError: a mask was given, or the bias does not have one value per context row.
        """
        if attention_mask is not None:
            raise ValueError("attention_mask must be None: context rows are weighted by key_bias instead")
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            _split_heads(projected, attn.heads)
            for projected in (attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source))
        )
        if encoder_hidden_states is None or key_bias is None:
            attended = scaled_dot_product_attention(query, key, value)
        else:
            attended = biased_attention(query, key, value, key_bias)
        hidden_states = attn.to_out[0](attended.transpose(1, 2).flatten(2))
        return attn.to_out[1](hidden_states)


def biased_attention(
    query: Float[Tensor, "b heads n c"],
    key: Float[Tensor, "b heads l c"],
    value: Float[Tensor, "b heads l c"],
    key_bias: Float[Tensor, "*b rows"],
) -> Float[Tensor, "b heads n c"]:
    """Softmax attention with a bias on the logits of each key, ``softmax(q k / sqrt(c) + key_bias) v``.

    The bias goes in as one more channel, 1 in the queries and ``key_bias * sqrt(c)`` in the keys. As a mask that learns
    it would shut out PyTorch's fused kernels.

    Args:
        query: of every position.
        key: of every context row.
        value: of every context row.
        key_bias: one value per context row, for all samples or for each.

    Raises:
        ValueError: the bias does not have one value per context row.
    """
    rows, channels = key.shape[2:]
    if key_bias.shape[-1] != rows:
        raise ValueError(f"key_bias must have one value per context row ({rows}), got shape {tuple(key_bias.shape)}")
    column = torch.atleast_2d(key_bias)[:, None, :, None] * channels**0.5
    column = column.to(key.dtype).expand(*key.shape[:3], 1)
    unused = -(channels + 1) % 8  # fused kernels on GPUs want channels in multiples of 8
    attended = scaled_dot_product_attention(
        pad(pad(query, (0, 1), value=1.0), (0, unused)),
        pad(torch.cat([key, column], dim=-1), (0, unused)),
        pad(value, (0, 1 + unused)),
        scale=channels**-0.5,
    )
    return attended[..., :channels]


def _split_heads(projected: Tensor, heads: int) -> Tensor:
    """(B, N, heads * C) to (B, heads, N, C)."""
    return projected.unflatten(-1, (heads, -1)).transpose(1, 2)
