r"""Train the segmentation probe, the judge of what a picture shows, with its scene classifier (the features of IS).

python -m data_prep.scapes.train_probe --work runs/family --out models/scapes --seed 2

A second one, of another seed and other widths, steers the closed loop of `generate --rounds`: what steers a picture
must not score it.

python -m data_prep.scapes.train_probe --work runs/family --out models/scapes --seed 5 --windows 12000 \
    --minutes 34 --part steering_probe --widths 16 32 64 96
"""

import argparse

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from data_prep.scapes.command import arguments, record
from data_prep.scapes.corpus import Corpus
from data_prep.scapes.palette import BIOMES, LABEL_BIOMES, LABEL_COLOURS, LABEL_KINDS, LABEL_SKIES, TIMES
from data_prep.scapes.training import Budget, autocast, train
from data_prep.scapes.windows import Place
from data_prep.scapes.world import Facts, World
from lit_outpaint.models.probe import ScapesProbe

BATCH = 48
SCENES = [f"{biome}, {time}" for biome in BIOMES for time in TIMES]
MAPS = ("kind", "colour", "biome", "sky")
UNKNOWN = -100
"""Scene class of windows without sky or ground; ignored by the loss."""


def label_maps(places: list[Place]) -> dict[str, Tensor]:
    """True class maps at half size, int64 ``(B, 64, 64)`` each."""
    labels = [World(place.world).labels(place.x, place.y) for place in places]
    return {name: torch.from_numpy(np.stack([getattr(one, name)[::2, ::2] for one in labels])).long() for name in MAPS}


def scene_class(facts: Facts) -> int:
    """Index of the window's main biome and time of day."""
    if facts.time is None or not facts.biomes:
        return UNKNOWN
    return SCENES.index(f"{max(facts.biomes, key=lambda biome: facts.biomes[biome])}, {facts.time}")


def degrade(pixel_values: Tensor, rng: np.random.Generator) -> Tensor:
    """Blur half of the batch a little: generated windows pass through an autoencoder, and the judge must not mind."""
    half = len(pixel_values) // 2
    small = interpolate(pixel_values[:half], scale_factor=float(rng.uniform(0.4, 0.9)), mode="bilinear", antialias=True)
    blurred = interpolate(small, pixel_values.shape[-2:], mode="bilinear")
    return torch.cat([blurred, pixel_values[half:]])


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", default="probe", help="folder of the family that receives the probe")
    parser.add_argument("--widths", type=int, nargs=4, default=[24, 48, 96, 128], help="channels at each of its sizes")


def main() -> None:
    """Command line."""
    args = arguments(__doc__, minutes=6, lr=3e-3, more=_options)
    corpus = Corpus(args.work, args.windows)
    names = [list(labels) for labels in (LABEL_KINDS, LABEL_COLOURS, LABEL_BIOMES, LABEL_SKIES)]
    probe = ScapesProbe(*names, SCENES, widths=args.widths)
    probe.to(args.device, memory_format=torch.channels_last)

    def loss(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((args.seed, 3, step))
        indices = rng.choice(len(corpus), BATCH, replace=False)
        maps = label_maps([corpus.places[i] for i in indices])
        truth = {name: labels.to(args.device) for name, labels in maps.items()}
        scene = torch.tensor([scene_class(corpus.facts(i)) for i in indices], device=args.device)
        with autocast(args.device):
            output = probe(degrade(corpus.pixel_values(indices), rng).to(args.device))
        losses = {name: cross_entropy(getattr(output, name).float(), truth[name]) for name in MAPS}
        losses["scene"] = cross_entropy(output.scene.float(), scene, ignore_index=UNKNOWN)
        total = losses["kind"] + losses["colour"] + losses["biome"] + losses["sky"] + 0.1 * losses["scene"]
        return {"loss": total, **losses}

    spent = train(probe, loss, Budget(minutes=args.minutes, lr=args.lr), args.work / args.part)
    probe.half().save_pretrained(args.out / args.part)
    record(args, args.part, spent, sum(p.numel() for p in probe.parameters()))


if __name__ == "__main__":
    main()
