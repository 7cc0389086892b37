"""Frozen language models that give features of captions: (B, M, E) with a fixed length M.

A configuration names one by ``class_path`` and a local directory in the layout of transformers (tokenizer and weights in
safetensors); a name on the hub works where there is a network. Nothing of a directory is run as code.

``padding: kept`` is the published way: what the model makes of padded positions is read like all else. ``padding: zero``
writes zeros there, by which ``mask_padding`` of the conditioning knows them.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, CLIPTextModel, CLIPTokenizer, T5EncoderModel

from lit_outpaint.models.encoders import check_parts
from lit_outpaint.models.language_layers import LayerRule, pick_layers
from lit_outpaint.system.files import file_sha256

WEIGHTS = "*.safetensors"
RANKGEN_PREFIX = "t5_encoder."
"""What stands before the encoder's weights in the published RankGen checkpoints."""


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """A language encoder; the base of all that ``language`` may name by ``class_path``."""

    path: str
    """Directory with tokenizer and weights in the layout of transformers, or its name on the hub."""
    length: int = 256
    """Tokens per caption: shorter ones are padded, longer ones lose their end."""
    prefix: str = ""
    """Text put before every caption, the empty one included."""
    padding: Literal["kept", "zero"] = "kept"
    """kept: padded positions hold what the model makes of them; zero: zeros."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """In which the model computes; features come out as float32."""

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"language length must be at least 1, got {self.length}")

    @property
    def dim(self) -> int:
        """Width of the features, read from the model's configuration alone."""
        return int(self.settings.hidden_size)

    @property
    def settings(self) -> Any:
        """The model's own configuration."""
        check_parts(self.path, [])
        return AutoConfig.from_pretrained(self.path)

    @property
    def rule(self) -> str:
        """Which hidden states are taken, in one word."""
        return "last"

    @property
    def capacity(self) -> int:
        """Tokens of a caption that are read, marks included."""
        return self.length

    def build(self) -> "LanguageEncoder":
        """Load tokenizer and weights."""
        return LanguageEncoder(self, AutoTokenizer.from_pretrained(self.path), self.load())

    def load(self) -> nn.Module:
        """The model alone."""
        raise NotImplementedError(f"{type(self).__name__} must say how its model is loaded")

    @abstractmethod
    def hidden(self, model: nn.Module, tokenizer: Any, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Features (B, M, E) of captions that carry the prefix, and a mask (B, M) that is 0 where padded."""

    def card(self) -> dict[str, str]:
        """What the features depend on, for the card of a shard set: no place on a machine is in it."""
        return {
            "encoder": f"{type(self).__name__}:{Path(self.path).name}",
            "revision": self.revision(),
            "layers": self.rule,
            "length": str(self.length),
            "prefix": self.prefix,
            "padding": self.padding,
            "dtype": self.dtype,
        }

    def revision(self) -> str:
        """Checksum over the weights and the tokenizer of a local directory; a hub model says its commit."""
        directory = Path(self.path)
        if not directory.is_dir():
            return str(getattr(self.settings, "_commit_hash", None) or "unknown")
        files = sorted([*directory.rglob(WEIGHTS), *directory.rglob("tokenizer.json")])
        digest = hashlib.sha256()
        for file in files:
            digest.update(f"{file.name}:{file_sha256(file)}\n".encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class T5Language(LanguageConfig):
    """The encoder of a T5 model: its last hidden states. RankGen's want ``prefix: "pre "``."""

    def load(self) -> nn.Module:
        """The encoder alone; a decoder in the checkpoint is left out."""
        return T5EncoderModel.from_pretrained(self.path, dtype=getattr(torch, self.dtype))

    def hidden(self, model: nn.Module, tokenizer: Any, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Last hidden states; padding is hidden inside the encoder, as T5 has it."""
        ids, mask = _tokens(tokenizer, captions, self.length, model)
        return model(input_ids=ids, attention_mask=mask).last_hidden_state, mask


@dataclass(frozen=True, kw_only=True)
class CausalLanguage(LanguageConfig):
    """A decoder-only language model: what its layers hold of every token."""

    layers: LayerRule = "norm_mean"
    """last; one (``layer``); mean of all; norm_mean, the mean of layer-normalised ones; weighted (``layer_weights``)."""
    layer: int = -1
    """State that the rule one takes: 0 is the embeddings, negative counts from the end."""
    layer_weights: tuple[float, ...] = ()
    """One per state for the rule weighted, such as `learn_layer_weights` finds; frozen from then on."""

    @property
    def rule(self) -> str:
        """The rule, with the layer or the weights where it has some."""
        weights = ",".join(f"{weight:.4f}" for weight in self.layer_weights)
        return {"one": f"one:{self.layer}", "weighted": f"weighted:{weights}"}.get(self.layers, self.layers)

    def load(self) -> nn.Module:
        """The model without its head."""
        return AutoModel.from_pretrained(self.path, dtype=getattr(torch, self.dtype))

    def hidden(self, model: nn.Module, tokenizer: Any, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Combined hidden states; a begin mark is put first and dropped, for its norm would swamp every mean."""
        begin = tokenizer.bos_token_id
        ids, mask = _tokens(tokenizer, captions, self.length, model)
        if begin is not None:
            ids, mask = (nn.functional.pad(part, (1, 0), value=value) for part, value in ((ids, begin), (mask, 1)))
        output = model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
        states = torch.stack(output.hidden_states).float()
        first = 0 if begin is None else 1
        return pick_layers(states[:, :, first:], self.layers, self.layer, self.layer_weights), mask[:, first:]


@dataclass(frozen=True, kw_only=True)
class ClipChunks(LanguageConfig):
    """No language model at all: a CLIP text encoder over the whole caption, chunk by chunk.

    What a longer text alone is worth. ``path`` is a model family with tokenizer/ and text_encoder/; ``length`` is a
    multiple of the encoder's own (77).
    """

    length: int = 231
    """Rows per caption, a multiple of the text encoder's length."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length % 77:
            raise ValueError(f"language length must be a multiple of 77 for ClipChunks, got {self.length}")

    @property
    def capacity(self) -> int:
        """Two tokens of every chunk are marks; a caption is counted with its own two."""
        return self.length // 77 * 75 + 2

    @property
    def settings(self) -> Any:
        """Of the text encoder."""
        check_parts(self.path, ["tokenizer", "text_encoder"])
        return AutoConfig.from_pretrained(self.path, subfolder="text_encoder")

    def build(self) -> "LanguageEncoder":
        """Load tokenizer and weights of the family's text encoder."""
        return LanguageEncoder(self, CLIPTokenizer.from_pretrained(self.path, subfolder="tokenizer"), self.load())

    def load(self) -> nn.Module:
        """The text encoder."""
        return CLIPTextModel.from_pretrained(self.path, subfolder="text_encoder", dtype=getattr(torch, self.dtype))

    def hidden(self, model: nn.Module, tokenizer: Any, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Last hidden states of the chunks, one after the other, begin and end marks included."""
        chunk = tokenizer.model_max_length
        room = chunk - 2
        ids, mask = _tokens(tokenizer, captions, self.length // chunk * room, model, add_special_tokens=False)
        ids = ids.masked_fill(mask == 0, tokenizer.pad_token_id).unflatten(1, (-1, room)).flatten(0, 1)
        read = mask.unflatten(1, (-1, room)).flatten(0, 1)
        begin = ids.new_full((len(ids), 1), tokenizer.bos_token_id)
        end = ids.new_full((len(ids), 1), tokenizer.eos_token_id)
        hidden = model(torch.cat([begin, ids, end], dim=1)).last_hidden_state
        # A chunk counts when it has words; the first one always does.
        some = read.any(dim=1, keepdim=True)
        some[:: self.length // chunk] = True
        counts = torch.cat([some, read.bool(), some], dim=1)
        return hidden.unflatten(0, (len(captions), -1)).flatten(1, 2), counts.unflatten(0, (len(captions), -1)).flatten(1)


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


def from_rankgen(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of a ``T5EncoderModel`` from a published RankGen checkpoint, whose projection is left out.

    Args:
        state: what ``torch.load("pytorch_model.bin", weights_only=True)`` gives.

    Raises:
        ValueError: it holds no encoder of that name.
    """
    kept = {name.removeprefix(RANKGEN_PREFIX): w for name, w in state.items() if name.startswith(RANKGEN_PREFIX)}
    if not kept:
        raise ValueError(f"a RankGen checkpoint must hold weights named {RANKGEN_PREFIX}..., got {', '.join(state)[:80]}")
    return kept


def _tokens(
    tokenizer: Any, captions: Sequence[str], length: int, model: nn.Module, **options: Any
) -> tuple[Int[Tensor, "b m"], Int[Tensor, "b m"]]:
    """Token numbers and mask, padded behind and cut to ``length``, where the model is."""
    rows = tokenizer(list(captions), truncation=True, max_length=length, verbose=False, **options).input_ids
    # Positions behind the end are padded here: tokenizers of chat models pad in front, or have no mark for it.
    fill = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    ids = torch.tensor([row + [fill] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    device = next(model.parameters()).device
    return ids.to(device), mask.to(device)
