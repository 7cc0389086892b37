"""Feature extractors of IS, FID, KID, precision and recall: registered by name, or any module by ``class_path``.

The name of an extractor says which network it is and how pictures are brought to its size: two numbers with different
names cannot be compared. Where several networks may go by one name, ``weights`` tells them apart.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from eval.memo import OncePerTensor
from lit_outpaint.models.probe import ScapesProbe
from lit_outpaint.system.files import shown

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_ADDRESS = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION_FILE}"
_OFFICIAL_DIGEST = "6726825d"

Resize = Literal["none", "bilinear", "bilinear_antialias", "bicubic_antialias", "area"]


class Features(NamedTuple):
    """What an extractor says about a batch, float32."""

    pooled: Float[Tensor, "n d"]
    """For FID, KID, precision and recall."""
    logits: Float[Tensor, "n c"] | None
    """Class scores for IS; None where the network is no classifier."""


@runtime_checkable
class FeatureExtractor(Protocol):
    """A network that turns pictures into features."""

    name: str
    """Network and resize mode, as it stands in the names of metrics."""
    num_features: int
    """Width of ``Features.pooled``."""
    num_classes: int | None
    """Width of ``Features.logits``."""

    def extract(self, pixel_values: Float[Tensor, "n 3 hh ww"]) -> Features:
        """Features of pictures in [-1, 1]; they are rounded to 8 bits first, as a file would hold them."""
        ...


def weights_of(extractor: FeatureExtractor) -> str:
    """What tells an extractor from others of its name: a checksum of its weights, where it says one."""
    return str(getattr(extractor, "weights", ""))


class InceptionExtractor:
    """Inception of torch-fidelity: the features that published IS, FID and KID values rest on.

    Pictures are resized to 299 px as in TensorFlow 1 (bilinear, not antialiased).

    Args:
        weights: the file; that of torch-fidelity in torch's cache when absent. Nothing is downloaded.

    Raises:
        FileNotFoundError: the file is not there; the message says what goes where.
        ValueError: it holds something else.
    """

    num_features = 2048
    num_classes: int | None = 1008

    def __init__(self, weights: Path | None = None) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        path = weights or Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"the inception extractor needs its weights at {shown(path)}; put {INCEPTION_ADDRESS} there, or choose "
                "another extractor"
            )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        official = digest == _OFFICIAL_DIGEST
        self.name = f"inception-v3-compat{'' if official else '-' + digest}_tf1-bilinear-299"
        try:
            # The constructor below would unpickle anything; this refuses all but tensors.
            torch.load(path, map_location="cpu", weights_only=True)
            self._network = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
            )
        except Exception as error:
            raise ValueError(f"{path} must hold the weights of torch-fidelity's Inception: {error}") from error

    @torch.no_grad()
    def extract(self, pixel_values: Float[Tensor, "n 3 hh ww"]) -> Features:
        """Features of a batch of pictures."""
        with _full_precision(pixel_values):
            return Features(*self._network.to(pixel_values.device)(to_levels(pixel_values)))


class ScapesExtractor:
    """The scene classifier of a model family's probe, on pictures of their own size (sides a multiple of 16).

    Args:
        models: a model family with ``probe/``.

    Raises:
        FileNotFoundError: there is none.
    """

    def __init__(self, models: Path = Path("models/scapes")) -> None:
        directory = models / "probe"
        if not (directory / "config.json").is_file():
            raise FileNotFoundError(f"the scapes extractor needs a trained probe in {directory}, found none")
        self._probe = ScapesProbe.from_pretrained(directory).float().eval()
        self.name = "scapes-scene_native"
        self.weights = checksum(self._probe)
        self.num_features: int = self._probe.scene.in_features
        self.num_classes: int | None = self._probe.scene.out_features

    @torch.no_grad()
    def extract(self, pixel_values: Float[Tensor, "n 3 hh ww"]) -> Features:
        """Features of a batch of pictures."""
        if pixel_values.shape[-1] % 16 or pixel_values.shape[-2] % 16:
            raise ValueError(
                f"the scapes extractor needs sides that are multiples of 16, got {pixel_values.shape[-1]} x "
                f"{pixel_values.shape[-2]} px"
            )
        probe = self._probe.to(pixel_values.device)
        with _full_precision(pixel_values):
            maps = to_levels(pixel_values).float().div_(127.5).sub_(1)
            for block in probe.down:
                maps = block(maps)
            pooled = maps.mean(dim=(2, 3))
            return Features(pooled, probe.scene(pooled))


class ModuleExtractor:
    """Any network that maps pictures to one vector each.

    Args:
        module: gets ``(n, 3, h, w)``; gives ``(n, d)``, or more axes that are averaged.
        name: how it stands in the names of metrics; the resize mode is added.
        num_features: d.
        size_px: side that pictures are resized to; their own size when absent.
        resize: how; ``none`` without ``size_px``.
        mean: subtracted from pixels in [0, 1], per channel.
        std: divides them then.
        classifier: the vectors are class scores, good for IS too.
    """

    def __init__(
        self,
        module: nn.Module,
        name: str,
        num_features: int,
        size_px: int | None = None,
        resize: Resize = "none",
        mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
        std: tuple[float, float, float] = (0.5, 0.5, 0.5),
        classifier: bool = False,
    ) -> None:
        if (size_px is None) != (resize == "none"):
            raise ValueError(f"size_px and resize must be given together, got {size_px} and {resize}")
        self._module = module.eval()
        self.weights = checksum(module)
        self._size_px, self._resize = size_px, resize
        self._mean, self._std = (torch.tensor(part).view(1, 3, 1, 1) for part in (mean, std))
        self.name = f"{name}_{'native' if size_px is None else f'{resize}-{size_px}'}"
        self.num_features = num_features
        self.num_classes = num_features if classifier else None

    @torch.no_grad()
    def extract(self, pixel_values: Float[Tensor, "n 3 hh ww"]) -> Features:
        """Features of a batch of pictures."""
        with _full_precision(pixel_values):
            pixels = to_levels(pixel_values).float().div_(255)
            if self._size_px is not None:
                pixels = _resized(pixels, self._size_px, self._resize)
            device = pixels.device
            values = self._module.to(device)(pixels.sub_(self._mean.to(device)).div_(self._std.to(device))).float()
        pooled = values.flatten(2).mean(dim=2) if values.ndim > 2 else values
        return Features(pooled, pooled if self.num_classes is not None else None)


class SharedExtractor:
    """Extracts once for all metrics that are handed the same tensor.

    Args:
        inner: does the work.
    """

    def __init__(self, inner: FeatureExtractor) -> None:
        self.name, self.num_features, self.num_classes = inner.name, inner.num_features, inner.num_classes
        self.weights = weights_of(inner)
        self._once = OncePerTensor(inner.extract)

    def __deepcopy__(self, memo: Any) -> "SharedExtractor":
        # Copies of a metric look through the same network.
        return self

    def extract(self, pixel_values: Float[Tensor, "n 3 hh ww"]) -> Features:
        """Features of a batch of pictures."""
        return self._once(pixel_values)


_REGISTERED: dict[str, Callable[..., FeatureExtractor]] = {
    "inception": InceptionExtractor,
    "scapes": ScapesExtractor,
}


def register_extractor(name: str, factory: Callable[..., FeatureExtractor]) -> None:
    """Make an extractor known by name.

    Args:
        name: without a colon.
        factory: called with a path where the user writes ``NAME:PATH``, else without arguments.

    Raises:
        ValueError: the name is taken, or holds a colon.
    """
    if ":" in name or name in _REGISTERED:
        raise ValueError(f"an extractor's name must be new and without a colon, got {name!r}")
    _REGISTERED[name] = factory


def find_extractor(choice: "str | FeatureExtractor") -> FeatureExtractor:
    """The extractor of a configuration: an object, or a registered name such as ``inception`` or ``scapes:DIRECTORY``.

    A name gives the same object every time, so that metrics share its work.

    Raises:
        ValueError: nothing of that name is registered.
        FileNotFoundError: its weights are not there.
    """
    if isinstance(choice, str):
        return _registered(choice)
    return choice if isinstance(choice, SharedExtractor) else SharedExtractor(choice)


@cache
def _registered(choice: str) -> FeatureExtractor:
    name, _, path = choice.partition(":")
    if name not in _REGISTERED:
        raise ValueError(f"the extractor must be one of {', '.join(_REGISTERED)}, got {choice!r}")
    return SharedExtractor(_REGISTERED[name](*([Path(path)] if path else [])))


def checksum(module: nn.Module) -> str:
    """The first digits of the SHA-256 of a network's parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def to_levels(pixel_values: Float[Tensor, "..."]) -> Tensor:
    """Pictures in [-1, 1] as 8-bit levels."""
    # Clamping makes a tensor of its own, which the rest is written to.
    return pixel_values.detach().float().clamp(-1, 1).add_(1).mul_(127.5).round_().to(torch.uint8)


def _resized(pixels: Tensor, size_px: int, resize: Resize) -> Tensor:
    if resize == "area":
        return interpolate(pixels, (size_px, size_px), mode="area")
    mode, _, antialias = resize.partition("_")
    return interpolate(pixels, (size_px, size_px), mode=mode, antialias=bool(antialias)).clamp(0, 1)


def _full_precision(batch: Tensor) -> Any:
    """No autocast: metrics run inside of training, too."""
    return torch.autocast(batch.device.type, enabled=False)
