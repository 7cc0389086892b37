"""A whole outpainting run: flat memory and time, windows in batches against one by one, hidden waits for captions.

    python -m benchmarks.outpaint
    python -m benchmarks.outpaint --measure flat --steps 1000

``flat`` grows one canvas to the right and compares its end with its beginning: resident memory, wall and CPU time of a
step, each over the time of one fixed window that is drawn now and then beside it. ``wavefront`` fills the same
rectangle one window at a time and in batches, and compares the pixels. ``latency`` grows a canvas with a captioner that
takes its time, one that does not look at the picture, and counts how long the drawing stood still for it. ``joint``
draws the same strip step by step and in one piece. ``tiles`` decodes a wide strip window by window, with halos of
several widths, against decoding it whole. Beside wall time stands CPU time, which a busy machine disturbs less. What
``wavefront`` and ``joint`` compare runs in turns, after one untimed run of each.
"""

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.commands import at_least, refusing
from benchmarks.timing import interleave, write_report
from eval.functional.seam import seam_score
from lit_outpaint import outpainter
from lit_outpaint.canvas.compositing import to_pixel_values, to_uint8
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.graph import build_graph
from lit_outpaint.canvas.image_io import load_image
from lit_outpaint.canvas.journal import StepRecord
from lit_outpaint.canvas.latent_grid import LatentGrid
from lit_outpaint.canvas.masks import outpaint_mask
from lit_outpaint.canvas.pasting import treat_seams
from lit_outpaint.canvas.plan import parse_plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.drawing.caption_queue import CaptionQueue
from lit_outpaint.drawing.joint import decode_tile
from lit_outpaint.models.devices import device_named
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.pipeline import OutpaintPipeline, load_pipeline
from lit_outpaint.protocols import Written

MEASURES = ("flat", "wavefront", "latency", "joint", "tiles")
GLOBAL_CAPTION = "a wide view at dusk under a cloudy sky: a meadow with a red barn, a lake, and a forest"
_Way = TypeVar("_Way")
_WARM_STEPS = 20
_REFERENCE_EVERY = 10
_LEAST_STEPS = _WARM_STEPS + 2 * _REFERENCE_EVERY
"""Of ``flat``: with fewer the fixed window is not drawn both early and late."""


