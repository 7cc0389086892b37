"""Inference on windows: a batch of partly known windows in, whole windows out.

    latents ~ N(0, 1)                                 one generator per window
    W       = context(text(local), text(global), vision(what is visible))
    latents = denoise([latents, mask, masked-image latents], W, guidance)
    windows = decode(latents)

The pipeline knows nothing of canvases: pasting the new pixels is `lit_outpaint.canvas.compositing`'s work. Whatever a
diffusers scheduler does, it does here too; known pixels come back as the VAE sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers.image_processor import VaeImageProcessor
from jaxtyping import Float
from torch import Tensor

from lit_outpaint.data.features import Features
from lit_outpaint.data.views import blank_masked, extend_visible
from lit_outpaint.diffusion.known_latents import KnownSide, blend_known, keep_weights
from lit_outpaint.diffusion.sampling import denoise
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.models.conditioned import ConditionedPipeline, StepEnd, as_list
from lit_outpaint.models.conditions import encode_visible
from lit_outpaint.models.denoiser import Known
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.models.loading import load_overlay, load_whole, stored_dtype, with_dtype
from lit_outpaint.models.overlay import OVERLAY_NAME, check_outpaints, is_model
from lit_outpaint.models.region_conditions import RegionPrompt
from lit_outpaint.models.reproducible import one_timestep, windows_at_once
from lit_outpaint.models.unet import INPAINT_CHANNELS
from lit_outpaint.system.one_line import one_line


class OutpaintPipeline(ConditionedPipeline):
    """Fills the masked side of windows, guided by two captions and by what is visible.

    Args of the constructor are the parts, as ``save_pretrained`` writes them. ``unet`` has nine input channels;
    ``attention`` describes the attention rule (`lit_outpaint.system.named`), every row everywhere when absent;
    ``language`` the language encoder, where the conditioning reads one.
    """

    model_cpu_offload_seq = "text_encoder->image_encoder->context->unet->vae"

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        image_encoder: Any,
        image_processor: Any,
        unet: Any,
        context: Any,
        scheduler: Any,
        attention: dict[str, Any] | None = None,
        language: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        _check_parts_fit(unet, context, text_encoder, image_encoder)
        self.take_parts(
            attention,
            language,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            image_encoder=image_encoder,
            image_processor=image_processor,
            unet=unet,
            context=context,
            scheduler=scheduler,
        )

    @torch.no_grad()
    def draw(
        self,
        image: Float[Tensor, "b 3 h w"],
        mask: Float[Tensor, "b 1 h w"],
        local_captions: Sequence[str] | None = None,
        global_captions: Sequence[str] | None = None,
        visual_image: Float[Tensor, "b 3 vh vw"] | Sequence[Tensor] | None = None,
        *,
        sampling: Sampling = Sampling(),
        feather_cells: int = 0,
        generator: Sequence[torch.Generator] | torch.Generator | None = None,
        features: Features = Features(),
        compiled: bool = False,
        negative_captions: Sequence[str] | None = None,
        after_step: Callable[[int, Any, Tensor], Tensor] | None = None,
        regions: Sequence[Sequence[RegionPrompt]] | None = None,
        end_fraction: float = 1.0,
    ) -> Float[Tensor, "b 3 h w"]:
        """Fill the 1s of ``mask``.

        Args:
            image: windows in [-1, 1]; what lies under the 1s of the mask is not read.
            mask: 1 = generate, 0 = keep.
            local_captions: one per window: what the window shows; not needed with ``features.text_local``.
            global_captions: one per window: the whole scene; not needed with ``features.text_global``.
            visual_image: what the vision encoder looks at, a batch or a list of any sizes; the visible part of each
                window when absent.
            sampling: how latents are drawn; its scheduler is the pipeline's own here.
            feather_cells: hold the known side in place while denoising, with a feather of this many latent cells; 0
                lets the U-Net draw it again. See `lit_outpaint.diffusion.known_latents`.
            generator: one per window, so that a window's noise does not depend on its batch; a single one only for a
                single window.
            features: those that are there already, to reuse them; the others are encoded.
            compiled: use the compiled U-Net. On a CPU it draws window by window, so that a window does not depend on
                its batch.
            negative_captions: one per window, what guidance pushes away from; the empty caption when absent.
            after_step: see `lit_outpaint.diffusion.sampling.denoise`.
            regions: of each window, with prompts of their own; takes an attention rule that reads them.
            end_fraction: share of the steps after which regions act no more.

        Returns:
            Whole windows in [-1, 1]. Known pixels have gone through the VAE: paste only the new ones.

        Raises:
            ValueError: sizes, or the number of captions or generators, do not fit together.
        """
        generators = _check_inputs(image, mask, generator)
        factor = self.window_px // int(self.unet.config.sample_size)
        if any(side % factor for side in image.shape[2:]):
            raise ValueError(f"the sides of windows must be multiples of {factor} px, got {tuple(image.shape[2:])}")
        device = self._execution_device  # Diffusers looks through all modules for it.
        alone = compiled and device.type == "cpu"
        at_once = 1 if alone else windows_at_once(len(image), device)
        if len(image) > at_once:
            parts = (slice(begin, begin + at_once) for begin in range(0, len(image), at_once))
            return torch.cat(
                [
                    self.draw(
                        image[part],
                        mask[part],
                        None if local_captions is None else local_captions[part],
                        None if global_captions is None else global_captions[part],
                        None if visual_image is None else visual_image[part],
                        sampling=sampling,
                        feather_cells=feather_cells,
                        generator=generators[part],
                        features=features.cut(part),
                        compiled=compiled,
                        negative_captions=None if negative_captions is None else negative_captions[part],
                        after_step=after_step,
                        regions=None if regions is None else regions[part],
                        end_fraction=end_fraction,
                    )
                    for part in parts
                ]
            )
        encoders, dtype = self.encoders, self.unet.dtype
        image, mask = image.to(device), mask.to(device)
        if visual_image is None and features.visual is None and "visual" in self.context.needs:
            features = features._replace(visual=encode_visible(image, mask, encoders))
        features = self.encode(len(image), local_captions, global_captions, visual_image, features)
        context = self.condition(features, sampling, negative_captions, regions)

        masked_image_latents = encoders.encode_mode(blank_masked(image, mask)).to(dtype)
        height, width = masked_image_latents.shape[2:]
        noise = self.prepare_latents(len(image), (height, width), generators)
        held = _known_side(encoders, image, mask, feather_cells)
        predict = self.predictor(
            context,
            Known(mask, masked_image_latents),
            (height, width),
            sampling,
            compiled=compiled,
            end_fraction=end_fraction,
        )
        hold = None if held is None else partial(blend_known, known=held, noise=noise, scheduler=self.scheduler)
        with one_timestep(self.unet):
            latents = denoise(
                predict,
                noise,
                self.scheduler,
                sampling.num_inference_steps,
                generators,
                hold,
                after_step,
                lambda: self.interrupt,
            )
        if held is not None:
            latents = torch.lerp(latents, held.latents.to(dtype), held.weights.to(dtype))
        return encoders.decode(latents).float()

    def __call__(
        self,
        prompt: str | Sequence[str],
        image: Any,
        mask_image: Any,
        global_prompt: str | Sequence[str] | None = None,
        negative_prompt: str | Sequence[str] | None = None,
        num_inference_steps: int = 25,
        guidance_scale: float = 3.0,
        guidance_rescale: float = 0.0,
        generator: Sequence[torch.Generator] | torch.Generator | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> Any:
        """Fill the white of ``mask_image``, as users of diffusers call a pipeline; the engines call `draw`.

        Args:
            prompt: what each window shows.
            image: windows: PIL pictures, arrays or tensors, as diffusers takes them.
            mask_image: white (1) is generated, black (0) kept.
            global_prompt: the whole scene; ``prompt`` when absent.
            negative_prompt: what guidance pushes away from; the empty caption when absent.
            num_inference_steps: denoising steps.
            guidance_scale: 1 is no guidance.
            guidance_rescale: share in [0, 1] by which guidance's over-exposure is taken back.
            generator: one per window, or one for a single window.
            output_type: ``pil``, ``np`` or ``pt``.
            return_dict: an ``ImagePipelineOutput`` instead of a tuple.
            callback_on_step_end: called after each step.
            callback_on_step_end_tensor_inputs: names of the tensors that it gets: ``latents``.

        Returns:
            Pictures whose known pixels are the given ones, bit for bit.

        Raises:
            ValueError: inputs do not fit together.
        """
        # As they are: resized pixels would no longer be the given ones.
        window = VaeImageProcessor(do_resize=False).preprocess(image).float()
        masks = VaeImageProcessor(
            do_resize=False, do_normalize=False, do_binarize=True, do_convert_grayscale=True
        ).preprocess(mask_image)
        if len(masks) not in (1, len(window)):
            raise ValueError(f"there must be one mask, or one per window ({len(window)}), got {len(masks)}")
        mask = masks.float().expand(len(window), -1, -1, -1)
        captions = as_list(prompt, len(window), "prompt")
        scenes = as_list(global_prompt, len(window), "global_prompt") or captions
        drawn = self.draw(
            window,
            mask,
            captions,
            scenes,
            sampling=Sampling(
                num_inference_steps=num_inference_steps,
                guidance_scale=guidance_scale,
                guidance_rescale=guidance_rescale,
            ),
            generator=generator,
            negative_captions=as_list(negative_prompt, len(window), "negative_prompt"),
            after_step=self.step_end(callback_on_step_end, callback_on_step_end_tensor_inputs),
        )
        return self.output(torch.where(mask.to(drawn.device) > 0.5, drawn, window.to(drawn)), output_type, return_dict)


def load_pipeline(directory: str | Path, dtype: torch.dtype | None = torch.float32) -> OutpaintPipeline:
    """Load a pipeline from a directory, whole or as an overlay (`lit_outpaint.models.overlay`).

    Args:
        directory: that ``export`` wrote.
        dtype: of all weights; None is that in which they are stored, float16 for an export with ``--half``.

    Raises:
        ValueError: the directory holds no pipeline, or parts that do not fit together.
    """
    directory = is_model(directory)
    check_outpaints(directory)
    try:
        if (directory / OVERLAY_NAME).is_file():
            encoders, parts = load_overlay(directory, dtype)
            return OutpaintPipeline.assemble(encoders, **parts)
        pipeline = load_whole(OutpaintPipeline, directory)
    except (ValueError, TypeError, KeyError, RuntimeError, OSError, AttributeError) as error:
        raise ValueError(f"the model in {directory} cannot be loaded: {one_line(error)}") from error
    assert isinstance(pipeline, OutpaintPipeline)
    return with_dtype(pipeline, dtype or stored_dtype(directory))


def _check_parts_fit(unet: Any, context: Any, text_encoder: Any, image_encoder: Any) -> None:
    """Refuse parts of different families with one line; no part may be a stand-in (None)."""
    if unet.config.in_channels != INPAINT_CHANNELS:
        raise ValueError(
            f"the U-Net must read {INPAINT_CHANNELS} channels, got {unet.config.in_channels}; train one with fit first"
        )
    width, dims = unet.config.cross_attention_dim, context.dims
    for name, given in (("the context", dims.text_dim), ("the text encoder", text_encoder.config.hidden_size)):
        if given != width:
            raise ValueError(f"the U-Net reads context rows {width} wide, but {name} has width {given}; use one family")
    if image_encoder.config.hidden_size != dims.visual_dim:
        raise ValueError(
            f"the context reads visual features {dims.visual_dim} wide, but the image encoder has width "
            f"{image_encoder.config.hidden_size}; use one family"
        )


def _check_inputs(
    image: Tensor, mask: Tensor, generator: Sequence[torch.Generator] | torch.Generator | None
) -> list[torch.Generator]:
    if mask.shape[0] != image.shape[0] or mask.shape[2:] != image.shape[2:]:
        raise ValueError(f"mask must be (B, 1, H, W) like image {tuple(image.shape)}, got {tuple(mask.shape)}")
    if generator is None:
        generator = [torch.Generator().manual_seed(int(torch.randint(2**62, ()))) for _ in image]
    generators = [generator] if isinstance(generator, torch.Generator) else list(generator)
    if len(generators) != len(image):
        raise ValueError(f"there must be one generator per window ({len(image)}), got {len(generators)}")
    return generators


def _known_side(encoders: FrozenEncoders, image: Tensor, mask: Tensor, feather_cells: int) -> KnownSide | None:
    """What is held in place while denoising, None when nothing is."""
    if feather_cells == 0:
        return None
    pairs = zip(image, mask, strict=True)
    latents = encoders.encode_mode(torch.cat([extend_visible(window[None], one) for window, one in pairs]))
    cells = torch.nn.functional.interpolate(mask, size=latents.shape[-2:], mode="nearest")
    return KnownSide(latents, keep_weights(cells, feather_cells))
