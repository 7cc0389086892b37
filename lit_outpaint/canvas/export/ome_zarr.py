"""The canvas as an OME-Zarr 0.5 image, for napari, vizarr, neuroglancer and other readers of chunked pictures.

The specification (https://ngff.openmicroscopy.org/0.5) wants a group with an array per level and the axes in the order
channel, y, x; the canvas itself is one array with the channel last, hence a copy.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy import ndarray

from lit_outpaint.canvas.directories import directory_written_whole
from lit_outpaint.canvas.export.pyramid import Pyramid
from lit_outpaint.canvas.store import Canvas

_AXES = ({"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"})
_CHANNELS = (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
_SHARD_PX, _CHUNK_PX = 1024, 256
"""A shard is a file and is written once; a chunk is the least that a reader fetches."""


def write_ome_zarr(canvas: Canvas, path: Path, provenance: str = "{}") -> None:
    """Write what the canvas holds, losslessly; pixels that are not known are 0.

    Args:
        canvas: what to write.
        path: directory, replaced when the picture is complete.
        provenance: JSON that says how the picture came to be; attribute ``lit_outpaint`` of the group.
    """
    import zarr

    pyramid = Pyramid(canvas, _SHARD_PX, smallest_px=_CHUNK_PX)
    attributes = {"ome": _image_metadata(pyramid), "lit_outpaint": json.loads(provenance)}
    with directory_written_whole(path) as draft:
        group = zarr.create_group(draft, zarr_format=3, attributes=attributes)
        arrays = [
            group.create_array(
                str(level),
                shape=(3, height, width),
                chunks=(3, _CHUNK_PX, _CHUNK_PX),
                shards=(3, _SHARD_PX, _SHARD_PX),
                dtype="uint8",
                fill_value=0,
                dimension_names=[axis["name"] for axis in _AXES],
            )
            for level, (width, height) in enumerate(pyramid.sizes)
        ]

        def write(level: int, column: int, row: int, pixels: ndarray) -> None:
            y, x = row * _SHARD_PX, column * _SHARD_PX
            arrays[level][:, y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels[..., :3].transpose(2, 0, 1)

        pyramid.walk(write)


def _image_metadata(pyramid: Pyramid) -> dict[str, Any]:
    """The ``ome`` attribute; the origin of the coordinates is that of the canvas."""
    box = pyramid.canvas.box
    datasets = []
    for level in range(len(pyramid.sizes)):
        scale = 2.0**level
        centre = (scale - 1) / 2  # The middle of a coarse pixel lies between those of the fine ones.
        transformations = [
            {"type": "scale", "scale": [1.0, scale, scale]},
            {"type": "translation", "translation": [0.0, box.y0 + centre, box.x0 + centre]},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    window = {"start": 0, "end": 255, "min": 0, "max": 255}
    channels = [{"label": name, "color": colour, "active": True, "window": window} for name, colour in _CHANNELS]
    return {
        "version": "0.5",
        "multiscales": [{"name": "canvas", "axes": list(_AXES), "datasets": datasets, "type": "mean of 2 x 2"}],
        "omero": {"channels": channels, "rdefs": {"model": "color"}},
    }
