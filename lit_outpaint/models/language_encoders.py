"""Frozen language models that give features of captions: (B, M, E) with a fixed length M.

Which one, and how it is read, says a configuration of `lit_outpaint.models.language`.

``padding: kept`` is the published way: what the model makes of padded positions is read like all else.
``padding: zero`` writes zeros there, by which ``mask_padding`` of the conditioning knows them.

Letters: B batch, M tokens, E width, S states (embeddings, then every layer).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import CLIPTokenizer

from lit_outpaint.models.language import LanguageConfig

RANKGEN_PREFIX = "t5_encoder."
"""What stands before the encoder's weights in the published RankGen checkpoints."""


class LanguageEncoder(nn.Module):
    """A frozen language model behind one call.

    Args:
        config: what it was made from.
        tokenizer: its tokenizer.
        model: its weights.
    """

    def __init__(self, config: LanguageConfig, tokenizer: Any, model: nn.Module) -> None:
        super().__init__()
        self.config, self.tokenizer, self.model = config, tokenizer, model
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "LanguageEncoder":
        """Stay in evaluation mode: frozen parts have no training mode."""
        return super().train(False)

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> Float[Tensor, "b m e"]:
        """Features of captions, float32, of a fixed length."""
        texts = [self.config.prefix + caption for caption in captions]
        hidden, mask = self.config.hidden(self.model, self.tokenizer, texts)
        hidden = hidden.float()
        return hidden * mask[..., None] if self.config.padding == "zero" else hidden

    def count_truncated(self, captions: Sequence[str]) -> int:
        """How many captions lose their end to the length."""
        texts = [self.config.prefix + caption for caption in captions]
        return sum(len(ids) > self.config.capacity for ids in self.tokenizer(texts, verbose=False).input_ids)


def block_tokenizer(
    block: Literal["text", "language"], pretrained: str, language: LanguageConfig | None
) -> tuple[Any, str, int]:
    """The tokenizer of a block of context rows, what stands before a caption there, and how many rows there are.

    Args:
        block: rows of the text encoder, or of the language encoder.
        pretrained: model family.
        language: language encoder.

    Raises:
        ValueError: there is no language encoder, or its rows are no single tokens.
    """
    if block == "text":
        tokenizer = CLIPTokenizer.from_pretrained(pretrained, subfolder="tokenizer")
        return tokenizer, "", int(tokenizer.model_max_length)
    if language is None:
        raise ValueError("entity_loss.block language needs a language encoder; name one, or choose block text")
    return language.row_tokenizer(), language.prefix, language.length


def from_rankgen(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of a ``T5EncoderModel`` from a published RankGen checkpoint, whose projection is left out.

    Args:
        state: what ``torch.load("pytorch_model.bin", weights_only=True)`` gives.

    Raises:
        ValueError: it holds no encoder of that name.
    """
    kept = {name.removeprefix(RANKGEN_PREFIX): w for name, w in state.items() if name.startswith(RANKGEN_PREFIX)}
    if not kept:
        raise ValueError(
            f"a RankGen checkpoint must hold weights named {RANKGEN_PREFIX}..., got {', '.join(state)[:80]}"
        )
    return kept


def padded_tokens(
    tokenizer: Any, captions: Sequence[str], length: int, model: nn.Module, **options: Any
) -> tuple[Int[Tensor, "b m"], Int[Tensor, "b m"]]:
    """Token numbers and mask, padded behind and cut to ``length``, where the model is."""
    rows = tokenizer(list(captions), truncation=True, max_length=length, verbose=False, **options).input_ids
    # Positions behind the end are padded here: tokenizers of chat models pad in front, or have no mark for it.
    fill = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    ids = torch.tensor([row + [fill] * (length - len(row)) for row in rows], dtype=torch.long)
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    device = next(model.parameters()).device
    return ids.to(device), mask.to(device)


def causal_states(
    model: nn.Module, tokenizer: Any, captions: Sequence[str], length: int
) -> tuple[Float[Tensor, "s b m e"], Int[Tensor, "b m"]]:
    """All hidden states of a decoder-only model, and the mask of its tokens.

    A begin mark is put first and dropped, for its norm would swamp every mean.
    """
    begin = tokenizer.bos_token_id
    ids, mask = padded_tokens(tokenizer, captions, length, model, add_special_tokens=False)
    if begin is not None:
        ids, mask = nn.functional.pad(ids, (1, 0), value=begin), nn.functional.pad(mask, (1, 0), value=1)
    output = model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
    first = 0 if begin is None else 1
    return torch.stack(output.hidden_states).float()[:, :, first:], mask[:, first:]


def chunked_states(
    model: nn.Module, tokenizer: Any, captions: Sequence[str], chunks: int
) -> tuple[Float[Tensor, "b m e"], Bool[Tensor, "b m"]]:
    """Last hidden states of a CLIP text encoder, chunk after chunk, each with its begin and end marks.

    A chunk counts when it has words, and the first one always does; so do the marks of a chunk that counts.
    """
    room = tokenizer.model_max_length - 2
    ids, mask = padded_tokens(tokenizer, captions, chunks * room, model, add_special_tokens=False)
    ids = ids.masked_fill(mask == 0, tokenizer.pad_token_id).unflatten(1, (chunks, room)).flatten(0, 1)
    read = mask.unflatten(1, (chunks, room)).flatten(0, 1).bool()
    begin = ids.new_full((len(ids), 1), tokenizer.bos_token_id)
    end = ids.new_full((len(ids), 1), tokenizer.eos_token_id)
    # The end mark stands right behind the words, as the tokenizer itself has it, and pads the rest.
    hidden = model(torch.cat([begin, ids, end], dim=1)).last_hidden_state
    some = read.any(dim=1, keepdim=True)
    some[::chunks] = True
    counts = torch.cat([some, read, some], dim=1)
    return hidden.unflatten(0, (-1, chunks)).flatten(1, 2), counts.unflatten(0, (-1, chunks)).flatten(1)
