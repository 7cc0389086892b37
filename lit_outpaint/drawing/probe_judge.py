"""The embedded judge of the closed loop: a segmentation probe of the scapes world.

The one that steers is a probe of its own, of another seed and other widths than that of `eval`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad

from lit_outpaint.captions.negations import affirmed
from lit_outpaint.drawing.edit_operations import Seen, Wanted
from lit_outpaint.drawing.judging import Look, Pictures, Wish
from lit_outpaint.models.probe import ScapesProbe
from lit_outpaint.planning.inflection import singular_word
from lit_outpaint.planning.phrases import class_of
from lit_outpaint.planning.placement import FREE, Placement
from lit_outpaint.planning.regions import RegionPlan


@dataclass(frozen=True, kw_only=True)
class ProbeJudge:
    """Reads pictures with a segmentation probe; knows things, colours and scenery by the names of its classes."""

    path: str = "models/scapes/steering_probe"
    """Directory of the probe."""
    min_thing_px: int = 16
    """Label-map pixels (of 64 x 64 for a window of 128 px) from which on a thing is seen."""
    min_scenery: float = 0.03
    """Share of the picture from which on a kind of sky or ground is seen."""
    name: str = field(default="probe", init=False)
    """Who judges."""

    def __post_init__(self) -> None:
        if not (Path(self.path) / "config.json").is_file():
            raise ValueError(f"path must be the directory of a probe, found none in {self.path}; train one, or name it")
        if self.min_thing_px < 1:
            raise ValueError(f"min_thing_px must be at least 1, got {self.min_thing_px}")

    @cached_property
    def probe(self) -> ScapesProbe:
        """The network."""
        return ScapesProbe.from_pretrained(self.path).float().eval()

    def wish(self, plan: RegionPlan, placed: Mapping[str, Placement]) -> Wish:
        """The regions whose thing is one of the probe's kinds, and the scenery that the base prompt names."""
        things = []
        for region in plan.regions:
            phrase = region.thing or region.prompt
            kind = class_of(phrase, self.probe.config.kinds[1:])
            if kind is not None:
                colour = class_of(phrase, self.probe.config.colours[1:])
                box, bound = region.box.as_tuple(), placed.get(region.id, FREE)
                things.append(Wanted(id=region.id, kind=kind, colour=colour, box=box, placed=bound))
        said = affirmed(plan.base_prompt.lower())
        words = [singular_word(word) for word in re.findall(r"[a-z]+", said)]
        words = ["cloud" if word == "cloudy" else word for word in words]
        names = [*self.probe.config.skies[1:], *self.probe.config.biomes[1:]]
        return Wish(tuple(things), frozenset(names) & frozenset(words))

    @torch.inference_mode()
    def look(self, pictures: Pictures) -> list[Look]:
        """The connected pieces of each kind, and the scenery that covers enough."""
        pixels = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
        height, width = pixels.shape[-2:]
        # The probe reads sides that are multiples of 16, and pictures those of 8.
        whole = pad(pixels, (0, -width % 16, 0, -height % 16), mode="replicate")
        output = self.probe(whole)
        scale = whole.shape[-1] // output.kind.shape[-1]
        kind, colour, biome, sky = (
            part.argmax(dim=1)[:, : height // scale, : width // scale].numpy() for part in output[:4]
        )
        return [self._look(kind[i], colour[i], biome[i], sky[i]) for i in range(len(pictures))]

    def _look(
        self,
        kind: NDArray[np.integer],
        colour: NDArray[np.integer],
        biome: NDArray[np.integer],
        sky: NDArray[np.integer],
    ) -> Look:
        config = self.probe.config
        things = []
        for piece in connected_pieces(kind):
            if piece.sum() >= self.min_thing_px:
                counts = np.bincount(colour[piece], minlength=len(config.colours))[1:]
                coloured = counts.sum() >= 0.1 * piece.sum()
                things.append(
                    Seen(
                        kind=config.kinds[int(kind[piece][0])],
                        colour=config.colours[int(counts.argmax()) + 1] if coloured else None,
                        box=_bounds(piece),
                        share=float(piece.mean()),
                    )
                )
        shares = {name: float((sky == number).mean()) for number, name in enumerate(config.skies)}
        shares |= {name: float((biome == number).mean()) for number, name in enumerate(config.biomes)}
        return Look(tuple(things), frozenset(name for name, share in shares.items() if share >= self.min_scenery))


def connected_pieces(classes: NDArray[np.integer]) -> list[NDArray[np.bool_]]:
    """The pieces of each class above 0 that hang together, corners included, largest first.

    Each position takes the largest number among its neighbours of its class until nothing changes.
    """
    numbers = np.arange(1, classes.size + 1).reshape(classes.shape) * (classes > 0)
    while True:
        before = numbers
        padded, around = np.pad(numbers, 1), np.pad(classes, 1)
        height, width = classes.shape
        for dy in range(3):
            for dx in range(3):
                same = around[dy : dy + height, dx : dx + width] == classes
                numbers = np.maximum(numbers, padded[dy : dy + height, dx : dx + width] * (same & (classes > 0)))
        if (numbers == before).all():
            break
    pieces = [numbers == number for number in np.unique(numbers[numbers > 0])]
    return sorted(pieces, key=lambda piece: -int(piece.sum()))


def _bounds(piece: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(piece)
    height, width = piece.shape
    return (
        float(columns.min() / width),
        float(rows.min() / height),
        float((columns.max() + 1) / width),
        float((rows.max() + 1) / height),
    )
