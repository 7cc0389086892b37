"""The evaluation CLIP: an open_clip model that never conditions what it scores."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from huggingface_hub import constants
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from eval.extractors import to_levels
from eval.hf_clip import is_hugging_face_clip, load_hugging_face_clip
from eval.memo import OncePerTensor

_REMEMBERED_CAPTIONS = 10_000


class EvaluationClip:
    """Image and text features of an open_clip model.

    Pictures are resized as a whole (squashed) to the model's input, on 8-bit levels as Pillow does it. A caption longer
    than the model's context is cut between words into as few and as equal chunks as fit; its feature is the mean of
    theirs. So every chunk keeps its end token, where CLIP reads the text.

    Args:
        model: a directory with ``open_clip_config.json``, weights and tokeniser, or with a ``CLIPModel`` of
            transformers; or ``MODEL/PRETRAINED`` as open_clip
            names them, such as ``ViT-B-32/laion2b_s34b_b79k``, whose weights come from the user's cache; PRETRAINED may
            also be a file of weights.
        batch_size: images or captions per forward pass.

    Raises:
        FileNotFoundError: there is no such model, or its weights are not to be had.
    """

    def __init__(self, model: Path | str, batch_size: int = 64) -> None:
        self.model, self.tokenizer, self.name = _load(str(model))
        self.num_chunked = 0
        self._batch_size = batch_size
        own = getattr(self.model, "preprocess", None)
        config: dict[str, Any] = own or open_clip.get_model_preprocess_cfg(self.model)
        size = config["size"]
        self._size: tuple[int, int] = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        self._filter = Image.Resampling[config.get("interpolation", "bicubic").upper()]
        self._mean = torch.tensor(config["mean"]).view(1, 3, 1, 1)
        self._std = torch.tensor(config["std"]).view(1, 3, 1, 1)
        self._once = OncePerTensor(lambda batch: self._encode_levels(to_levels(batch)))
        self._captions: dict[str, tuple[Tensor, int]] = {}

    def __deepcopy__(self, memo: Any) -> "EvaluationClip":
        # Copies of a metric look through the same network.
        return self

    def encode_images(self, images: NDArray[np.uint8]) -> Float[Tensor, "n d"]:
        """Unit features of images ``(n, H, W, 3)``."""
        return self._encode_levels(torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2))

    def encode_pixel_values(self, pixel_values: Float[Tensor, "n 3 hh ww"]) -> Float[Tensor, "n d"]:
        """Unit features of pictures in [-1, 1], rounded to 8 bits first; once for each tensor."""
        return self._once(pixel_values)

    def encode_texts(self, captions: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit features of captions; captions are remembered."""
        self._remember(captions)
        return torch.stack([self._captions[caption][0] for caption in captions])

    def num_chunks(self, captions: Sequence[str]) -> list[int]:
        """Into how many chunks each caption is cut; 1 where it fits."""
        self._remember(captions)
        return [self._captions[caption][1] for caption in captions]

    def chunks(self, caption: str) -> list[str]:
        """The pieces of a caption that fit into the model's context."""
        words = [piece for word in caption.split() for piece in self._pieces(word)]
        for count in range(1, len(words)):
            edges = [len(words) * index // count for index in range(count + 1)]
            pieces = [" ".join(words[start:stop]) for start, stop in pairwise(edges)]
            if all(self._fits(pieces)):
                return pieces if count > 1 else [caption]
        filled = words[:1]
        for word in words[1:]:
            # Words of very different lengths: each chunk takes as many as it can.
            longer = f"{filled[-1]} {word}"
            filled = [*filled[:-1], longer] if all(self._fits([longer])) else [*filled, word]
        return filled or [caption]  # A text without words.

    def _pieces(self, word: str) -> list[str]:
        """A word, or its halves and theirs where it is longer than the context, as text without spaces is."""
        if len(word) < 2 or all(self._fits([word])):
            return [word]
        middle = len(word) // 2
        return [*self._pieces(word[:middle]), *self._pieces(word[middle:])]

    @torch.no_grad()
    def _remember(self, captions: Sequence[str]) -> None:
        if len(self._captions) > _REMEMBERED_CAPTIONS:
            self._captions.clear()
        new = list(dict.fromkeys(caption for caption in captions if caption not in self._captions))
        # Few captions are long, so that only those are looked at one by one.
        fits = self._fits(new) if new else []
        pieces = [[caption] if fit else self.chunks(caption) for caption, fit in zip(new, fits, strict=True)]
        flat = [piece for parts in pieces for piece in parts]
        features = [
            self._encode_chunks(flat[start : start + self._batch_size])
            for start in range(0, len(flat), self._batch_size)
        ]
        rows = iter(torch.cat(features) if features else ())
        for caption, parts in zip(new, pieces, strict=True):
            mean = torch.stack([next(rows) for _ in parts]).mean(dim=0)
            self._captions[caption] = (normalize(mean, dim=0) if len(parts) > 1 else mean, len(parts))
            self.num_chunked += len(parts) > 1

    def _encode_chunks(self, texts: Sequence[str]) -> Tensor:
        device = next(self.model.parameters()).device
        with torch.autocast(device.type, enabled=False):
            return self.model.encode_text(self.tokenizer(list(texts)).to(device), normalize=True).float().cpu()

    @torch.no_grad()
    def _encode_levels(self, levels: UInt8[Tensor, "n 3 hh ww"]) -> Tensor:
        device = levels.device
        self.model.to(device)
        features = []
        for part in levels.split(self._batch_size):
            if tuple(part.shape[-2:]) != self._size:
                part = self._squashed(part).to(device)
            pixels = (part.float() / 255 - self._mean.to(device)) / self._std.to(device)
            with torch.autocast(device.type, enabled=False):
                features.append(self.model.encode_image(pixels, normalize=True).float())
        return torch.cat(features)

    def _squashed(self, levels: UInt8[Tensor, "n 3 hh ww"]) -> UInt8[Tensor, "n 3 h w"]:
        # By Pillow, as open_clip does it: tensor kernels differ from it by a level here and there.
        height, width = self._size
        images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in levels.cpu()]
        smaller = [np.array(image.resize((width, height), self._filter)) for image in images]
        return torch.from_numpy(np.stack(smaller)).permute(0, 3, 1, 2)

    def _fits(self, texts: Sequence[str]) -> list[bool]:
        length = self.tokenizer.context_length
        longer = self.tokenizer(list(texts), context_length=4 * length)
        empty = self.tokenizer([""], context_length=4 * length)[0]
        # The last place of the context holds the end token or padding, unless the text continues.
        endings = torch.stack([empty[1], empty[-1]])
        return torch.isin(longer[:, length - 1], endings).tolist()