@refusing
def main() -> None:
    """Take the measures that are asked for and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--measure", nargs="+", choices=MEASURES, default=list(MEASURES), help="what to measure")
    parser.add_argument("--model", default="models/scapes/outpaint", help="outpainting pipeline")
    parser.add_argument("--num_inference_steps", type=at_least(1), default=25, help="denoising steps per window")
    parser.add_argument("--steps", type=at_least(_LEAST_STEPS), default=1000, help="flat: steps to the right")
    parser.add_argument("--windows", type=at_least(1), nargs=2, default=[12, 6], help="wavefront: columns and rows")
    parser.add_argument(
        "--batch_size", type=at_least(1), nargs="+", default=[1, 8], help="wavefront: windows drawn together"
    )
    parser.add_argument("--rounds", type=at_least(1), default=3, help="wavefront, joint: timed runs of each side")
    parser.add_argument("--latency_ms", type=at_least(1), default=200, help="latency: of one caption")
    parser.add_argument("--latency_steps", type=at_least(1), default=20, help="latency: steps to the right")
    parser.add_argument("--joint_steps", type=at_least(1), default=8, help="joint: steps to the right")
    parser.add_argument("--picture", default="docs/panorama.png", help="tiles: a wide picture, a window high")
    parser.add_argument(
        "--halo_cells", type=at_least(0), nargs="+", default=[0, 2, 4, 8], help="tiles: cells around a window"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu", help="torch device")
    args = parser.parse_args()
    if max(args.windows) < 2:
        parser.error("--windows must be more than one window, got 1 1")
    if len(set(args.batch_size)) < len(args.batch_size):
        parser.error(f"--batch_size must name each size once, got {' '.join(map(str, args.batch_size))}")
    warnings.filterwarnings("ignore")
    picture = load_image(Path(args.picture)) if "tiles" in args.measure else None
    pipeline = load_pipeline(args.model).to(device_named(args.device))
    if picture is not None and min(picture.shape[:2]) < pipeline.window_px:
        height, width, _ = picture.shape
        parser.error(f"--picture must be at least a window of {pipeline.window_px} px, got {width} x {height}")
    rows: dict[str, dict[str, Any]] = {}
    if "flat" in args.measure:
        rows["flat"] = flat(pipeline, args.steps, args.num_inference_steps)
    if "wavefront" in args.measure:
        rows |= wavefront(pipeline, args.windows, args.batch_size, args.num_inference_steps, args.rounds)
    if "latency" in args.measure:
        rows["latency"] = latency(pipeline, args.latency_steps, args.latency_ms / 1e3, args.num_inference_steps)
    if "joint" in args.measure:
        rows |= joint(pipeline, args.joint_steps, args.num_inference_steps, args.rounds)
    if picture is not None:
        rows |= tiles(pipeline, picture, args.halo_cells)
    write_report("outpaint", vars(args), rows, whole=set(args.measure) == set(MEASURES))


class Clock:
    """A callback that notes wall time, CPU time and memory of each step.

    Args:
        reference: fixed work, done and timed after every ``_REFERENCE_EVERY`` steps; what a step takes in units of it
            does not follow the machine where that becomes slower or faster by itself.
    """

    def __init__(self, reference: Callable[[], object]) -> None:
        self.steps: list[tuple[float, float]] = []
        self.mib: list[float] = []
        self.references: dict[int, tuple[float, float]] = {}
        self._reference = reference
        self._since = _now()

    def __call__(self, record: StepRecord) -> None:
        """Note the end of a step."""
        self.steps.append(_elapsed(self._since))
        self.mib.append(resident_mib())
        if len(self.steps) % _REFERENCE_EVERY == 0:
            begun = _now()
            self._reference()
            self.references[len(self.steps)] = _elapsed(begun)
        self._since = _now()

    def median_ms(self, first: int, last: int, clock: int) -> float:
        """Median time of the steps from ``first`` to ``last``; clock 0 is wall, 1 is CPU."""
        return 1e3 * statistics.median(times[clock] for times in self.steps[first:last])

    def median_of_reference_ms(self, first: int, last: int, clock: int) -> float:
        """The same of the fixed work between them."""
        between = [times[clock] for step, times in self.references.items() if first <= step <= last]
        return 1e3 * statistics.median(between)


def flat(pipeline: OutpaintPipeline, steps: int, num_inference_steps: int) -> dict[str, Any]:
    """One canvas, many steps to the right: the last against the first after a warm-up."""
    side = pipeline.window_px
    windows, mask = torch.zeros(1, 3, side, side), outpaint_mask("right", 0.5, side, side)[None]
    captions = [GLOBAL_CAPTION]

    def draw() -> object:
        generator = torch.Generator().manual_seed(0)
        sampling = Sampling(num_inference_steps=num_inference_steps)
        return pipeline.draw(windows, mask, captions, captions, sampling=sampling, generator=generator)

    clock = Clock(draw)
    span = min(100, (steps - _WARM_STEPS) // 2)
    with tempfile.TemporaryDirectory() as place:
        _run(pipeline, Path(place), f"right:{steps}", clock, num_inference_steps=num_inference_steps)
        whole = Canvas.open(Path(place)).num_steps  # Every strip's checksum is computed again.
    early, late = (_WARM_STEPS, _WARM_STEPS + span), (steps - span, steps)
    row: dict[str, Any] = {"steps": steps, "steps_with_changed_pixels": steps - whole}
    for name, number in (("wall", 0), ("cpu", 1)):
        before, after = (clock.median_ms(*part, number) for part in (early, late))
        drift = clock.median_of_reference_ms(*late, number) / clock.median_of_reference_ms(*early, number)
        row |= {
            f"{name}_ms_early": round(before, 1),
            f"{name}_ms_late": round(after, 1),
            f"{name}_ratio": round(after / before / drift, 3),
            f"{name}_ratio_of_the_machine": round(drift, 3),
        }
    memory = [clock.mib[step - 1] for step in (_WARM_STEPS, steps)]
    return row | {"mib_early": memory[0], "mib_late": memory[1], "mib_ratio": round(memory[1] / memory[0], 3)}


def wavefront(
    pipeline: OutpaintPipeline, windows: list[int], batch_sizes: list[int], num_inference_steps: int, rounds: int
) -> dict[str, dict[str, Any]]:
    """The same rectangle with each batch size, in turns; the first is what the others are compared with."""
    side = pipeline.window_px
    width, height = (side + (count - 1) * side // 2 for count in windows)
    pixels: dict[int, np.ndarray] = {}
    steps: dict[int, int] = {}

    def fill(size: int) -> tuple[float, float]:
        with tempfile.TemporaryDirectory() as place:
            begun = _now()
            plan = f"to:{width}x{height}"
            canvas = _run(pipeline, Path(place), plan, num_inference_steps=num_inference_steps, batch_size=size)
            taken = _elapsed(begun)
            pixels[size], steps[size] = canvas.read(canvas.box), canvas.num_steps
        return taken

    medians = _in_turns(fill, batch_sizes, rounds)
    first = batch_sizes[0]
    return {
        f"wavefront, batch {size}": {
            "steps": steps[size],
            "wall_s": round(wall, 1),
            "cpu_s": round(cpu, 1),
            "pixels_that_differ": int((pixels[size] != pixels[first]).any(axis=-1).sum()),
            "times_faster": round(medians[first][0] / wall, 2),
        }
        for size, (wall, cpu) in medians.items()
    }


class _Patient(RuleCaptioner):
    """Rules that take their time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def next_local(self, **told: Any) -> Written:
        time.sleep(self._seconds)
        return super().next_local(**told)


