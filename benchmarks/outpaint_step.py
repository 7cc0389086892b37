"""An outpainting step: ours against diffusers' inpainting pipeline called in a loop.

    python -m benchmarks.outpaint_step
    python -m benchmarks.outpaint_step --compile --windows 1

Both fill the right half of the same windows with the same U-Net, steps, guidance and precision, from captions and the
visible part: three caption encodings, one image encoding, one VAE encoding, the denoising, one VAE decoding, and the
new pixels pasted next to the known ones. The plain side is ``StableDiffusionInpaintPipeline`` fed 154 context rows as
``prompt_embeds``, one window a call, as such loops are commonly written; ours takes the windows of several canvases
as one batch. The row with one window compares the pipelines alone. With ``--compile`` a further row compiles the plain
side's U-Net by the same call, which tells what compiling gains from what the pipelines do.
"""

import warnings
from typing import Any, Protocol

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
from numpy import ndarray
from torch.nn.functional import interpolate

from benchmarks.commands import at_least, refusing
from benchmarks.timing import CLOCKS, interleave, summarise, write_report
from lit_outpaint.canvas.compositing import composite, to_pixel_values, to_uint8
from lit_outpaint.canvas.masks import outpaint_mask
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.models.compiled import compile_for_drawing
from lit_outpaint.models.context import ContextConfig
from lit_outpaint.models.encoders import FrozenEncoders, family_dims
from lit_outpaint.models.unet import extend_conv_in
from lit_outpaint.pipeline import OutpaintPipeline

CAPTIONS = (
    "a meadow with a red barn",
    "a desert with a green cactus",
    "a lake with a white boat",
    "a forest with a tent",
)
GLOBAL_CAPTION = "a wide view at dusk under a cloudy sky: a meadow with a red barn, and a lake"
GUIDANCE_SCALE = 3.0


class Step(Protocol):
    """Fills the right half of windows."""

    def __call__(self, windows: ndarray, num_inference_steps: int) -> ndarray:
        """Take and return windows (B, H, W, 3) uint8."""
        ...


