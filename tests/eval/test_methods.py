"""The methods of ``eval run``: same inputs, same seeds, known pixels kept."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline

from eval.drawing import Drawing
from eval.inpaint_loop import InpaintLoop, load_text_to_image
from eval.methods import Method, load_method
from eval.sources import load_base_pipeline
from lit_outpaint.canvas.compositing import to_pixel_values, to_uint8
from lit_outpaint.canvas.geometry import Box, Direction, new_box
from lit_outpaint.drawing.engine import WindowRequest
from lit_outpaint.heldout.rollout import Rollout
from lit_outpaint.heldout.walks import Geometry, Pixels, Walk
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.outpainter import OutpainterConfig
from lit_outpaint.testing.models import TOY_WINDOW_PX, build_toy_pipeline

SIDE, STRIDE, STEPS = TOY_WINDOW_PX, TOY_WINDOW_PX // 2, 2


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_toy_pipeline(tmp_path_factory.mktemp("family"))


def _walks(count: int = 2) -> list[Walk]:
    windows = np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
    texts = tuple(f"a meadow with a red barn {step}" for step in range(STEPS))
    return [Walk(f"p{index}", windows[index], "a wide view", texts) for index in range(count)]


def _drawing(walks: list[Walk], geometry: Geometry, config: OutpainterConfig, batch_size: int) -> Drawing:
    return Drawing(
        walks=walks,
        real=[_real(walk, geometry) for walk in walks],
        geometry=geometry,
        sampling=config,
        batch_size=batch_size,
        report=lambda line: None,
    )


def _real(walk: Walk, geometry: Geometry) -> Pixels:
    """A panorama of noise around its first window, a little longer than the walk."""
    rng, length = np.random.default_rng(int(walk.key[1:]) + 1), geometry.length(STEPS) + 10
    panorama = rng.integers(0, 256, (SIDE, length, 3) if geometry.horizontal else (length, SIDE, 3), dtype=np.uint8)
    geometry.window_at(panorama, 0)[...] = walk.first_window
    return panorama


@cache
def _method(name: str, overlay: Path) -> Method:
    return load_method(name, overlay, "both")  # type: ignore[arg-type]


def _drawn(
    overlay: Path, name: str, direction: Direction = "right", batch_size: int = 2, **sampling: object
) -> Rollout:
    geometry = Geometry(direction, SIDE, STRIDE)
    given = {"num_inference_steps": 2, "window_px": SIDE, "overlap_px": SIDE - STRIDE} | sampling
    config = OutpainterConfig(**given)  # type: ignore[arg-type]
    return _method(name, overlay).draw_all(_drawing(_walks(), geometry, config, batch_size))


@pytest.mark.parametrize("direction", ["right", "up"])
@pytest.mark.parametrize("name", ["outpaint", "joint", "inpaint_loop", "autoencoder"])
def test_known_pixels_stay_and_the_seed_decides_the_rest(name: str, direction: Direction, overlay: Path) -> None:
    geometry = Geometry(direction, SIDE, STRIDE)
    first = _drawn(overlay, name, direction)
    assert not first.changed_px.any()
    assert first.changed_px.shape == (2, STEPS)
    for walk, panorama in zip(_walks(), first.panoramas, strict=True):
        assert (panorama.shape[1] if geometry.horizontal else panorama.shape[0]) == geometry.length(STEPS)
        assert np.array_equal(geometry.start(panorama, SIDE), walk.first_window)
    again, other = _drawn(overlay, name, direction, batch_size=1), _drawn(overlay, name, direction, seed=1)
    for one, same, different in zip(first.panoramas, again.panoramas, other.panoramas, strict=True):
        assert np.array_equal(one, same), "the batch size changes nothing"
        assert np.array_equal(one, different) == (name == "autoencoder")


@pytest.mark.parametrize("direction", ["right", "up"])
def test_the_ceiling_is_each_real_window_after_encoding_and_decoding(direction: Direction, overlay: Path) -> None:
    geometry = Geometry(direction, SIDE, STRIDE)
    rollout = _drawn(overlay, "autoencoder", direction, seam="none")
    encoders = FrozenEncoders.from_pretrained(overlay.parent)
    for walk, panorama in zip(_walks(), rollout.panoramas, strict=True):
        for step in (1, STEPS):
            window = geometry.window_at(_real(walk, geometry), step)
            decoded = to_uint8(encoders.decode(encoders.encode_mode(to_pixel_values(window[None]))))[0]
            drawn = geometry.window_at(panorama, step)
            assert np.array_equal(geometry.end(drawn, STRIDE), geometry.end(decoded, STRIDE))


def test_one_joint_step_is_the_step_of_outpaint(overlay: Path) -> None:
    walks = [walk._replace(local_captions=walk.local_captions[:1]) for walk in _walks(1)]
    config = OutpainterConfig(num_inference_steps=3, window_px=SIDE, overlap_px=SIDE - STRIDE)
    geometry = Geometry("right", SIDE, STRIDE)
    one, other = (
        load_method(name, overlay, "local").draw_all(_drawing(walks, geometry, config, 1))  # type: ignore[arg-type]
        for name in ("outpaint", "joint")
    )
    # A window alone is averaged with nothing, so that both engines ask the same of the same noise.
    difference = np.abs(one.panoramas[0].astype(int) - other.panoramas[0].astype(int))
    assert difference.max() <= 1


def test_the_inpaint_loop_is_the_pipeline_of_diffusers(overlay: Path) -> None:
    walk, seam = _walks(1)[0], OutpainterConfig(num_inference_steps=3, window_px=SIDE, overlap_px=STRIDE, seam="none")
    loop = InpaintLoop(load_text_to_image(overlay.parent), "global", seam)
    window = walk.first_window.copy()
    box = new_box("right", STRIDE, SIDE)
    asked = WindowRequest(
        window=Box(0, 0, SIDE, SIDE),
        known=window,
        new=box,
        caption="a",
        global_caption="a wide view",
        view=window,
        generator=torch.Generator().manual_seed(5),
    )
    (drawn,) = loop.draw([asked])
    parts = load_base_pipeline(overlay.parent).components
    pipeline = StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    image = torch.from_numpy(window).permute(2, 0, 1)[None].float() / 255
    image[..., STRIDE:] = image[..., STRIDE - 1 : STRIDE]
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., STRIDE:] = 1
    images = pipeline(
        prompt="a wide view",
        image=image,
        mask_image=mask,
        height=SIDE,
        width=SIDE,
        num_inference_steps=3,
        guidance_scale=3.0,
        generator=[torch.Generator().manual_seed(5)],
        output_type="pt",
    ).images
    # The loop embeds a timestep once for both rows, which some processors round in another way.
    difference = np.abs(drawn[:, STRIDE:].astype(int) - to_uint8(images * 2 - 1)[0, :, STRIDE:])
    assert difference.max() <= 1
    assert np.array_equal(drawn[:, :STRIDE], window[:, :STRIDE])


def test_the_inpaint_loop_needs_a_text_to_image_model(overlay: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="inpaint_loop needs a model family"):
        load_method("inpaint_loop", tmp_path / "absent", "local")
    with pytest.raises(FileNotFoundError, match="--checkpoint must be a model family"):
        load_method("inpaint_loop", overlay / "unet", "local")
