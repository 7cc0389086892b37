"""Time and peak memory of each export of a large canvas.

    python -m benchmarks.export

Each export runs in a process of its own, and the peak of its resident memory is read when it ends. ``nothing`` opens
the canvas and imports the exporters: what is above it, the export needs. The canvas is made once, of noise, and
is removed in the end. Beside ours, libvips' own writers of deep zoom and TIFF, fed the same rows:

    python -m benchmarks.export --sizes 20000x4096 200000x512 --formats dzi libvips-dzi tiff libvips-tiff \
      --report benchmarks/reports/export_libvips.json
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import zarr

from benchmarks.commands import refusing
from lit_outpaint.canvas.export.flat_files import _Feed
from lit_outpaint.canvas.export.formats import FORMATS, write_exports
from lit_outpaint.canvas.export.png import png_stream, write_png
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.store import ARRAY_NAME, Canvas
from lit_outpaint.cli.one_line_parser import OneLineParser

REPORT = Path(__file__).parent / "reports" / "export.json"
OURS = ("png", *FORMATS)
CHOICES = (*OURS, "libvips-dzi", "libvips-tiff")
SIZES = ("200000x512", "20000x4096", "16000x1024")
_COLUMN_PX = 512
_MIB = 1 << 20


@refusing
def main() -> None:
    """Run every export at every size, or the one export that the parent process asks for."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", nargs="+", type=_size, default=SIZES, help="widths and heights in pixels")
    parser.add_argument("--formats", nargs="+", choices=CHOICES, default=OURS, help="what to export")
    parser.add_argument("--dir", help="where to make the canvases; a temporary directory when absent")
    parser.add_argument("--report", type=Path, help="where the report goes, which only a whole run writes by itself")
    parser.add_argument("--one", nargs=2, metavar=("FORMAT", "DIR"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        export_one(args.one[0], Path(args.one[1]))
        return
    rows = {}
    for size in args.sizes:
        with tempfile.TemporaryDirectory(dir=args.dir) as place:
            make_canvas(Path(place), *map(int, size.split("x")))
            for name in ["nothing", *args.formats]:
                row = rows[f"{size} {name}"] = measure(name, Path(place))
                print(f"{size:>14s} {name:9s}", *(f"{key} {value}" for key, value in row.items()), flush=True)
    whole = set(args.sizes) == set(SIZES) and set(args.formats) == set(OURS)
    if report := args.report or (REPORT if whole else None):
        write_report({"sizes": args.sizes}, rows, report)


def _size(text: str) -> str:
    """A width and a height, of at least the picture that a canvas begins with."""
    sides = re.fullmatch(r"([0-9]+)x([0-9]+)", text)
    if sides is None or min(map(int, sides.groups())) < _COLUMN_PX:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT of at least {_COLUMN_PX} px each, got {text!r}")
    return text


def make_canvas(directory: Path, width: int, height: int) -> None:
    """A canvas of one image, written in columns so that it need not fit into memory."""
    canvas = Canvas.create(directory, _noise(_COLUMN_PX, _COLUMN_PX, 0), reserve=Box(0, 0, width, height))
    for left in range(0, width, _COLUMN_PX):
        column = Box(left, 0, min(left + _COLUMN_PX, width), height)
        canvas._array[column] = _noise(column.height, column.width, left)
    zarr.open_array(directory / ARRAY_NAME, mode="r+").attrs["image_box"] = [0, 0, width, height]


def _noise(height: int, width: int, seed: int) -> np.ndarray:
    """Smooth colours under five bits of noise, which pack about as badly as a photograph."""
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([y // 32, x // 4, (x + y) // 64], axis=2)
    return (smooth + np.random.default_rng(seed).integers(0, 32, smooth.shape)).astype(np.uint8)


def measure(name: str, directory: Path) -> dict[str, object]:
    """Run one export in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.export", "--one", name, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        # Only exit code 2 says that the format cannot hold the canvas.
        what = "refused" if done.returncode == 2 else f"failed with exit code {done.returncode}"
        return {what: "".join(done.stderr.splitlines()[-1:]).removeprefix("error: ")}
    return json.loads(done.stdout.splitlines()[-1])


def export_one(name: str, directory: Path) -> None:
    """Write one format and print seconds, peak memory and size."""
    canvas = Canvas(directory)  # Not opened by `Canvas.open`, whose checksums would be timed too.
    out = directory / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    start, cpu_start = time.perf_counter(), time.process_time()
    if name.startswith("libvips"):
        write_by_libvips(canvas, name, out)
    elif name == "png":
        write_png(canvas, out / "panorama.png")
    elif name != "nothing":
        write_exports(canvas, [name], out, {})  # type: ignore[list-item]
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    status = Path("/proc/self/status").read_text().split()
    peak_kib = int(status[status.index("VmHWM:") + 1])  # Not ru_maxrss, which begins with the parent's.
    shutil.rmtree(out)
    taken = {"seconds": round(seconds, 1), "cpu_seconds": round(cpu_seconds, 1)}
    print(json.dumps({**taken, "peak_mib": peak_kib // 1024, "written_mib": written // _MIB}))


def write_by_libvips(canvas: Canvas, name: str, out: Path) -> None:
    """Deep zoom or TIFF like ours, from rows that stream through libvips as those of a JPEG do."""
    import pyvips

    source = pyvips.SourceCustom()
    source.on_read(_Feed(png_stream(canvas, packing=0)).read)
    image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="truncated")
    if name == "libvips-dzi":
        image.dzsave(str(out / "panorama"), tile_size=256, overlap=0, suffix=".jpg[Q=90]")
    else:
        tiles = {"tile": True, "tile_width": 256, "tile_height": 256, "pyramid": True, "bigtiff": True}
        image.tiffsave(str(out / "panorama.tif"), compression="deflate", predictor="horizontal", level=4, **tiles)


def write_report(settings: dict[str, object], rows: dict[str, dict[str, object]], path: Path) -> None:
    """Write the rows with the machine and versions."""
    report = {
        "benchmark": "export",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load_after": round(os.getloadavg()[0], 2),
        },
        "versions": {library: version(library) for library in ("zarr", "numpy", "pillow", "pyvips")},
        "settings": settings,
        "rows": rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
