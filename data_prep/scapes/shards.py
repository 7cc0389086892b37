"""The ``scapes`` source: windows with annotated captions, and the evaluation set of held-out worlds.

Training windows come from even world seeds, held-out windows and panoramas from odd ones, so nothing that is scored
was ever trained on. A training record holds the window and its own captions only; panoramas exist for evaluation.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
from PIL import Image

from data_prep.around import Around, WindowPlace, add_around, around_writer
from data_prep.config import ScapesConfig, settings_of
from data_prep.progress import progress
from data_prep.raw import RawRecord
from data_prep.scapes.captions import annotate, dense, global_caption, local_caption
from data_prep.scapes.paragraphs import paragraph
from data_prep.scapes.windows import SURFACE_SHARE, Place, random_place
from data_prep.scapes.world import WINDOW, Facts, World
from data_prep.tars import TarWriter
from data_prep.work import shard_plan
from lit_outpaint.canvas.geometry import Box, Direction, new_box
from lit_outpaint.data.schema import IMAGE_SUFFIX, RECORD_SUFFIX, SPLITS
from lit_outpaint.heldout.evalset import (
    PANORAMAS_NAME,
    WINDOWS_NAME,
    EvalPanorama,
    EvalStep,
    EvalWindow,
    ObjectFact,
    WindowFacts,
    write_rows,
)
from lit_outpaint.heldout.walks import Geometry

LICENCE: Final = "CC0-1.0"
"""Of the pictures: they are computed."""

STRIDE: Final = WINDOW // 2
"""New pixels per expansion step of a panorama."""

# Each use of random places draws from its own stream, so that more windows of one kind never move those of another.
_STREAMS: Final = {"train": 0, "val": 1, "eval": 2, "panorama": 3}


@dataclass(frozen=True)
class Job:
    """One picture to make, small enough to be sent to a worker."""

    kind: Literal["train", "val", "eval", "panorama"]
    number: int
    seed: int
    steps: int = 0
    direction: Direction = "right"
    """The side that a panorama grows to."""
    surface_share: float = SURFACE_SHARE
    dense_share: float = 0.0
    """Share of windows whose local caption is a paragraph."""


class ScapesSource:
    """Windows and panoramas of the scapes world.

    Args:
        config: how many windows and panoramas.
    """

    name = "scapes"
    max_lost = 0.0

    def __init__(self, config: ScapesConfig) -> None:
        self.config = config

    def settings(self) -> dict[str, Any]:
        """All settings; the world itself is code."""
        return settings_of(self.config)

    def stems(self) -> list[str]:
        """Shards of the training windows, then of the held-out ones."""
        return list(self._plan())

    def write_shard(self, directory: Path, stem: str) -> None:
        """Render the windows of one shard."""
        split = stem.split("-")[0]
        # The validation loss stays comparable: its windows lie where they lie by default.
        share = self.config.surface_share if split == "train" else SURFACE_SHARE
        shares = {"surface_share": share, "dense_share": self.config.dense_share}
        jobs = [Job(split, number, self.config.seed, **shares) for number in self._plan()[stem]]  # type: ignore[arg-type]
        if self.config.around:
            # First: the tar of the windows is what says that a shard is done.
            with around_writer(directory, stem) as tar:
                for job in progress(jobs, len(jobs), f"render around {stem}"):
                    add_around(tar, _key(job), _around(place_of(job)))
        with TarWriter(directory / f"{stem}.tar") as tar:
            for key, image, record in progress(map(_window, jobs), len(jobs), f"render {stem}"):
                tar.add(key, {IMAGE_SUFFIX: image, RECORD_SUFFIX: record.model_dump_json().encode()})

    def write_evalset(self, directory: Path) -> None:
        """Write held-out windows and panoramas with their ground truth."""
        config = self.config
        windows = [Job("eval", number, config.seed) for number in range(config.eval_windows)]
        panoramas = [
            Job("panorama", number, config.seed, config.eval_steps, cast(Direction, direction))
            for direction in dict.fromkeys(config.panorama_directions)
            for number in range(config.panoramas)
        ]
        window_rows: list[EvalWindow] = []
        panorama_rows: list[EvalPanorama] = []
        for png, window in progress(map(_eval_window, windows), len(windows), "evaluation windows"):
            (directory / window.image).write_bytes(png)
            window_rows.append(window)
        for png, panorama in progress(map(_panorama, panoramas), len(panoramas), "panoramas"):
            (directory / panorama.image).write_bytes(png)
            panorama_rows.append(panorama)
        write_rows(directory / WINDOWS_NAME, window_rows)
        write_rows(directory / PANORAMAS_NAME, panorama_rows)

    def _plan(self) -> dict[str, range]:
        config = self.config
        return {stem: n for s in SPLITS for stem, n in shard_plan(config.count(s), config.samples_per_shard, s)}


def window_facts(facts: Facts) -> WindowFacts:
    """The world's facts in the words of the evaluation set."""
    return WindowFacts(
        time=facts.time,
        weather=facts.weather,
        mountains=facts.mountains,
        biomes=facts.biomes,
        objects=[ObjectFact(kind=thing.kind, colour=thing.colour) for thing in facts.objects],
    )


