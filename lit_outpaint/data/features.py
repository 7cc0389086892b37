"""Everything that frozen encoders made of a batch's captions and pictures, by name.

Adding a feature takes three things: a field here, an encoder that makes it, and a conditioning part that reads it.
Shards store features under these names; a conditioning part says which of them it needs.

Letters: B batch, L text rows, D width of the text encoder, K visual tokens, V width of the vision encoder, M language
rows, E width of the language model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, cast

import torch
from jaxtyping import Bool
from torch import Tensor

from lit_outpaint.diffusion.settings import CONDITIONS, Condition, Sampling


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


def condition_of(name: str) -> Condition:
    """Which condition a feature tells of.

    >>> condition_of("text_global"), condition_of("visual")
    ('global', 'visual')
    """
    return cast(Condition, name.rpartition("_")[2])


def replaced(features: Features, empty: Features, left_out: Mapping[Condition, Bool[Tensor, " b"]]) -> Features:
    """Leave conditions out where masks say so: captions become the empty one, pictures zeros.

    Args:
        features: of a batch.
        empty: features of the empty caption, without a batch axis.
        left_out: by condition, True where a sample loses it; a condition without a mask stays.

    Raises:
        ValueError: a caption is to be left out, and ``empty`` lacks its feature.
    """
    rows = {}
    for name, value in features._asdict().items():
        mask = left_out.get(condition_of(name))
        if value is None or mask is None:
            continue
        substitute = torch.zeros_like(value) if name in PICTURES else getattr(empty, name)
        if substitute is None:
            raise ValueError(f"to leave {name} out takes the features of the empty caption; the batch has none")
        rows[name] = torch.where(mask[:, None, None], substitute.to(value.dtype), value)
    return features._replace(**rows)


def told(features: Features, empty: Features, sampling: Sampling) -> Features:
    """A batch as a model is told of it, without what ``sampling`` leaves out."""
    return replaced(features, empty, dict.fromkeys(sampling.conditions_left_out, _everywhere(features)))


def unconditional(features: Features, empty: Features, sampling: Sampling) -> Features:
    """What guidance pushes away from: the same batch under the empty caption, with or without its picture.

    Args:
        features: of a batch.
        empty: features of the empty caption, without a batch axis.
        sampling: says what is dropped.
    """
    dropped = CONDITIONS if sampling.uncond == "text_and_visual" else ("local", "global")
    return replaced(features, empty, dict.fromkeys(dropped, _everywhere(features)))


def stacked(first: Features, second: Features) -> Features:
    """Two batches of the same features as one, ``first`` before ``second``."""
    pairs = zip(first, second, strict=True)
    return Features(*(None if a is None or b is None else torch.cat([a, b]) for a, b in pairs))


def _everywhere(features: Features) -> Bool[Tensor, " b"]:
    first = next(value for value in features if value is not None)
    return torch.ones(len(first), dtype=torch.bool, device=first.device)
