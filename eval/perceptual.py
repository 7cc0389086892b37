"""Backbones of LPIPS: a network whose feature maps are compared."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from eval.functional.lpips import lpips_distance
from lit_outpaint.models.probe import ScapesProbe
from lit_outpaint.system.files import shown

_BACKBONES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}


@runtime_checkable
class PerceptualDistance(Protocol):
    """A distance of pictures."""

    name: str
    """As it stands in the names of metrics."""

    def distance(self, one: Float[Tensor, "n 3 hh ww"], other: Float[Tensor, "n 3 hh ww"]) -> Float[Tensor, " n"]:
        """Distance of each pair of pictures in [-1, 1]."""
        ...


class Lpips:
    """LPIPS 0.1 with an ImageNet backbone and the learned weights that torchmetrics carries.

    Args:
        net: the backbone.
        backbone: its weights as torchvision publishes them; those in torch's cache when absent. Nothing is downloaded.

    Raises:
        FileNotFoundError: the weights are not there; the message says what goes where.
    """

    def __init__(self, net: Literal["alex", "vgg", "squeeze"] = "vgg", backbone: Path | None = None) -> None:
        from torchmetrics.functional.image import lpips as published

        file = _BACKBONES[net]
        path = backbone or Path(torch.hub.get_dir()) / "checkpoints" / file
        if not path.is_file():
            raise FileNotFoundError(
                f"LPIPS needs its backbone's weights at {shown(path)}; put https://download.pytorch.org/models/{file} "
                "there, or choose another distance"
            )
        heads = Path(published.__file__).parent / "lpips_models" / f"{net}.pth"
        network: Any = published._LPIPS(pretrained=False, net=net, pnet_rand=True, use_dropout=True).eval()
        network.load_state_dict(torch.load(heads, map_location="cpu", weights_only=True), strict=False)
        stored = torch.load(path, map_location="cpu", weights_only=True)
        _load_backbone(network.net, stored, path)
        self._network = network
        self._weights = [head.model[-1].weight.flatten() for head in network.lins]
        self.name = f"lpips-{net}"

    def __deepcopy__(self, memo: Any) -> Self:
        # Copies of a metric look through the same network.
        return self

    @torch.no_grad()
    def distance(self, one: Float[Tensor, "n 3 hh ww"], other: Float[Tensor, "n 3 hh ww"]) -> Float[Tensor, " n"]:
        """Distance of each pair of pictures."""
        network = self._network.to(one.device)
        layers, other_layers = (list(network.net(network.scaling_layer(pictures))) for pictures in (one, other))
        return lpips_distance(layers, other_layers, [weight.to(one.device) for weight in self._weights])


class ModuleLpips:
    """The same distance over the feature maps of any network, all channels weighted alike.

    Args:
        module: maps pictures in [-1, 1] to a sequence of ``(n, channels, h, w)``.
        name: as it stands in the names of metrics.
    """

    def __init__(self, module: nn.Module, name: str) -> None:
        self._module = module.eval()
        self.name = f"lpips_uniform-{name}"

    def __deepcopy__(self, memo: Any) -> Self:
        # Copies of a metric look through the same network.
        return self

    @torch.no_grad()
    def distance(self, one: Float[Tensor, "n 3 hh ww"], other: Float[Tensor, "n 3 hh ww"]) -> Float[Tensor, " n"]:
        """Distance of each pair of pictures."""
        module = self._module.to(one.device)
        return lpips_distance(module(one), module(other))


class ScapesLpips:
    """The same distance over the feature maps of a model family's probe; works offline.

    Args:
        models: a model family with ``probe/``.
    """

    def __init__(self, models: Path = Path("models/scapes")) -> None:
        directory = models / "probe"
        if not (directory / "config.json").is_file():
            raise FileNotFoundError(f"the scapes distance needs a trained probe in {directory}, found none")
        self._inner = ModuleLpips(_Stages(ScapesProbe.from_pretrained(directory).float()), "scapes-probe")
        self.name = self._inner.name

    def distance(self, one: Float[Tensor, "n 3 hh ww"], other: Float[Tensor, "n 3 hh ww"]) -> Float[Tensor, " n"]:
        """Distance of each pair of pictures."""
        return self._inner.distance(one, other)


class _Stages(nn.Module):
    def __init__(self, probe: Any) -> None:
        super().__init__()
        self.down = probe.down

    def forward(self, pictures: Tensor) -> Sequence[Tensor]:
        stages = []
        for block in self.down:
            pictures = block(pictures)
            stages.append(pictures)
        return stages


def _load_backbone(network: Any, stored: dict[str, Tensor], path: Path) -> None:
    """Fill a backbone that is cut into slices; its layers keep the numbers that they have in the whole network."""
    wanted = {name: re.sub(r"^slices?\.?\d+", "features", name) for name in network.state_dict()}
    missing = [source for source in wanted.values() if source not in stored]
    if missing:
        raise ValueError(f"{path} must hold {missing[0]} of the backbone; it is another network's file")
    network.load_state_dict({name: stored[source] for name, source in wanted.items()})
