"""The evaluation CLIP: an open_clip model that never conditions what it scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate


class EvaluationClip:
    """Image and text features of an open_clip model kept in a local directory.

    Captions are tokenised by the model's own tokeniser, which keeps the end token when it cuts (the feature is read
    there); cut captions are counted in ``num_truncated``.

    Args:
        directory: holds ``open_clip_config.json``, the weights and the tokeniser.
        batch_size: images or captions per forward pass.

    Raises:
        FileNotFoundError: the directory holds no open_clip model.
    """

    def __init__(self, directory: Path, batch_size: int = 64) -> None:
        if not (directory / "open_clip_config.json").is_file():
            raise FileNotFoundError(
                f"the evaluation CLIP must be an open_clip directory with open_clip_config.json, none in {directory}"
            )
        name = f"local-dir:{directory}"
        model = open_clip.create_model(name)
        self.model = model.float().eval()
        self.tokenizer = open_clip.get_tokenizer(name)
        self.name = directory.name
        self.num_truncated = 0
        self._batch_size = batch_size
        config = open_clip.get_model_preprocess_cfg(self.model)
        size = config["size"]
        self._size: tuple[int, int] = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        self._mean = torch.tensor(config["mean"]).view(1, 3, 1, 1)
        self._std = torch.tensor(config["std"]).view(1, 3, 1, 1)

    @torch.inference_mode()
    def encode_images(self, images: NDArray[np.uint8]) -> Float[Tensor, "n d"]:
        """Unit features of images ``(n, H, W, 3)``, resized (bicubic, antialiased) to the model's own input size."""
        features = []
        for start in range(0, len(images), self._batch_size):
            pixels = torch.from_numpy(np.ascontiguousarray(images[start : start + self._batch_size]))
            pixels = pixels.permute(0, 3, 1, 2).float() / 255
            if tuple(pixels.shape[-2:]) != self._size:
                pixels = interpolate(pixels, self._size, mode="bicubic", antialias=True).clamp(0, 1)
            features.append(self.model.encode_image((pixels - self._mean) / self._std, normalize=True).float())
        return torch.cat(features)

    @torch.inference_mode()
    def encode_texts(self, captions: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit features of captions; equal captions are encoded once."""
        distinct = list(dict.fromkeys(captions))
        self.num_truncated += self.count_truncated(distinct)
        features = []
        for start in range(0, len(distinct), self._batch_size):
            tokens = self.tokenizer(distinct[start : start + self._batch_size])
            features.append(self.model.encode_text(tokens, normalize=True).float())
        rows = {caption: row for row, caption in enumerate(distinct)}
        return torch.cat(features)[[rows[caption] for caption in captions]]

    def count_truncated(self, captions: Sequence[str]) -> int:
        """How many captions do not fit into the model's context."""
        length = self.tokenizer.context_length
        longer = self.tokenizer(list(captions), context_length=4 * length)
        empty = self.tokenizer([""], context_length=4 * length)[0]
        # The last place of the context holds the end token or padding, unless the caption goes on.
        endings = torch.stack([empty[1], empty[-1]])
        return int((~torch.isin(longer[:, length - 1], endings)).sum())
