"""A CLIP of Hugging Face's transformers behind the face of an open_clip model, as ``eval.clip`` uses one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

from lit_outpaint.system.one_line import refused_in_one_line


class HuggingFaceClip(nn.Module):
    """Image and text features of a transformers ``CLIPModel``."""

    def __init__(self, directory: Path) -> None:
        """Load from a directory with safetensors, tokeniser and ``preprocessor_config.json``.

        Raises:
            ValueError: a file is missing or damaged.
        """
        super().__init__()
        with refused_in_one_line(f"the evaluation CLIP in {directory}", "give a whole directory of a CLIPModel"):
            self.network = CLIPModel.from_pretrained(directory, local_files_only=True, use_safetensors=True).float()
            processor = CLIPImageProcessor.from_pretrained(directory, local_files_only=True)
            self.tokenizer = HuggingFaceTokenizer(directory)
        side = self.network.config.vision_config.image_size
        self.preprocess: dict[str, Any] = {
            "size": side,
            "mean": tuple(processor.image_mean),
            "std": tuple(processor.image_std),
            "interpolation": "bicubic",
        }

    def encode_image(self, pixels: Float[Tensor, "n 3 h w"], normalize: bool = False) -> Float[Tensor, "n d"]:
        """Projected features of pictures, of length 1 where ``normalize`` says so."""
        seen = self.network.vision_model(pixel_values=pixels).pooler_output
        return _unit(self.network.visual_projection(seen), normalize)

    def encode_text(self, tokens: Int[Tensor, "n l"], normalize: bool = False) -> Float[Tensor, "n d"]:
        """The same of texts."""
        read = self.network.text_model(input_ids=tokens).pooler_output
        return _unit(self.network.text_projection(read), normalize)


class HuggingFaceTokenizer:
    """Texts to tokens of one length, as open_clip's tokenisers give them."""

    def __init__(self, directory: Path) -> None:
        self._tokenizer = CLIPTokenizer.from_pretrained(directory, local_files_only=True)
        self.context_length = int(self._tokenizer.model_max_length)

    def __call__(self, texts: Sequence[str], context_length: int | None = None) -> Int[Tensor, "n l"]:
        """Tokens, cut or padded to ``context_length``; the end token stays."""
        made = self._tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=context_length or self.context_length,
            return_tensors="pt",
        )
        tokens: Tensor = made.input_ids
        return tokens


def is_hugging_face_clip(directory: Path) -> bool:
    """Whether a directory holds a ``CLIPModel``, by its configuration."""
    config = directory / "config.json"
    return config.is_file() and '"clip"' in config.read_text(encoding="utf-8", errors="replace")


def _unit(features: Tensor, asked: bool) -> Tensor:
    return normalize(features, dim=-1) if asked else features


def load_hugging_face_clip(directory: Path) -> HuggingFaceClip:
    """The model, ready to score."""
    return HuggingFaceClip(directory).eval()
