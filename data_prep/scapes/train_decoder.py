"""Train the autoencoder's decoder further on its frozen encoder, so that latents stay what they are.

    python -m data_prep.scapes.train_decoder --work runs/family --out models/scapes

Squared and absolute error alone leave edges soft: where the latents do not say on which pixel an edge lies, the mean of
all places is best. Two terms count against that: the error of the Laplacian, and of its energy in small squares, which
a blurred edge lacks wherever it lies. A third compares features of the probe.
"""

import numpy as np
import torch
from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, mse_loss

from data_prep.scapes.command import arguments, forget_origin, record
from data_prep.scapes.corpus import pixel_values
from data_prep.scapes.training import Budget, autocast, train
from data_prep.scapes.windows import rendered_windows
from lit_outpaint.models.probe import ScapesProbe

BATCH = 8
LUMA = (0.299, 0.587, 0.114)
LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))
ENERGY_PX = 8
"""Side of the squares in which the energy of the Laplacian is compared, px."""

EDGE_WEIGHT, ENERGY_WEIGHT, FEATURE_WEIGHT = 0.25, 0.5, 0.05


def laplacian(pixel_values: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 hh ww"]:
    """Laplacian of the luma, without the outermost line of pixels."""
    luma = (pixel_values * pixel_values.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    return conv2d(luma, luma.new_tensor(LAPLACIAN).view(1, 1, 3, 3))


def energy(edges: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 hh ww"]:
    """Root mean square in squares of `ENERGY_PX`, which overlap by half."""
    return (avg_pool2d(edges.square(), ENERGY_PX, ENERGY_PX // 2) + 1e-5).sqrt()


def feature_distance(probe: ScapesProbe, one: Tensor, other: Tensor) -> Tensor:
    """Mean squared distance of the probe's unit feature vectors over its first three sizes, as in LPIPS."""
    total = one.new_zeros(())
    for block in list(probe.down)[:3]:
        one, other = block(one), block(other)
        first, second = (
            features.float() / (features.float().norm(dim=1, keepdim=True) + 1e-4) for features in (one, other)
        )
        total = total + mse_loss(first, second, reduction="none").sum(dim=1).mean()
    return total


def decoder_loss(reconstruction: Tensor, truth: Tensor, probe: ScapesProbe) -> dict[str, Tensor]:
    """Absolute and squared error, the edge terms and the probe's distance, all of pixels in [-1, 1]."""
    difference = reconstruction.float() - truth
    drawn, real = laplacian(reconstruction.float()), laplacian(truth)
    parts = {
        "l1": difference.abs().mean(),
        "mse": difference.square().mean(),
        "edges": (drawn - real).abs().mean(),
        "energy": (energy(drawn) - energy(real)).abs().mean(),
        "features": feature_distance(probe, reconstruction, truth),
    }
    loss = parts["l1"] + 4 * parts["mse"] + EDGE_WEIGHT * parts["edges"] + ENERGY_WEIGHT * parts["energy"]
    with torch.no_grad():
        parts["sharpness"] = drawn.std() / real.std()
    return {"loss": loss + FEATURE_WEIGHT * parts["features"], **parts}


def main() -> None:
    """Command line."""
    args = arguments(__doc__, minutes=40, lr=2e-3, batch_size=BATCH)
    windows, _ = rendered_windows(args.work / "windows.npy", args.windows, seed=args.seed)
    device = args.device
    vae = AutoencoderKL.from_pretrained(args.out, subfolder="vae").float().to(device, memory_format=torch.channels_last)
    probe = ScapesProbe.from_pretrained(args.out / "probe").float().to(device).requires_grad_(False)
    vae.requires_grad_(False)
    for part in (vae.post_quant_conv, vae.decoder):
        part.requires_grad_(True)
        if args.compile:
            part.compile()

    # On a GPU all windows lie on the card.
    table = torch.tensor(windows, device=device) if device.type == "cuda" else None

    def loss(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((args.seed, 6, step))
        indices = np.sort(rng.choice(len(windows), args.batch_size, replace=False))
        truth = pixel_values(windows[indices] if table is None else table[torch.from_numpy(indices).to(device)])
        with autocast(device):
            with torch.no_grad():
                latents = vae.encode(truth).latent_dist.mode()
            reconstruction = vae.decode(latents).sample
            return decoder_loss(reconstruction, truth, probe)

    budget = Budget(minutes=args.minutes, lr=args.lr, decay_share=0.6, ema_decay=0.99, checkpoint_minutes=2.0)
    spent = train(vae, loss, budget, args.work / "decoder", log_every=20)
    forget_origin(vae)
    vae.half().save_pretrained(args.out / "vae")
    record(args, "decoder", spent, sum(p.numel() for p in vae.parameters() if p.requires_grad))


if __name__ == "__main__":
    main()
