import json
from pathlib import Path

import numpy as np
import zarr

from lit_outpaint.canvas.export.ome_zarr import write_ome_zarr
from lit_outpaint.canvas.export.provenance import provenance_json
from lit_outpaint.canvas.export.pyramid import halve
from lit_outpaint.canvas.store import Canvas


def test_the_levels_hold_the_picture_channel_first(whole: Canvas, tmp_path: Path) -> None:
    write_ome_zarr(whole, tmp_path / "a.ome.zarr")
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r", zarr_format=3)
    levels = [group[str(level)][:].transpose(1, 2, 0) for level in range(3)]
    np.testing.assert_array_equal(levels[0], whole.read(whole.box))
    np.testing.assert_array_equal(levels[1], halve(levels[0]))
    assert levels[2].shape == (75, 175, 3)
    assert "3" not in group


def test_the_metadata_is_what_the_specification_wants(cross: Canvas, tmp_path: Path, facts: dict) -> None:
    write_ome_zarr(cross, tmp_path / "a.ome.zarr", provenance_json(cross, facts))
    group = json.loads((tmp_path / "a.ome.zarr" / "zarr.json").read_text())
    assert group["node_type"] == "group"
    ome = group["attributes"]["ome"]
    (image,) = ome["multiscales"]
    assert ome["version"] == "0.5"
    assert [(axis["name"], axis["type"]) for axis in image["axes"]] == [
        ("c", "channel"),
        ("y", "space"),
        ("x", "space"),
    ]
    for level, dataset in enumerate(image["datasets"]):
        array = json.loads((tmp_path / "a.ome.zarr" / dataset["path"] / "zarr.json").read_text())
        assert array["dimension_names"] == ["c", "y", "x"]
        scale, translation = dataset["coordinateTransformations"]
        assert scale == {"type": "scale", "scale": [1.0, 2.0**level, 2.0**level]}
        middle = (2**level - 1) / 2
        assert translation == {"type": "translation", "translation": [0.0, -57 + middle, -103 + middle]}
    assert group["attributes"]["lit_outpaint"]["steps"][1]["local_caption"] == "a kite"


def test_a_second_export_replaces_the_first(whole: Canvas, cross: Canvas, tmp_path: Path) -> None:
    for canvas in (whole, cross):
        write_ome_zarr(canvas, tmp_path / "a.ome.zarr")
    assert zarr.open_group(tmp_path / "a.ome.zarr", mode="r")["0"].shape == (3, 158, 333)
    assert [path.name for path in tmp_path.glob("a.ome.zarr*")] == ["a.ome.zarr"]
