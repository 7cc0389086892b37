"""Text-to-image: whole windows from prompts, by the same parts as outpainting and a U-Net of four channels.

    latents ~ N(0, 1)                                 one generator per picture
    context = conditioning(text(prompt), ...)         the prompt alone, or with what a conditioning part adds
    latents = denoise(latents, context, guidance)
    windows = decode(latents)

A stock Stable Diffusion directory loads as it is; an overlay or an export may bring its own conditioning part and
attention rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from jaxtyping import Float
from torch import Tensor

from lit_outpaint.data.features import Features
from lit_outpaint.diffusion.sampling import denoise
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.models.conditioned import ConditionedPipeline, StepEnd, as_list
from lit_outpaint.models.context import PromptEncoder
from lit_outpaint.models.loading import OPTIONS, load_overlay, load_whole, stored_dtype, with_dtype
from lit_outpaint.models.overlay import OVERLAY_NAME, is_model
from lit_outpaint.models.region_conditions import RegionPrompt
from lit_outpaint.models.reproducible import one_timestep, windows_at_once
from lit_outpaint.models.unet import LATENT_CHANNELS
from lit_outpaint.system.one_line import one_line


class TextToImagePipeline(ConditionedPipeline):
    """Draws pictures of prompts.

    Args of the constructor are the parts, as ``save_pretrained`` writes them. ``unet`` has four input channels;
    ``attention`` describes the attention rule (`lit_outpaint.system.named`), every row everywhere when absent;
    ``language`` the language encoder, where the conditioning reads one.
    """

    model_cpu_offload_seq = "text_encoder->context->unet->vae"

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        context: Any,
        scheduler: Any,
        attention: dict[str, Any] | None = None,
        language: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if unet.config.in_channels != LATENT_CHANNELS:
            raise ValueError(
                f"text-to-image takes a U-Net of {LATENT_CHANNELS} input channels, got {unet.config.in_channels}; an"
                " outpainting model stands on a family whose own U-Net draws from text"
            )
        self.take_parts(
            attention,
            language,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            context=context,
            scheduler=scheduler,
        )

    @torch.no_grad()
    def draw(
        self,
        prompts: Sequence[str],
        *,
        sampling: Sampling = Sampling(),
        generator: Sequence[torch.Generator] | torch.Generator | None = None,
        size: tuple[int, int] | None = None,
        features: Features = Features(),
        negative_prompts: Sequence[str] | None = None,
        noise: Float[Tensor, "b c h w"] | None = None,
        compiled: bool = False,
        after_step: Callable[[int, Any, Tensor], Tensor] | None = None,
        regions: Sequence[Sequence[RegionPrompt]] | None = None,
        end_fraction: float = 1.0,
    ) -> Float[Tensor, "b 3 hh ww"]:
        """Draw one picture per prompt.

        Args:
            prompts: what to draw.
            sampling: how latents are drawn; its scheduler is the pipeline's own here.
            generator: one per picture, so that its noise does not depend on its batch, or one for all.
            size: height and width in pixels, multiples of 8; the window the U-Net was made for when absent.
            features: those that are there already, to reuse them; the others are encoded.
            negative_prompts: one per picture, what guidance pushes away from; the empty prompt when absent.
            noise: unit Gaussian noise in place of the generators'.
            compiled: use the compiled U-Net.
            after_step: see `lit_outpaint.diffusion.sampling.denoise`.
            regions: of each picture, with prompts of their own; takes an attention rule that reads them.
            end_fraction: share of the steps after which regions act no more.

        Returns:
            Pictures in [-1, 1].

        Raises:
            ValueError: sizes or counts do not fit together.
        """
        height, width = size or (self.window_px, self.window_px)
        factor = self.window_px // int(self.unet.config.sample_size)
        if height % factor or width % factor or height < factor or width < factor:
            raise ValueError(f"height and width must be positive multiples of {factor}, got {height} and {width}")
        if not prompts:
            raise ValueError("there must be at least one prompt")
        generators = list(generator) if isinstance(generator, Sequence) else None
        if generators is not None and len(generators) != len(prompts):
            raise ValueError(f"there must be one generator per picture ({len(prompts)}), got {len(generators)}")
        cells = (height // factor, width // factor)
        noise = self.prepare_latents(len(prompts), cells, generator, noise)
        at_once = windows_at_once(len(prompts), self._execution_device)
        drawn = []
        for begin in range(0, len(prompts), at_once):
            part = slice(begin, begin + at_once)
            texts = prompts[part]
            encoded = self.encode(len(texts), texts, texts, None, features.cut(part))
            context = self.condition(
                encoded,
                sampling,
                None if negative_prompts is None else negative_prompts[part],
                None if regions is None else regions[part],
            )
            predict = self.predictor(context, None, cells, sampling, compiled=compiled, end_fraction=end_fraction)
            with one_timestep(self.unet):
                latents = denoise(
                    predict,
                    noise[part],
                    self.scheduler,
                    sampling.num_inference_steps,
                    generator if generators is None else generators[part],
                    after_step=after_step,
                    should_stop=lambda: self.interrupt,
                )
            drawn.append(self.encoders.decode(latents).float())
        return torch.cat(drawn)

    def __call__(
        self,
        prompt: str | Sequence[str],
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 25,
        guidance_scale: float = 3.0,
        guidance_rescale: float = 0.0,
        negative_prompt: str | Sequence[str] | None = None,
        num_images_per_prompt: int = 1,
        generator: Sequence[torch.Generator] | torch.Generator | None = None,
        latents: Float[Tensor, "b c h w"] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> Any:
        """Draw pictures, as users of diffusers call a pipeline; see ``StableDiffusionPipeline`` for the arguments.

        Raises:
            ValueError: inputs do not fit together.
        """
        once = [prompt] if isinstance(prompt, str) else list(prompt)
        prompts = [text for text in once for _ in range(num_images_per_prompt)]
        drawn = self.draw(
            prompts,
            sampling=Sampling(
                num_inference_steps=num_inference_steps,
                guidance_scale=guidance_scale,
                guidance_rescale=guidance_rescale,
            ),
            generator=generator,
            size=(height or self.window_px, width or self.window_px),
            negative_prompts=as_list(negative_prompt, len(prompts), "negative_prompt"),
            noise=latents,
            after_step=self.step_end(callback_on_step_end, callback_on_step_end_tensor_inputs),
        )
        return self.output(drawn, output_type, return_dict)


def load_text_to_image(directory: str | Path, dtype: torch.dtype | None = torch.float32) -> TextToImagePipeline:
    """Load a text-to-image pipeline: a stock Stable Diffusion directory, an export of ours, or an overlay.

    Args:
        directory: of the model.
        dtype: of all weights; None is that in which they are stored.

    Raises:
        ValueError: the directory holds no such pipeline, or parts that do not fit together.
    """
    directory = is_model(directory)
    dtype = dtype or stored_dtype(directory)
    try:
        if (directory / OVERLAY_NAME).is_file():
            encoders, parts = load_overlay(directory, dtype)
            return TextToImagePipeline.assemble(encoders, **parts)
        if (directory / "context").is_dir():
            whole = load_whole(TextToImagePipeline, directory)
            assert isinstance(whole, TextToImagePipeline)
            return with_dtype(whole, dtype)
        absent = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        stock = StableDiffusionPipeline.from_pretrained(directory, dtype=dtype, **OPTIONS, **absent)
        text = stock.text_encoder.config
        pipeline = TextToImagePipeline(
            vae=stock.vae,
            text_encoder=stock.text_encoder,
            tokenizer=stock.tokenizer,
            unet=stock.unet,
            context=PromptEncoder(text_length=text.max_position_embeddings, text_dim=text.hidden_size),
            scheduler=stock.scheduler,
        )
    except (ValueError, TypeError, KeyError, RuntimeError, OSError, AttributeError) as error:
        raise ValueError(f"the model in {directory} cannot be loaded: {one_line(error)}") from error
    return with_dtype(pipeline, dtype)
