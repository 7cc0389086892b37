"""Rivals of CAM: other ways to make context rows of language features.

Each maps CLIP tokens (B, L, D), language tokens (B, M, E), a mask of the language tokens and timesteps to rows
(B, R, D), and says by ``num_rows`` what R is. `build_adapter` makes one by name.
"""

from typing import Literal, Protocol

import torch
from diffusers.models.embeddings import Timesteps
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lit_outpaint.models.cam import INIT_STD, Attention, AttentionLayer, CrossAdapter, QuickGELU

AdapterKind = Literal["cam", "concat", "clip_asks", "transformer", "resampler"]

ROW_A_TOKEN: tuple[AdapterKind, ...] = ("cam", "concat", "transformer")
"""Those that make a row of each language token; what others make is of none in particular."""

RESAMPLED_ROWS, TIMESTEP_CHANNELS = 64, 320
"""Rows that a resampler makes, and channels of the sinusoids that tell it the timestep."""


class Adapter(Protocol):
    """What `build_adapter` returns."""

    def __call__(
        self,
        clip: Float[Tensor, "b l d"],
        language: Float[Tensor, "b m e"],
        language_mask: Bool[Tensor, "b m"] | None = None,
        timesteps: Int[Tensor, "*b"] | None = None,
    ) -> Float[Tensor, "b r d"]:
        """Make the rows."""
        ...


class ClipAsksLanguage(nn.Module):
    """CAM the other way round: CLIP tokens ask the language tokens, and L rows come out.

    Args:
        text_dim: D.
        language_dim: E.
        heads: of each layer.
        depth: number of layers.
    """

    def __init__(self, text_dim: int, language_dim: int, heads: int, depth: int) -> None:
        super().__init__()
        self.projection = nn.Linear(language_dim, text_dim)
        self.layers = nn.ModuleList(AttentionLayer(text_dim, heads) for _ in range(depth))

    def forward(
        self, clip: Tensor, language: Tensor, language_mask: Tensor | None = None, timesteps: Tensor | None = None
    ) -> Tensor:
        """Return the CLIP tokens, mixed with the language tokens; see `Adapter`."""
        asked = self.projection(language)
        for layer in self.layers:
            clip = layer(clip, asked, language_mask)
        return clip


class TransformerAdapter(nn.Module):
    """The language features alone: projected, then blocks in which they ask each other.

    Args:
        text_dim: D.
        language_dim: E.
        heads: of each block.
        depth: number of blocks.
    """

    def __init__(self, text_dim: int, language_dim: int, heads: int, depth: int) -> None:
        super().__init__()
        self.projection = nn.Linear(language_dim, text_dim)
        self.layers = nn.ModuleList(AttentionLayer(text_dim, heads, ask_itself=True) for _ in range(depth))

    def forward(
        self, clip: Tensor, language: Tensor, language_mask: Tensor | None = None, timesteps: Tensor | None = None
    ) -> Tensor:
        """Return the language tokens, mixed among each other; see `Adapter`."""
        rows = self.projection(language)
        for layer in self.layers:
            rows = layer(rows, None, language_mask)
        return rows


class TimestepResampler(nn.Module):
    """Learned rows that ask the language tokens, differently at each timestep.

    In the manner of ELLA's connector: the norms before attention and feed-forward are shifted and scaled by the
    timestep, so that early steps may read the layout and late ones the details.

    Args:
        text_dim: D.
        language_dim: E.
        heads: of each layer.
        depth: number of layers.
        rows: that come out.

    Source: Hu et al. 2024, arXiv:2403.05135, section 3.2.
    """

    def __init__(self, text_dim: int, language_dim: int, heads: int, depth: int, rows: int = RESAMPLED_ROWS) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(rows, text_dim) * text_dim**-0.5)
        self.projection = nn.Linear(language_dim, text_dim)
        self.sinusoids = Timesteps(TIMESTEP_CHANNELS, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.embedding = nn.Sequential(nn.Linear(TIMESTEP_CHANNELS, text_dim), nn.SiLU(), nn.Linear(text_dim, text_dim))
        self.layers = nn.ModuleList(_ResamplerLayer(text_dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(text_dim)

    def forward(
        self, clip: Tensor, language: Tensor, language_mask: Tensor | None = None, timesteps: Tensor | None = None
    ) -> Tensor:
        """Return the learned rows, filled; see `Adapter`.

        Raises:
            ValueError: no timestep was given.
        """
        if timesteps is None:
            raise ValueError("adapter resampler reads the timestep, but got none; choose adapter cam for this use")
        asked = self.projection(language)
        sinusoids = self.sinusoids(timesteps.expand(len(asked))).to(asked.dtype)
        embedded = self.embedding(sinusoids)
        rows = self.rows.expand(len(asked), -1, -1)
        for layer in self.layers:
            rows = layer(rows, asked, embedded, language_mask)
        return self.norm(rows)


class _ResamplerLayer(nn.Module):
    """Attention to the language tokens and to the rows themselves, and a feed-forward network."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.query_norm, self.ffn_norm = (nn.LayerNorm(dim, elementwise_affine=False) for _ in range(2))
        self.key_norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.ffn = nn.Sequential(nn.Linear(dim, 4 * dim), QuickGELU(), nn.Linear(4 * dim, dim))
        shifts = nn.Linear(dim, 4 * dim)
        nn.init.normal_(shifts.weight, std=INIT_STD)
        nn.init.zeros_(shifts.bias)
        self.modulation = nn.Sequential(nn.SiLU(), shifts)

    def forward(self, rows: Tensor, asked: Tensor, embedded: Tensor, mask: Tensor | None) -> Tensor:
        scale_a, shift_a, scale_f, shift_f = self.modulation(embedded)[:, None].chunk(4, dim=-1)
        query = self.query_norm(rows) * (1 + scale_a) + shift_a
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(mask.shape[0], rows.shape[1])], dim=1)
        rows = rows + self.attention(query, torch.cat([self.key_norm(asked), query], dim=1), mask)
        return rows + self.ffn(self.ffn_norm(rows) * (1 + scale_f) + shift_f)


def build_adapter(kind: AdapterKind, text_dim: int, language_dim: int, heads: int, depth: int) -> nn.Module:
    """Make an adapter.

    Args:
        kind: cam; concat (the projection alone, no attention); clip_asks; transformer; resampler.
        text_dim: D.
        language_dim: E.
        heads: of attention.
        depth: layers; concat has none.

    Raises:
        ValueError: ``heads`` does not divide D.
    """
    if kind in ("cam", "concat"):
        return CrossAdapter(text_dim, language_dim, heads, 0 if kind == "concat" else depth)
    makers = {"clip_asks": ClipAsksLanguage, "transformer": TransformerAdapter, "resampler": TimestepResampler}
    return makers[kind](text_dim, language_dim, heads, depth)


def num_rows(kind: AdapterKind, text_length: int, language_length: int) -> int:
    """How many rows an adapter makes."""
    return {"clip_asks": text_length, "resampler": RESAMPLED_ROWS}.get(kind, language_length)
