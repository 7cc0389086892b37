"""Pictures of prompts for steps: one step of outpainting from the known window of each, as ``outpaint`` draws it."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from eval.compbench.config import DrawingConfig
from eval.compbench.drawing import find_pictures, load_pictures, weights_checksum
from eval.files import PICTURES_NAME
from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.captions.length import cut_off
from lit_outpaint.data.prompts import Prompt, Step
from lit_outpaint.heldout.panoramas import view_px
from lit_outpaint.heldout.rollout import panorama_seed, roll_out
from lit_outpaint.heldout.walks import Geometry, Pixels, Walk
from lit_outpaint.models.devices import device_named
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.pipeline import load_pipeline
from lit_outpaint.runs.pictures import PictureRun
from lit_outpaint.runs.pictures import Prompt as Asked


def draw_steps(
    out: Path, prompts: Sequence[Prompt], known: Path, model: Path, config: DrawingConfig
) -> tuple[Path, int]:
    """Draw the windows after the steps that are not there yet, ``ID.png`` each; the known half comes back bit for bit.

    Args:
        out: directory of the bench's run.
        prompts: for steps, all of them.
        known: directory of the windows before the steps, ``ID.png`` each.
        model: outpainting pipeline, export or overlay; see `eval.compbench.drawing.model_directory`.
        config: how. The noise of a step is that of ``outpaint`` with a seed made of this one's and the prompt's id.

    Returns:
        The directory of the pictures, and how many prompts the model's text encoder does not read to their end.

    Raises:
        ValueError: there is no such model, a known window is missing or of another size, or pictures of other weights,
            settings or prompts are there.
    """
    pipeline = load_pipeline(model).to(device_named(config.device))
    run = PictureRun(
        out / PICTURES_NAME,
        {"weights": weights_checksum(model), "seed": config.seed, **vars(config.sampling)},
    )
    done = run.done()
    for prompt in prompts:
        if prompt.id in done and done[prompt.id].notes != _notes(prompt):
            raise ValueError(f"--out {out} holds {prompt.id} of another prompt; name another one")
    settings = OutpainterConfig(**vars(config.sampling), seed=config.seed, batch_size=config.batch_size)
    outpainter = Outpainter(pipeline, config=settings)
    missing = sorted((prompt for prompt in prompts if prompt.id not in done), key=_growth)
    number = len(prompts) - len(missing)
    for (direction, stride_px), group in groupby(missing, _growth):
        alike = list(group)
        geometry = Geometry(direction, outpainter.window_px, stride_px)
        for begin in range(0, len(alike), config.batch_size):
            part = alike[begin : begin + config.batch_size]
            windows = _known_windows(known, part, outpainter.window_px)
            walks = [
                Walk(prompt.id, window, _step(prompt).global_caption, (prompt.prompt,))
                for prompt, window in zip(part, windows, strict=True)
            ]
            drawn = roll_out(
                outpainter,
                walks,
                geometry,
                view_px=view_px(settings, geometry),
                seed=config.seed,
                batch_size=config.batch_size,
                report=lambda line: None,
            )
            for prompt, panorama in zip(part, drawn.panoramas, strict=True):
                seed = panorama_seed(config.seed, prompt.id)
                run.add(
                    Asked(prompt.id, prompt.prompt), geometry.window_at(panorama, 1).copy(), seed, 0.0, _notes(prompt)
                )
            number += len(part)
            print(f"{number} of {len(prompts)} steps drawn", flush=True)
    cut = sum(bool(cut_off(pipeline.tokenizer, prompt.prompt)) for prompt in prompts)
    return run.directory, cut


def _known_windows(known: Path, prompts: Sequence[Prompt], window_px: int) -> Pixels:
    if not known.is_dir():
        raise ValueError(f"--known must be a directory of the windows before the steps, found no {known}")
    paths = find_pictures(known, [prompt.id for prompt in prompts], "--known")
    windows = load_pictures((path for path, *_ in paths), "--known")
    if windows.shape[1:3] != (window_px, window_px):
        raise ValueError(
            f"--known must hold windows of {window_px} x {window_px} px, as the model draws them, got "
            f"{windows.shape[2]} x {windows.shape[1]} in {known}"
        )
    return np.ascontiguousarray(windows)


def _step(prompt: Prompt) -> Step:
    assert prompt.step is not None, "the caller takes prompts for steps alone"
    return prompt.step


def _growth(prompt: Prompt) -> tuple[Direction, int]:
    return _step(prompt).direction, _step(prompt).stride_px


def _notes(prompt: Prompt) -> dict[str, Any]:
    return _step(prompt).model_dump() | {"local_caption": prompt.prompt}
