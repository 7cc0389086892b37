"""Latents of the training windows, encoded once each and kept on disk."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from data_prep.scapes.corpus import pixel_values
from data_prep.scapes.training import autocast

CHUNK = 64


class WindowLatents:
    """Scaled latents (posterior mode) of windows, float16, in a file that fills as windows are first asked for.

    A window that is not in the file yet is encoded then: training starts at once, and a short one pays for no more
    than it sees. `fill` encodes the rest beforehand, as a fast device wants it. A process that is killed leaves a file
    that the next one continues with; latents of zeros stand for what is missing, which no window has.
    """

    def __init__(self, path: Path, windows: NDArray[np.uint8], vae: AutoencoderKL, device: torch.device) -> None:
        """Open or start the file.

        Raises:
            ValueError: the file holds another number of windows.
        """
        self.windows, self.vae, self.device = windows, vae, device
        side = windows.shape[1] // 2 ** (len(vae.config.block_out_channels) - 1)
        shape = (len(windows), vae.config.latent_channels, side, side)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            partial = path.with_suffix(".partial")
            np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape).flush()
            partial.rename(path)
        self.store = np.load(path, mmap_mode="r+")
        if self.store.shape != shape:
            raise ValueError(
                f"{path} must hold latents of shape {shape}, it holds {self.store.shape}; delete it to encode again"
            )

    def take(self, indices: NDArray[np.int64]) -> Float[Tensor, "b c h w"]:
        """Latents of some windows, float32."""
        picked = self.store[indices]
        missing = ~picked.any(axis=(1, 2, 3))
        if missing.any():
            picked[missing] = self._encode(indices[missing])
            self.store[indices[missing]] = picked[missing]
        return torch.from_numpy(picked).float()

    def fill(self) -> None:
        """Encode every window that is missing."""
        for start in range(0, len(self.windows), CHUNK):
            self.take(np.arange(start, min(start + CHUNK, len(self.windows))))

    @torch.inference_mode()
    def _encode(self, indices: NDArray[np.int64]) -> NDArray[np.float16]:
        with autocast(self.device):
            latents = self.vae.encode(pixel_values(self.windows[indices]).to(self.device)).latent_dist.mode()
        return (latents.float() * self.vae.config.scaling_factor).half().cpu().numpy()
