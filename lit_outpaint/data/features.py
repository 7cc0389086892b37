"""Everything that frozen encoders made of a batch's captions and pictures, by name.

Adding a feature takes three things: a field here, an encoder that makes it, and a conditioning part that reads it.
Shards store features under these names; a conditioning part says which of them it needs.

Letters: B batch, L text rows, D width of the text encoder, K visual tokens, V width of the vision encoder, M language
rows, E width of the language model.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from lit_outpaint.diffusion.settings import Uncond


class Features(NamedTuple):
    """Features of a batch; None is a feature that nobody asked for."""

    text_local: Tensor | None = None
    """(B, L, D): text encoder, caption of the window; the prompt in text-to-image."""
    text_global: Tensor | None = None
    """(B, L, D): text encoder, caption of the whole scene."""
    visual: Tensor | None = None
    """(B, K, V): image-encoder tokens of the visible part alone."""
    language_local: Tensor | None = None
    """(B, M, E): language model, caption of the window."""
    language_global: Tensor | None = None
    """(B, M, E): language model, caption of the whole scene."""

    def only(self, names: tuple[str, ...]) -> Features:
        """These features and no others."""
        return Features(**{name: getattr(self, name) for name in names})

    def cut(self, part: slice) -> Features:
        """The features of some samples of the batch."""
        return Features(*(None if value is None else value[part] for value in self))

    def cast(self, dtype: torch.dtype) -> Features:
        """In another floating point type."""
        return Features(*(None if value is None else value.to(dtype) for value in self))


TEXTS: Final = frozenset({"text_local", "text_global"})
"""Features that the text encoder of the model family makes of captions."""

PICTURES: Final = frozenset({"visual"})
"""Features of pictures; all others are features of captions. A picture that is left out is zeros."""


def replaced(
    features: Features, empty: Features, captions: Bool[Tensor, " b"], pictures: Bool[Tensor, " b"]
) -> Features:
    """Leave captions or pictures out where a mask says so.

    Args:
        features: of a batch.
        empty: features of the empty caption, without a batch axis.
        captions: True where the captions of a sample become the empty one.
        pictures: True where the visual features of a sample become zeros.
    """
    rows = {}
    for name, value in features._asdict().items():
        if value is None:
            continue
        substitute = getattr(empty, name)
        left_out = pictures if name in PICTURES else captions
        if name in PICTURES:
            substitute = torch.zeros_like(value)
        elif substitute is None:
            raise ValueError(f"to leave {name} out takes the features of the empty caption; the batch has none")
        rows[name] = torch.where(left_out[:, None, None], substitute.to(value.dtype), value)
    return Features(**rows)


def unconditional(features: Features, empty: Features, uncond: Uncond) -> Features:
    """What guidance pushes away from: the same batch under the empty caption, with or without its picture.

    Args:
        features: of a batch.
        empty: features of the empty caption, without a batch axis.
        uncond: what is dropped.
    """
    first = next(value for value in features if value is not None)
    everywhere = torch.ones(len(first), dtype=torch.bool, device=first.device)
    return replaced(features, empty, everywhere, everywhere & (uncond == "text_and_visual"))


def stacked(first: Features, second: Features) -> Features:
    """Two batches of the same features as one, ``first`` before ``second``."""
    pairs = zip(first, second, strict=True)
    return Features(*(None if a is None or b is None else torch.cat([a, b]) for a, b in pairs))
