"""Train the autoencoder: a stock ``AutoencoderKL``, f = 8, 4 channels, on windows of the training worlds.

python -m data_prep.scapes.train_vae --work runs/family --out models/scapes
"""

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from data_prep.scapes.command import arguments, record
from data_prep.scapes.corpus import pixel_values
from data_prep.scapes.training import Budget, autocast, train
from data_prep.scapes.windows import rendered_windows

CROP_PX, CROPS = 64, 16
"""The network is convolutional (no attention), so most of the training sees cheap, varied crops."""

FULL_EVERY = 4
"""Every this many steps see whole windows, so that borders are learnt at the size they are used at."""

KL_WEIGHT = 1e-6


def new_vae() -> AutoencoderKL:
    """The untrained autoencoder, 2.6 M parameters."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 128),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=128,
        mid_block_add_attention=False,
    )


def crops(windows: np.ndarray, rng: np.random.Generator, full: bool) -> np.ndarray:
    """A batch of random crops, or of a quarter as many whole windows."""
    if full:
        return windows[np.sort(rng.integers(0, len(windows), CROPS // 4))]
    limit = windows.shape[1] - CROP_PX + 1
    picks = zip(rng.integers(0, len(windows), CROPS), *rng.integers(0, limit, (2, CROPS)), strict=True)
    return np.stack([windows[i, y : y + CROP_PX, x : x + CROP_PX] for i, y, x in picks])


def autoencoder_loss(vae: AutoencoderKL, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Reconstruction (L1 for edges, squared error for the PSNR that is reported) plus a small KL term."""
    with autocast(x.device):
        posterior = vae.encode(x).latent_dist
        reconstruction = vae.decode(posterior.sample(generator)).sample
    difference = reconstruction.float() - x
    l1, mse, kl = difference.abs().mean(), difference.square().mean(), posterior.kl().float().mean()
    kl_per_window = kl * (128 / x.shape[-1]) ** 2
    return {"loss": l1 + 4 * mse + KL_WEIGHT * kl_per_window, "l1": l1, "mse": mse, "kl": kl_per_window}


@torch.inference_mode()
def latent_scale(vae: AutoencoderKL, windows: np.ndarray) -> float:
    """1 / standard deviation of the latents, the meaning of ``scaling_factor``."""
    batches = (pixel_values(windows[i : i + 32]).to(vae.device) for i in range(0, 512, 32))
    latents = [vae.encode(batch).latent_dist.mode() for batch in batches]
    return 1.0 / float(torch.cat(latents).std())


def main() -> None:
    """Command line."""
    args = arguments(__doc__, minutes=40, lr=5e-3)
    windows, _ = rendered_windows(args.work / "windows.npy", args.windows, seed=args.seed)
    vae = new_vae().to(args.device, memory_format=torch.channels_last)
    budget = Budget(minutes=args.minutes, lr=args.lr, ema_decay=0.995)

    def loss(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((args.seed, step))
        generator = torch.Generator(args.device).manual_seed(step)
        batch = pixel_values(crops(windows, rng, step % FULL_EVERY == 0)).to(args.device)
        return autoencoder_loss(vae, batch, generator)

    spent = train(vae, loss, budget, args.work / "vae")
    vae.eval()
    vae.register_to_config(scaling_factor=latent_scale(vae, windows))
    vae.half().save_pretrained(args.out / "vae")
    record(args, "vae", spent, sum(p.numel() for p in vae.parameters()))


if __name__ == "__main__":
    main()
