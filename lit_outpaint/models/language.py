"""Which language model gives features of captions: configurations that YAML names by ``class_path``.

A directory holds tokenizer and weights (safetensors) in the layout of transformers; a name on the hub works where there
is a network. Nothing of a directory is run as code. What the models compute is fetched when it is needed: this module
itself loads without torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lit_outpaint.system.files import file_sha256
from lit_outpaint.system.named import build
from lit_outpaint.system.one_line import refused_in_one_line

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lit_outpaint.models.language_encoders import LanguageEncoder

LayerRule = Literal["last", "one", "mean", "norm_mean", "weighted"]

WEIGHTS = "*.safetensors"
_HASHED = (WEIGHTS, "tokenizer.json", "*.model", "vocab.*", "merges.txt")
"""Files of a directory that decide the features, beside its configuration."""
_MEND = "give a directory with tokenizer and weights (safetensors) in the layout of transformers, or a hub name"


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
    def parts(self) -> tuple[str, ...]:
        """Folders of the directory that are read; none where its own files are."""
        return ()

    @property
    def dim(self) -> int:
        """Width of the features, read from the model's configuration alone."""
        return int(self.settings.hidden_size)

    @property
    def settings(self) -> Any:
        """The model's own configuration."""
        from transformers import AutoConfig

        return self._read(lambda: AutoConfig.from_pretrained(self.path))

    @property
    def rule(self) -> str:
        """Which hidden states are taken, in one word."""
        return "last"

    @property
    def capacity(self) -> int:
        """Tokens of a caption that are read, marks included."""
        return self.length

    def build(self) -> LanguageEncoder:
        """Load tokenizer and weights.

        Raises:
            FileNotFoundError: the directory is not there.
            ValueError: what is there cannot be loaded, or is of another kind.
        """
        from lit_outpaint.models.language_encoders import LanguageEncoder

        return LanguageEncoder(self, self._read(self.tokenizer), self._read(self.load))

    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.path)

    def row_tokenizer(self) -> Any:
        """A tokenizer whose tokens are the rows of the features, one each: for what looks at single words.

        Raises:
            ValueError: rows are not tokens one by one.
        """
        return self._read(self.tokenizer)

    def _read(self, load: Callable[[], Any]) -> Any:
        """What a loader of transformers makes of the directory.

        Raises:
            FileNotFoundError: the directory, or a part of it, is not there.
            ValueError: it cannot be loaded.
        """
        from lit_outpaint.models.encoders import check_parts

        check_parts(self.path, self.parts)
        with refused_in_one_line(f"the language model {self.path}", _MEND):
            return load()

    def _whole(self, kind: Any, **place: str) -> nn.Module:
        """A model of transformers, from safetensors, none of whose weights are random.

        Raises:
            ValueError: the directory lacks some.
        """
        import torch

        options = {"dtype": getattr(torch, self.dtype), "use_safetensors": True, "output_loading_info": True}
        model, told = kind.from_pretrained(self.path, **options, **place)
        if told["missing_keys"]:
            raise ValueError(f"it lacks weights, such as {sorted(told['missing_keys'])[0]}")
        return model

    def load(self) -> nn.Module:
        """The model alone."""
        raise NotImplementedError(f"{type(self).__name__} must say how its model is loaded")

    def hidden(self, model: nn.Module, tokenizer: Any, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Features (B, M, E) of captions that carry the prefix, and a mask (B, M) that is 0 where padded."""
        raise NotImplementedError(f"{type(self).__name__} must say how captions are read")

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
        files = sorted({path for pattern in _HASHED for path in directory.rglob(pattern)})
        digest = hashlib.sha256()
        for file in files:
            digest.update(f"{file.name}:{file_sha256(file)}\n".encode())
        return digest.hexdigest()[:16]


def check_same_language(directory: str | Path, told: dict[str, Any] | None, now: LanguageConfig | None) -> None:
    """Refuse to continue a model with features that it was not trained on.

    Args:
        directory: of the model.
        told: description of the language encoder that it reads, None for none.
        now: the one that it would read.

    Raises:
        ValueError: the encoders differ, or are read in different ways.
    """
    before: LanguageConfig | None = None if told is None else build(told, LanguageConfig)
    cards = [{} if config is None else config.card() for config in (before, now)]
    differing = [name for name in {**cards[0], **cards[1]} if cards[0].get(name) != cards[1].get(name)]
    if differing:
        name = differing[0]
        raise ValueError(
            f"{directory} was trained on features of a language model with {name} {cards[0].get(name, 'none')!r}, and"
            f" model.language has {cards[1].get(name, 'none')!r}; name the same one, read in the same way"
        )


@dataclass(frozen=True, kw_only=True)
class T5Language(LanguageConfig):
    """The encoder of a T5 model: its last hidden states. RankGen's want ``prefix: "pre "``."""

    def load(self) -> nn.Module:
        """The encoder alone; a decoder in the checkpoint is left out."""
        from transformers import T5EncoderModel

        return self._whole(T5EncoderModel)

    def hidden(self, model: nn.Module, tokenizer: Any, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Last hidden states; padding is hidden inside the encoder, as T5 has it."""
        from lit_outpaint.models.language_encoders import padded_tokens

        ids, mask = padded_tokens(tokenizer, captions, self.length, model)
        return model(input_ids=ids, attention_mask=mask).last_hidden_state, mask


@dataclass(frozen=True, kw_only=True)
class CausalLanguage(LanguageConfig):
    """A decoder-only language model: what its layers hold of every token."""

    layers: LayerRule = "norm_mean"
    """last; one (``layer``); mean; norm_mean, the mean of layer-normalised ones; weighted (``layer_weights``)."""
    layer: int = -1
    """State that the rule one takes: 0 is the embeddings, negative counts from the end."""
    layer_weights: tuple[float, ...] = ()
    """One per state for the rule weighted, such as `learn_layer_weights` finds; frozen from then on."""

    @property
    def rule(self) -> str:
        """The rule, with the layer or the weights where it has some."""
        weights = ",".join(f"{weight:.4f}" for weight in self.layer_weights)
        return {"one": f"one:{self.layer}", "weighted": f"weighted:{weights}"}.get(self.layers, self.layers)

    def row_tokenizer(self) -> Any:
        """The tokenizer without its marks: the begin mark is dropped from the features, others are not put in."""
        return partial(super().row_tokenizer(), add_special_tokens=False)

    def load(self) -> nn.Module:
        """The model without its head."""
        from transformers import AutoModel

        return self._whole(AutoModel)

    def hidden(self, model: nn.Module, tokenizer: Any, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Combined hidden states; a begin mark is put first and dropped, for its norm would swamp every mean."""
        from lit_outpaint.models.language_encoders import causal_states
        from lit_outpaint.models.language_layers import pick_layers

        states, mask = causal_states(model, tokenizer, captions, self.length)
        return pick_layers(states, self.layers, self.layer, self.layer_weights), mask


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
    def parts(self) -> tuple[str, ...]:
        """Tokenizer and text encoder of the family."""
        return ("tokenizer", "text_encoder")

    @property
    def capacity(self) -> int:
        """Two tokens of every chunk are marks; a caption is counted with its own two."""
        return self.length // 77 * 75 + 2

    @property
    def settings(self) -> Any:
        """Of the text encoder."""
        from transformers import AutoConfig

        return self._read(lambda: AutoConfig.from_pretrained(self.path, subfolder="text_encoder"))

    def tokenizer(self) -> Any:
        """The family's tokenizer."""
        from transformers import CLIPTokenizer

        return CLIPTokenizer.from_pretrained(self.path, subfolder="tokenizer")

    def row_tokenizer(self) -> Any:
        """Refuse: between the tokens stand the marks of the chunks."""
        raise ValueError(
            "entity_loss.block language needs a row for each token, which ClipChunks has not; choose block text"
        )

    def load(self) -> nn.Module:
        """The text encoder."""
        from transformers import CLIPTextModel

        return self._whole(CLIPTextModel, subfolder="text_encoder")

    def hidden(self, model: nn.Module, tokenizer: Any, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Last hidden states of the chunks, one after the other, begin and end marks included."""
        from lit_outpaint.models.language_encoders import chunked_states

        return chunked_states(model, tokenizer, captions, self.length // tokenizer.model_max_length)
