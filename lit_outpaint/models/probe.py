"""The segmentation probe of the scapes world: class maps from pixels, the judge with ground truth.

Letters: B batch, H = W window side, C classes of a map. The maps come out at half size.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from diffusers import ModelMixin
from diffusers.configuration_utils import ConfigMixin, register_to_config
from jaxtyping import Float
from torch import Tensor, cat, nn
from torch.nn.functional import interpolate


class ProbeOutput(NamedTuple):
    """Logits of every map, ``(B, C, H / 2, W / 2)``, and of the whole scene, ``(B, biomes x times)``."""

    kind: Tensor
    colour: Tensor
    biome: Tensor
    sky: Tensor
    scene: Tensor


class ScapesProbe(ModelMixin, ConfigMixin):
    """A small U-shaped network with one head a label map and a classifier of the scene (the features of IS).

    Args:
        kinds: class names of the object map, index 0 is "none"; likewise ``colours``, ``biomes``, ``skies``.
        scenes: class names of the scene head, ``"biome, time"``.
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the window.
    """

    @register_to_config
    def __init__(
        self,
        kinds: list[str],
        colours: list[str],
        biomes: list[str],
        skies: list[str],
        scenes: list[str],
        widths: Sequence[int] = (24, 48, 96, 128),
    ) -> None:
        super().__init__()
        self.sizes = [len(kinds), len(colours), len(biomes), len(skies)]
        self.down = nn.ModuleList(
            nn.Sequential(_convolution(i, o, stride=2), _convolution(o, o))
            for i, o in zip((3, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(_convolution(deep + shallow, shallow) for shallow, deep in pairwise(widths))
        self.maps = nn.Conv2d(widths[0], sum(self.sizes), 1)
        self.scene = nn.Linear(widths[-1], len(scenes))

    def forward(self, pixel_values: Float[Tensor, "b 3 hh ww"]) -> ProbeOutput:
        """Read windows in [-1, 1]; sides must be multiples of 16."""
        features, skips = pixel_values, []
        for block in self.down:
            features = block(features)
            skips.append(features)
        scene = self.scene(features.mean(dim=(2, 3)))
        for block, skip in zip(reversed(self.up), reversed(skips[:-1]), strict=True):
            features = block(cat([interpolate(features, scale_factor=2.0, mode="nearest"), skip], dim=1))
        kind, colour, biome, sky = self.maps(features).split(self.sizes, dim=1)
        return ProbeOutput(kind, colour, biome, sky, scene)


def _convolution(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(8, out_channels), nn.SiLU())
