"""The judge of scapes pictures: reads windows with the segmentation probe, see `eval.readings` for its words."""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label as connected_components
from torch import Tensor

from eval.readings import ClassNames, JudgeConfig, LabelMaps, Piece, Reading
from lit_outpaint.canvas.geometry import HEADINGS, Box, Direction
from lit_outpaint.models.probe import ScapesProbe

TIMES = ("dawn", "day", "dusk", "night")


class Judge:
    """Reads windows with the segmentation probe.

    Args:
        probe: a ``ScapesProbe`` in eval mode.
        config: thresholds of the readings.
        batch_size: windows per forward pass.
    """

    def __init__(self, probe: ScapesProbe, config: JudgeConfig = JudgeConfig(), batch_size: int = 64) -> None:
        self.config = config
        self.names = ClassNames(*(tuple(getattr(probe.config, name)) for name in ClassNames._fields))
        self._probe = probe
        self._batch_size = batch_size

    def __deepcopy__(self, memo: Any) -> "Judge":
        # Copies of a metric look through the same network.
        return self

    @torch.inference_mode()
    def look(self, windows: NDArray[np.uint8]) -> "Looks":
        """Label maps and scene logits of windows ``(n, H, W, 3)``."""
        maps: list[LabelMaps] = []
        scenes: list[Tensor] = []
        for start in range(0, len(windows), self._batch_size):
            pixels = torch.from_numpy(np.ascontiguousarray(windows[start : start + self._batch_size]))
            output = self._probe(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)
            labels = [getattr(output, name).argmax(dim=1).numpy() for name in LabelMaps._fields]
            maps += [LabelMaps(*parts) for parts in zip(*labels, strict=True)]
            scenes.append(output.scene.float())
        return Looks(maps, torch.cat(scenes))

    def read(self, maps: Sequence[LabelMaps]) -> list[Reading]:
        """Readings of label maps, whole windows or strips of them."""
        return [read_labels(item, self.names, self.config) for item in maps]


@cache
def load_judge(models: Path, config: JudgeConfig) -> Judge:
    """The probe of a model family with the thresholds of a run.

    Raises:
        FileNotFoundError: the family has no probe.
    """
    directory = models / "probe"
    if not (directory / "config.json").is_file():
        raise FileNotFoundError(f"--models must hold a trained probe in probe/, found none in {models}")
    return Judge(ScapesProbe.from_pretrained(directory).float().eval(), config)


def judges_hash(models: Path) -> str:
    """The first digits of a checksum of the weights in ``probe/`` and ``eval_clip/`` of a family: who judged a run."""
    digest = hashlib.sha256()
    for path in sorted(path for part in ("probe", "eval_clip") for path in (models / part).rglob("*.safetensors")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


class Looks(NamedTuple):
    """What the probe said about a batch of windows."""

    maps: list[LabelMaps]
    scene_logits: Tensor
    """``(n, scenes)``, the classifier behind the Inception Score."""


def read_labels(maps: LabelMaps, names: ClassNames, config: JudgeConfig) -> Reading:
    """Turn label maps into a reading; see the module docstring for what each field means."""
    sky_px = {name: int((maps.sky == index).sum()) for index, name in enumerate(names.skies)}
    time_px = {name: sky_px.get(name, 0) for name in TIMES}
    sky_total = sum(time_px.values()) + sky_px.get("cloud", 0)
    cloudy = sky_px.get("cloud", 0) >= config.cloud_share * sky_total
    ground = {name: int((maps.biome == index).sum()) for index, name in enumerate(names.biomes) if index > 0}
    ground_total = sum(ground.values())
    pieces = _pieces(maps, names, config)
    return Reading(
        time=max(time_px, key=lambda name: time_px[name]) if any(time_px.values()) else None,
        weather=("cloudy" if cloudy else "clear") if sky_total else None,
        mountains=sky_px.get("mountain", 0) >= config.mountain_share * maps.sky.size,
        biomes={name: count / ground_total for name, count in ground.items() if count},
        objects=frozenset((piece.kind, piece.colour) for piece in pieces),
        pieces=tuple(pieces),
    )


def strip_of(maps: LabelMaps, direction: Direction, share: float) -> LabelMaps:
    """The part of a window's label maps that a step added.

    Args:
        maps: of the whole window.
        direction: side that grew.
        share: of the window that is new, in (0, 1].
    """
    height, width = maps.kind.shape
    window, heading = Box(0, 0, width, height), HEADINGS[direction]
    edge = heading.outer(window)
    new = heading.between(window, edge - heading.sign * round(heading.length(window) * share), edge)
    return LabelMaps(*(item[new.y0 : new.y1, new.x0 : new.x1] for item in maps))


def _pieces(maps: LabelMaps, names: ClassNames, config: JudgeConfig) -> list[Piece]:
    found: list[Piece] = []
    for index in np.unique(maps.kind):
        whole = maps.kind == index
        if index == 0 or whole.sum() < config.min_object_px:
            continue
        components = connected_components(whole, connectivity=2)
        sizes = np.bincount(components.ravel())[1:]
        large = [number for number, size in enumerate(sizes, start=1) if size >= config.min_object_px]
        # An object in crumbs is still seen; all its crumbs together then name the colour.
        masks = [components == number for number in large] or [whole]
        found += [_piece(names.kinds[index], mask, maps.colour, names, config) for mask in masks]
    return found


def _piece(
    kind: str, mask: NDArray[np.bool_], colours: NDArray[np.integer], names: ClassNames, config: JudgeConfig
) -> Piece:
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    return Piece(
        kind=kind,
        colour=_colour(colours[mask], names, config),
        num_px=len(rows),
        x=float((columns.mean() + 0.5) / width),
        y=float((rows.mean() + 0.5) / height),
        box=(
            float(columns.min() / width),
            float(rows.min() / height),
            float((columns.max() + 1) / width),
            float((rows.max() + 1) / height),
        ),
    )


def _colour(colours: NDArray[np.integer], names: ClassNames, config: JudgeConfig) -> str | None:
    counts = np.bincount(colours, minlength=len(names.colours))
    coloured = counts[1:].sum()
    if coloured == 0 or coloured < config.min_colour_share * len(colours):
        return None
    return names.colours[int(counts[1:].argmax()) + 1]
