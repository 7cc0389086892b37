"""Attention rules: how the U-Net's attention layers read the rows of a context.

A rule installs its processor on every attention layer once, and turns a context into the
``cross_attention_kwargs`` of one U-Net call. Which rule is used is configuration (``class_path``); the
conditioning that produces the context knows nothing of it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, runtime_checkable

from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor

from lit_outpaint.models.attend import attend
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

    def __init__(self) -> None:
        self._kept: dict[Attention, tuple[Tensor, Tensor, Tensor]] | None = None

    @contextmanager
    def keep_context(self) -> Iterator[None]:
        """Project a context to keys and values once, and use them as long as the very same context comes again.

        A denoising loop reads one context in every step. For inference: what is kept is kept with its gradient.
        """
        self._kept = {}
        try:
            yield
        finally:
            self._kept = None

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
        query = _split_heads(attn.to_q(hidden_states), attn.heads)
        if encoder_hidden_states is None:
            attended = attend(query, *_project(attn, hidden_states))
        else:
            attended = attend(query, *self._project_context(attn, encoder_hidden_states), key_bias)
        hidden_states = attn.to_out[0](attended.transpose(1, 2).flatten(2))
        return attn.to_out[1](hidden_states)

    def _project_context(self, attn: Attention, encoder_hidden_states: Tensor) -> tuple[Tensor, Tensor]:
        if self._kept is None:
            return _project(attn, encoder_hidden_states)
        kept = self._kept.get(attn)
        if kept is None or kept[0] is not encoder_hidden_states:
            kept = self._kept[attn] = (encoder_hidden_states, *_project(attn, encoder_hidden_states))
        return kept[1:]


@contextmanager
def one_context(unet: UNet2DConditionModel) -> Iterator[None]:
    """Within it, every call of ``unet`` reads the same context, whose keys and values are computed once."""
    with ExitStack() as stack:
        for processor in set(unet.attn_processors.values()):
            if isinstance(processor, BiasedAttentionProcessor):
                stack.enter_context(processor.keep_context())
        yield


def _project(attn: Attention, source: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of ``source`` (B, L, D)."""
    return _split_heads(attn.to_k(source), attn.heads), _split_heads(attn.to_v(source), attn.heads)


def _split_heads(projected: Tensor, heads: int) -> Tensor:
    """(B, N, heads * C) to (B, heads, N, C)."""
    return projected.unflatten(-1, (heads, -1)).transpose(1, 2)