class _TimedQueue(CaptionQueue):
    """Notes how long the drawing stood still for captions."""

    waited_s = 0.0

    def take(self, batch: Sequence[int]) -> list[Written]:
        started = time.perf_counter()
        captions = super().take(batch)
        _TimedQueue.waited_s += time.perf_counter() - started
        return captions


def latency(pipeline: OutpaintPipeline, steps: int, seconds: float, num_inference_steps: int) -> dict[str, Any]:
    """How much of the time that a slow captioner takes the drawing has to wait."""
    _TimedQueue.waited_s = 0.0
    with tempfile.TemporaryDirectory() as place, patch.object(outpainter, "CaptionQueue", _TimedQueue):
        started = time.perf_counter()
        captioner = _Patient(seconds)
        _run(pipeline, Path(place), f"right:{steps}", captioner=captioner, num_inference_steps=num_inference_steps)
        taken = time.perf_counter() - started
    needed = steps * seconds
    return {
        "steps": steps,
        "run_s": round(taken, 2),
        "captions_s": round(needed, 2),
        "waited_s": round(_TimedQueue.waited_s, 2),
        "hidden": round(1 - _TimedQueue.waited_s / needed, 3),
    }


def joint(pipeline: OutpaintPipeline, steps: int, num_inference_steps: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Time of the same strip by both engines, in turns."""

    def draw(engine: str) -> tuple[float, float]:
        with tempfile.TemporaryDirectory() as place:
            begun = _now()
            _run(pipeline, Path(place), f"right:{steps}", engine=engine, num_inference_steps=num_inference_steps)
            return _elapsed(begun)

    return {
        f"engine {engine}": {"steps": steps, "wall_s": round(wall, 1), "cpu_s": round(cpu, 1)}
        for engine, (wall, cpu) in _in_turns(draw, ("steps", "joint"), rounds).items()
    }


def tiles(pipeline: OutpaintPipeline, picture: np.ndarray, halo_cells: list[int]) -> dict[str, dict[str, Any]]:
    """A wide strip decoded whole, and window by window as engine joint does it, each giving its new part alone.

    The seam score is that of `eval.functional.seam` at the borders between tiles, read in the window of each, without a
    seam treatment and with the default one; for the whole it is read at the same places.
    """
    side, stride = pipeline.window_px, pipeline.window_px // 2
    pixels = picture[:side]
    # The strip is what the windows cover: it begins where the first of them does.
    plan = parse_plan(f"right:{pixels.shape[1] // stride - 1}")
    graph = build_graph(plan, Box(-stride, 0, stride, side), side, stride)
    grid = LatentGrid(graph, [step.window for step in graph])
    latents = pipeline.encoders.encode_mode(to_pixel_values(pixels[None, :, : grid.region.width]))[0]
    whole = to_uint8(pipeline.encoders.decode(latents[None]))[0]
    rows: dict[str, dict[str, Any]] = {}
    for halo in (-1, *halo_cells):
        row: dict[str, Any] = {"width_px": whole.shape[1]}
        for seam in ("none", "poisson") if halo >= 0 else ("none",):
            strip = whole.copy()
            for step in graph if halo >= 0 else ():
                tile = to_uint8(decode_tile(pipeline, grid, latents, step.window, halo))[0]
                known = strip[:, step.window.x0 : step.window.x1].copy()
                treated = treat_seams(tile, known, Box(stride, 0, side, side), seam, OutpainterConfig.seam_reach_px)
                strip[:, step.new.x0 : step.new.x1] = treated[:, stride:]
            differing = np.abs(strip[:, stride:].astype(int) - whole[:, stride:])
            windows = torch.from_numpy(np.stack([strip[:, step.window.x0 : step.window.x1] for step in graph]))
            scores = seam_score(windows.permute(0, 3, 1, 2).float(), stride)
            row |= {
                f"mean_levels, {seam}": round(float(differing.mean()), 3),
                f"max_levels, {seam}": int(differing.max()),
                f"seam_score, {seam}": round(float(scores.mean()), 3),
            }
        rows["decoded whole" if halo < 0 else f"decoded in tiles, halo of {halo} cells"] = row
    return rows


def _in_turns(
    work: Callable[[_Way], tuple[float, float]], ways: Sequence[_Way], rounds: int
) -> dict[_Way, tuple[float, float]]:
    """Medians of the wall and CPU seconds that one work notes of itself, for each way to do it."""
    times: dict[_Way, list[tuple[float, float]]] = {way: [] for way in ways}

    def note(way: _Way) -> None:
        times[way].append(work(way))

    interleave({str(way): partial(note, way) for way in ways}, rounds, warmup=1)
    # The first run of each warms up: whatever came first would pay for what the others find ready.
    timed = {way: np.median(noted[1:], axis=0) for way, noted in times.items()}
    return {way: (float(wall), float(cpu)) for way, (wall, cpu) in timed.items()}


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _elapsed(since: tuple[float, float]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = _now()
    return wall - since[0], cpu - since[1]


def resident_mib() -> float:
    """Memory of this process that is resident now."""
    status = Path("/proc/self/status").read_text().split()
    return round(int(status[status.index("VmRSS:") + 1]) / 1024, 1)


def _run(
    pipeline: OutpaintPipeline,
    directory: Path,
    plan: str,
    clock: Clock | None = None,
    captioner: RuleCaptioner | None = None,
    **sampling: Any,
) -> Canvas:
    side = pipeline.window_px
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    grower = Outpainter(pipeline, captioner, OutpainterConfig(**sampling))
    canvas = Canvas.create(directory, image, chunk_px=side)
    return grower.run(
        canvas, grower.lay_out(parse_plan(plan), canvas.image_box), GLOBAL_CAPTION, [clock] if clock else []
    )


if __name__ == "__main__":
    main()
