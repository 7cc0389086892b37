"""The entity-guided loss in training: which context rows of a caption are an attribute and which its entity.

The mathematics is in `lit_outpaint.diffusion.entity_loss`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from lit_outpaint.captions.entities import RuleParser, tokens_of
from lit_outpaint.diffusion.entity_loss import Distance, TokenPair, entity_loss, group_weights
from lit_outpaint.protocols import EntityParser


@dataclass(frozen=True, kw_only=True)
class EntityLossConfig:
    """A penalty on attributes and entities that attend to different places."""

    weight: float = 0.0
    """Factor on the penalty; 0 leaves training as it is without."""
    distance: Distance = "cosine"
    """cosine: 1 - cosine; kl: the mean of both Kullback-Leibler divergences; l2: the squared difference, times N."""
    layers: tuple[str, ...] = ()
    """Cross-attention layers that count, by a part of their names such as ``up_blocks``; none named takes all."""
    block: Literal["text", "language"] = "language"
    """Whose rows are looked at: CLIP's, or those that an adapter made of a language model (one row a token)."""

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"entity_loss.weight must be at least 0, got {self.weight}")

    def chosen(self, layers: Sequence[str]) -> list[str]:
        """The layers that count among all cross-attention layers.

        Raises:
            ValueError: none does.
        """
        found = [name for name in layers if not self.layers or any(part in name for part in self.layers)]
        if not found:
            raise ValueError(f"entity_loss.layers must be parts of names such as {layers[0]}, got {list(self.layers)}")
        return found

    def check_possible(self, *, compiled: bool, checkpointed: bool) -> None:
        """Refuse what keeps attention maps from being read.

        Raises:
            ValueError: the loss is on, and the U-Net is compiled or computes its activations twice.
        """
        for name, given in (("compile", compiled), ("gradient_checkpointing", checkpointed)):
            if given and self.weight > 0:
                raise ValueError(f"entity_loss reads attention maps, which base.{name} hides; set one of the two off")


def tokens_with_rows(context: Any) -> int:
    """How many language tokens of a caption have a row of their own in what a conditioning part makes.

    Raises:
        ValueError: they have none, so that attention to words cannot be told.
    """
    found = getattr(context, "num_tokens", None)
    if found is None:
        raise ValueError(
            "entity_loss.block language needs a row for each token of the language model, which the conditioning does"
            " not make; choose adapter cam, concat or transformer, or block text"
        )
    return int(found)


class EntityGuidance:
    """The penalty of a batch of captions and attention maps.

    Args:
        config: which penalty.
        parser: finds the pairs; rules where absent.
        tokenizer: of the block whose rows are looked at; a fast one, that knows where its tokens stand.
        prefix: what stands before a caption when it is tokenised.
        length: tokens to which the encoder cuts a caption.
        rows: rows that a caption has in the block, from its first token on; all tokens where absent. Words behind have
            none.
    """

    def __init__(
        self,
        config: EntityLossConfig,
        parser: EntityParser | None,
        tokenizer: Any,
        prefix: str,
        length: int,
        rows: int | None = None,
    ) -> None:
        self.config, self.tokenizer, self.prefix, self.length = config, tokenizer, prefix, length
        self.num_rows = length if rows is None else rows
        self.parser: EntityParser = parser or RuleParser()

    def asked(self, processors: Sequence[str]) -> dict[str, Any]:
        """Room for the maps of the layers that count; the denoiser fills it.

        Args:
            processors: names of a U-Net's attention processors.
        """
        names = [name.removesuffix(".processor") for name in processors]
        return dict.fromkeys(self.config.chosen([name for name in names if name.endswith(".attn2")]))

    def __call__(self, captions: Sequence[str], maps: Mapping[str, Tensor], spans: Mapping[str, slice]) -> Tensor:
        """Penalty of each sample, (B,), not yet weighted.

        Args:
            captions: one per sample.
            maps: attention weights (B, heads, N, R) by layer.
            spans: rows of the context by name.

        Raises:
            ValueError: the context has no row for each token of a caption.
        """
        block = spans.get({"text": "text", "language": "language_local"}[self.config.block])
        if block is None or block.stop - block.start != self.num_rows:
            raise ValueError(
                f"entity_loss.block {self.config.block} needs a row for each of {self.num_rows} tokens of a caption;"
                " the conditioning makes none; choose the other block"
            )
        first = next(iter(maps.values()))
        groups = group_weights([self.rows(caption, block.start) for caption in captions], first.shape[-1])
        attributes, entities = (part.to(first.device) for part in groups)
        return entity_loss(maps, attributes, entities, self.config.distance)

    def rows(self, caption: str, start: int = 0) -> list[TokenPair]:
        """Context rows of the pairs of a caption, for a block that starts at row ``start``."""
        # Cut as the encoder cuts it: the last row of a caption that is too long is its end mark.
        encoded = self.tokenizer(
            self.prefix + caption, return_offsets_mapping=True, truncation=True, max_length=self.length
        )
        shift = len(self.prefix)
        offsets = [(begin - shift, end - shift) for begin, end in encoded.offset_mapping[: self.num_rows]]
        pairs = self.parser.pairs(caption)
        return [
            (
                [start + i for i in tokens_of(pair.attribute, offsets)],
                [start + i for i in tokens_of(pair.entity, offsets)],
            )
            for pair in pairs
        ]
