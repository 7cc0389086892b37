"""The cross-adapter module (CAM): features of a language model ask the CLIP tokens, and stand behind them.

    l   = W_p language                                      (B, M, D)
    l  <- l + W_o attention(W_q LN(l), W_k LN(c), W_v LN(c))     the language tokens ask CLIP
    l  <- l + W_2 quick_gelu(W_1 LN(l))
    out = [c, lambda l]                                     (B, L + M, D), 333 rows for 77 + 256

There is no positional term and no mask: padded positions take part, and to the U-Net the order of the rows is nothing.

Letters: B batch, L rows of the CLIP text, M language tokens, D width of CLIP (and of the U-Net's keys), E width of the
language model. Source: Liu, Ma et al. 2024, arXiv:2407.00737, and what the authors' inference code computes
(github.com/YUHANG-Ma/LLM4GEN; the code here is our own).
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

INIT_STD = 0.02
"""Of the attention weights, drawn from a truncated normal; all others start as PyTorch has them."""

MASKED = -1e4
"""Added to the logits of a padded key: as good as minus infinity, and finite in half precision."""

_RELEASED = {
    "llm_proj": "projection",
    "q_proj": "layers.0.attention.query",
    "k_proj": "layers.0.attention.key",
    "v_proj": "layers.0.attention.value",
    "out_proj": "layers.0.attention.output",
    "kv_norm": "layers.0.query_norm",
    "q_norm": "layers.0.key_norm",
    "norm": "layers.0.ffn_norm",
    "FFN.0": "layers.0.ffn.0",
    "FFN.2": "layers.0.ffn.2",
}
"""Names in the released checkpoint (``projector.pth``, behind ``CrossFusionModule.0.``) and here. There the norm called
``q_norm`` is that of the CLIP tokens and ``kv_norm`` that of the language tokens, although the latter ask."""
_RELEASED_PREFIX = "CrossFusionModule.0."


class QuickGELU(nn.Module):
    """``x sigmoid(1.702 x)``, the activation of CLIP."""

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Apply it."""
        return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):
    """Multi-head attention whose queries come from one sequence and whose keys and values from another.

    Args:
        dim: width of both.
        heads: number of heads; divides ``dim``.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"heads must divide the width of the text encoder, {dim}, got {heads}")
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        for linear in (self.query, self.key, self.value, self.output):
            nn.init.trunc_normal_(linear.weight, std=INIT_STD)

    def forward(
        self,
        asking: Float[Tensor, "b n d"],
        asked: Float[Tensor, "b m d"],
        key_mask: Bool[Tensor, "b m"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Attend.

        Args:
            asking: where the queries come from.
            asked: where keys and values come from.
            key_mask: False for keys that nothing may read; None lets all be read.
        """
        query, key, value = self.query(asking), self.key(asked), self.value(asked)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        bias = None if key_mask is None else mask_bias(key_mask)[:, None, None, :].to(query.dtype)
        return self.output(scaled_dot_product_attention(query, key, value, bias).transpose(1, 2).flatten(2))


class AttentionLayer(nn.Module):
    """One layer: a sequence asks another (or itself), then a feed-forward network; both added to what came in.

    Args:
        dim: width.
        heads: of the attention.
        ask_itself: the sequence asks itself, and one norm serves both sides.
    """

    def __init__(self, dim: int, heads: int, ask_itself: bool = False) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(dim)
        self.key_norm = None if ask_itself else nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.ffn_norm = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(nn.Linear(dim, 4 * dim), QuickGELU(), nn.Linear(4 * dim, dim))

    def forward(
        self,
        asking: Float[Tensor, "b n d"],
        asked: Float[Tensor, "b m d"] | None = None,
        key_mask: Bool[Tensor, "b m"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Return the sequence that asked, changed."""
        query = self.query_norm(asking)
        keys = query if self.key_norm is None or asked is None else self.key_norm(asked)
        asking = asking + self.attention(query, keys, key_mask)
        return asking + self.ffn(self.ffn_norm(asking))


class CrossAdapter(nn.Module):
    """CAM, up to the concatenation: the language tokens, projected and mixed with CLIP.

    Args:
        text_dim: D.
        language_dim: E.
        heads: of each layer.
        depth: number of layers; the published model has one, and 0 leaves the projection alone.
    """

    def __init__(self, text_dim: int = 768, language_dim: int = 2048, heads: int = 8, depth: int = 1) -> None:
        super().__init__()
        self.projection = nn.Linear(language_dim, text_dim)
        self.layers = nn.ModuleList(AttentionLayer(text_dim, heads) for _ in range(depth))

    def forward(
        self,
        clip: Float[Tensor, "b l d"],
        language: Float[Tensor, "b m e"],
        language_mask: Bool[Tensor, "b m"] | None = None,
        timesteps: Tensor | None = None,
    ) -> Float[Tensor, "b m d"]:
        """Mix.

        Args:
            clip: final output of the text encoder.
            language: hidden states of the language model.
            language_mask: not read: padded language tokens ask like all others.
            timesteps: not read.
        """
        mixed = self.projection(language)
        for layer in self.layers:
            mixed = layer(mixed, clip)
        return mixed


def mask_bias(mask: Bool[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """What is added to the logits of each key: 0 where the mask is True, `MASKED` where it is False."""
    return torch.where(mask, 0.0, MASKED)


def from_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of a `CrossAdapter` from the layout of the released LLM4GEN checkpoint.

    Args:
        state: what ``torch.load("projector.pth", weights_only=True)`` gives.

    Raises:
        ValueError: it holds other names, of which the first few are told.
    """
    renamed = {
        f"{new}.{kind}": f"{_RELEASED_PREFIX}{old}.{kind}"
        for old, new in _RELEASED.items()
        for kind in ("weight", "bias")
    }
    odd = sorted(set(state) ^ set(renamed.values()))
    if odd:
        raise ValueError(
            f"weights of a released LLM4GEN adapter must be named {_RELEASED_PREFIX}llm_proj.weight and so on, got or "
            f"missed {', '.join(odd[:3])}; give the file projector.pth as it was published"
        )
    return {new: state[old] for new, old in renamed.items()}
