"""Held-out panoramas to widen and to compare with, with one clear line for everything that is missing."""

from pathlib import Path

from lit_outpaint.canvas.image_io import load_image
from lit_outpaint.heldout.evalset import EvalPanorama, evalset_dir, read_panoramas
from lit_outpaint.heldout.walks import Geometry, Pixels, Walk
from lit_outpaint.outpainter import OutpainterConfig


def load_panoramas(
    data: Path, direction: str, count: int, steps: int
) -> tuple[list[EvalPanorama], list[Pixels], Geometry]:
    """The first panoramas of a direction by key, cut to the steps that are drawn, with their real pictures.

    Raises:
        ValueError: too few panoramas or steps, several geometries, or a picture of the wrong size.
    """
    directory = evalset_dir(data)
    every = sorted((row for row in read_panoramas(directory) if row.direction == direction), key=lambda row: row.key)
    if not every:
        raise ValueError(
            f"{data} holds no panoramas towards {direction}; prepare some with data_prep all --panorama_directions"
        )
    if len(every) < count:
        raise ValueError(
            f"--panoramas must be at most {len(every)}, the panoramas towards {direction} in {data}; got {count}"
        )
    chosen = every[:count]
    shortest = min(len(row.steps) for row in chosen)
    if steps > shortest:
        raise ValueError(f"--steps must be at most {shortest}, the true steps of {data}; got {steps}")
    geometries = {Geometry(row.direction, row.window_px, row.stride_px) for row in chosen}
    if len(geometries) > 1:
        raise ValueError(f"all panoramas of a run must share window and stride, got {sorted(geometries)}")
    (geometry,) = geometries
    pictures = []
    for row in chosen:
        picture = load_picture(directory / row.image)
        length, side = geometry.length(len(row.steps)), geometry.window_px
        expected = (side, length) if geometry.horizontal else (length, side)
        if picture.shape[:2] != expected:
            raise ValueError(
                f"{directory / row.image} must be {expected[1]} x {expected[0]} px, got {picture.shape[1]} x "
                f"{picture.shape[0]}"
            )
        pictures.append(geometry.start(picture, geometry.length(steps)))
    return [row.model_copy(update={"steps": row.steps[:steps]}) for row in chosen], pictures, geometry


def load_picture(path: Path) -> Pixels:
    """An RGB picture ``(H, W, 3)``.

    Raises:
        ValueError: the file is missing or no picture.
    """
    if not path.is_file():
        raise ValueError(f"the evaluation set names {path}, which is missing; write the set again")
    try:
        return load_image(path)
    except ValueError as error:
        raise ValueError(f"{error}; write the evaluation set again") from error


def walk_of(truth: EvalPanorama, picture: Pixels, geometry: Geometry) -> Walk:
    """What is drawn beside a real panorama: from its start window, with its true captions."""
    captions = tuple(step.local_caption for step in truth.steps)
    return Walk(truth.key, geometry.window_at(picture, 0), truth.global_caption, captions)


def view_px(sampling: OutpainterConfig, geometry: Geometry) -> int:
    """How far back the vision encoder sees, as in ``Outpainter``."""
    if sampling.visual_source == "canvas_so_far":
        return sampling.visual_span_px or geometry.window_px
    return geometry.window_px - geometry.stride_px