def place_of(job: Job) -> Place:
    """Where a picture is cut from; panoramas start at any x, so that seams cut objects as they come."""
    held_out = job.kind != "train"
    # Single windows of the evaluation set show the surface: biome, time and weather can be judged in all of them.
    share = 1 if job.kind in ("eval", "panorama") else job.surface_share
    return random_place(job.number, seed=job.seed * 8 + _STREAMS[job.kind], held_out=held_out, surface_share=share)


def _key(job: Job) -> str:
    side = "" if job.direction == "right" else f"{job.direction}_"
    return f"{job.kind}_{side}{job.number:07d}"


def _window(job: Job) -> tuple[str, bytes, RawRecord]:
    place = place_of(job)
    facts, seed = place.facts(), _text_seed(place)
    captions = annotate(facts, seed)
    local_index = seed % len(captions)
    # Other digits of the number than those that choose among the annotated captions.
    if seed // len(captions) % 1000 < 1000 * job.dense_share:
        captions, local_index = [*captions, paragraph(facts, seed)], len(captions)
    record = RawRecord(
        id=str(place),
        source="scapes",
        licence=LICENCE,
        local_captions=captions,
        local_index=local_index,
        annotator="scapes annotator",
    )
    return _key(job), _webp(place.render()), record


def _around(place: Place) -> Around:
    side = WINDOW // 2
    picture = World(place.world).render(place.x - side, place.y - side, 2 * WINDOW, 2 * WINDOW)
    return Around(_webp(picture), WindowPlace(x=side, y=side))


def _eval_window(job: Job) -> tuple[bytes, EvalWindow]:
    place = place_of(job)
    facts = place.facts()
    row = EvalWindow(
        key=_key(job),
        image=f"{_key(job)}.png",
        captions=annotate(facts, _text_seed(place)),
        dense_caption=dense(facts, _text_seed(place)),
        facts=window_facts(facts),
    )
    return _png(place.render()), row


def _panorama(job: Job) -> tuple[bytes, EvalPanorama]:
    place = place_of(job)
    world, geometry = World(place.world), Geometry(job.direction, WINDOW, STRIDE)

    def facts(box: Box) -> Facts:
        return world.facts(place.x + box.x0, place.y + box.y0, box.width, box.height)

    whole = start = Box(0, 0, WINDOW, WINDOW)
    strip = new_box(job.direction, STRIDE, WINDOW)
    steps = []
    for step in range(job.steps):
        window = geometry.window_box(step)
        whole = whole.union(window)
        seen, added = facts(window), facts(strip.shift(window.x0, window.y0))
        steps.append(
            EvalStep(local_caption=local_caption(seen), facts=window_facts(seen), strip_facts=window_facts(added))
        )
    row = EvalPanorama(
        key=_key(job),
        image=f"{_key(job)}.png",
        window_px=WINDOW,
        stride_px=STRIDE,
        direction=job.direction,
        global_caption=global_caption(facts(whole)),
        first_caption=local_caption(facts(start)),
        first_facts=window_facts(facts(start)),
        steps=steps,
    )
    return _png(world.render(place.x + whole.x0, place.y + whole.y0, whole.width, whole.height)), row


def _text_seed(place: Place) -> int:
    """A number that belongs to a place, so that its captions are the same in every set."""
    return int(np.random.default_rng((place.world, place.x + (1 << 21), place.y + 1024)).integers(1 << 31))


def _webp(pixels: np.ndarray) -> bytes:
    # Lossless, so that features can be recomputed exactly; method 2 is the knee of size against time for flat shapes.
    return _encoded(pixels, "WEBP", lossless=True, quality=50, method=2)


def _png(pixels: np.ndarray) -> bytes:
    return _encoded(pixels, "PNG", compress_level=6)


def _encoded(pixels: np.ndarray, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()