def find_clip(choice: str | EvaluationClip) -> EvaluationClip:
    """The evaluation CLIP of a configuration: an object, or what ``EvaluationClip`` takes as ``model``.

    A text gives the same object every time, so that metrics share its work.
    """
    return _known(choice) if isinstance(choice, str) else choice


@cache
def _known(model: str) -> EvaluationClip:
    return EvaluationClip(model)


@contextmanager
def _offline() -> Iterator[None]:
    """Let the hub's cache be read and nothing be fetched: open_clip would, without a word."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _load(model: str) -> tuple[Any, Any, str]:
    directory = Path(model)
    if (directory / "open_clip_config.json").is_file():
        name = f"local-dir:{directory}"
        return open_clip.create_model(name).float().eval(), open_clip.get_tokenizer(name), directory.name
    if is_hugging_face_clip(directory):
        network = load_hugging_face_clip(directory)
        return network, network.tokenizer, directory.name
    architecture, _, pretrained = model.partition("/")
    if architecture not in open_clip.list_models() or not pretrained:
        raise FileNotFoundError(
            "the evaluation CLIP must be an open_clip directory with open_clip_config.json, a directory of a CLIPModel"
            " of transformers, or MODEL/PRETRAINED as in "
            f"ViT-B-32/laion2b_s34b_b79k; {model} is neither"
        )
    try:
        with _offline():
            network = open_clip.create_model(architecture, pretrained=pretrained, require_pretrained=True)
            tokenizer = open_clip.get_tokenizer(architecture)
    except Exception as error:
        raise FileNotFoundError(
            f"the weights of the evaluation CLIP {model} are not to be had ({' '.join(str(error).split())[:200]}); "
            "load them once with network into the Hugging Face cache, or give MODEL/FILE or an open_clip directory"
        ) from error
    return network.float().eval(), tokenizer, f"{architecture}-{Path(pretrained).stem}"