@refusing
def main() -> None:
    """Time both sides at each number of windows and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pretrained", default="models/scapes", help="model family that both sides use")
    parser.add_argument(
        "--windows", type=at_least(1), nargs="+", default=[1, 8], help="canvases that take a step together"
    )
    parser.add_argument("--num_inference_steps", type=at_least(1), default=25, help="denoising steps")
    parser.add_argument("--rounds", type=at_least(1), default=7, help="timed calls of each side")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="time that passes, or CPU time of all threads")
    parser.add_argument("--compile", action="store_true", help="compile our U-Net, and then the plain one too")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")

    ours = our_step(args.pretrained, args.compile)
    plain_sides = {"": plain_step(args.pretrained)}
    if args.compile:
        plain_sides = {", compiled": plain_sides[""], ", both compiled": plain_step(args.pretrained, compiled=True)}
    side = 8 * int(UNet2DConditionModel.load_config(args.pretrained, subfolder="unet")["sample_size"])
    rows = {}
    for count in args.windows:
        windows = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        for suffix, plain in plain_sides.items():
            name = f"step of {count} window{'s' if count > 1 else ''}{suffix}"
            rows[name] = compare(ours, plain, windows, args.num_inference_steps, args.rounds, args.clock)
    write_report("outpaint_step_compiled" if args.compile else "outpaint_step", vars(args), rows)


def compare(
    ours: Step, plain: Step, windows: ndarray, num_inference_steps: int, rounds: int, clock: str = "wall"
) -> dict[str, float | int]:
    """Time both sides in turns on the same windows."""
    contenders = {
        "ours": lambda: ours(windows, num_inference_steps),
        "plain": lambda: plain(windows, num_inference_steps),
    }
    seconds = interleave(contenders, rounds, clock=clock)
    return summarise(seconds["ours"], seconds["plain"])


def our_step(pretrained: str, compiled: bool = False) -> Step:
    """The windows as one batch of `OutpaintPipeline`."""
    pipeline = OutpaintPipeline.assemble(
        FrozenEncoders.from_pretrained(pretrained),
        unet=inpainting_unet(pretrained),
        context=ContextConfig().build(family_dims(pretrained)),
        scheduler=DDIMScheduler.from_pretrained(pretrained, subfolder="scheduler"),
    ).to(device())

    def step(windows: ndarray, num_inference_steps: int) -> ndarray:
        count, side = windows.shape[:2]
        mask = outpaint_mask("right", 0.5, side, side)
        generated = pipeline.draw(
            to_pixel_values(windows),
            mask.expand(count, -1, -1, -1),
            [CAPTIONS[i % len(CAPTIONS)] for i in range(count)],
            [GLOBAL_CAPTION] * count,
            sampling=Sampling(num_inference_steps=num_inference_steps, guidance_scale=GUIDANCE_SCALE),
            generator=[torch.Generator().manual_seed(i) for i in range(count)],
            compiled=compiled,
        )
        pairs = zip(windows, to_uint8(generated), strict=True)
        return np.stack([composite(known, new, mask) for known, new in pairs])

    return step


def plain_step(pretrained: str, compiled: bool = False) -> Step:
    """``StableDiffusionInpaintPipeline`` called window by window."""
    encoders = FrozenEncoders.from_pretrained(pretrained).to(device())
    pipeline = StableDiffusionInpaintPipeline(
        vae=encoders.vae,
        text_encoder=encoders.text_encoder,
        tokenizer=encoders.tokenizer,
        unet=inpainting_unet(pretrained),
        scheduler=DDIMScheduler.from_pretrained(pretrained, subfolder="scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).to(device())
    pipeline.set_progress_bar_config(disable=True)
    if compiled:
        pipeline.unet = CompiledUnet(pipeline.unet)

    def fill(window: ndarray, caption: str, seed: int, num_inference_steps: int) -> ndarray:
        side = len(window)
        image = torch.from_numpy(window).permute(2, 0, 1)[None].float() / 127.5 - 1
        mask = torch.zeros(1, 1, side, side)
        mask[..., side // 2 :] = 1
        local, whole, empty = (encoders.encode_text([text]) for text in (caption, GLOBAL_CAPTION, ""))
        visual = encoders.encode_visual(image[..., : side // 2])
        visual = interpolate(visual.transpose(1, 2), size=local.shape[1], mode="linear").transpose(1, 2)
        generated = pipeline(
            prompt_embeds=torch.cat([(local + whole) / 2, visual], dim=1),
            negative_prompt_embeds=torch.cat([empty, visual], dim=1),
            image=image,
            mask_image=mask,
            height=side,
            width=side,
            num_inference_steps=num_inference_steps,
            guidance_scale=GUIDANCE_SCALE,
            generator=torch.Generator().manual_seed(seed),
            output_type="np",
        ).images[0]
        pasted = window.copy()
        pasted[:, side // 2 :] = (generated[:, side // 2 :] * 255).round().astype(np.uint8)
        return pasted

    def step(windows: ndarray, num_inference_steps: int) -> ndarray:
        captions = [CAPTIONS[i % len(CAPTIONS)] for i in range(len(windows))]
        pairs = zip(windows, captions, strict=True)
        return np.stack([fill(window, text, i, num_inference_steps) for i, (window, text) in enumerate(pairs)])

    return step


class CompiledUnet:
    """A U-Net for stock pipelines, which look at its attributes, compiled as `OutpaintPipeline` compiles its own."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        self.unet, self._call = unet, compile_for_drawing(unet)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unet, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the U-Net is called."""
        return self._call(*args, **kwargs)


def inpainting_unet(pretrained: str) -> Any:
    """The family's U-Net with nine input channels; what its weights are does not matter for speed."""
    return extend_conv_in(UNet2DConditionModel.from_pretrained(pretrained, subfolder="unet")).eval()


def device() -> torch.device:
    """The device that both sides use."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


if __name__ == "__main__":
    main()
