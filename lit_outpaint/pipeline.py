"""Inference on windows: a batch of partly known windows in, whole windows out.

    latents ~ N(0, 1)                                 one generator per window
    W       = context(text(local), text(global), vision(what is visible))
    latents = denoise([latents, mask, masked-image latents], W, guidance)
    windows = decode(latents)

The pipeline knows nothing of canvases: pasting the new pixels is `lit_outpaint.canvas.compositing`'s work. Whatever a
diffusers scheduler does, it does here too; known pixels come back as the VAE sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor

from lit_outpaint.data.views import blank_masked, extend_visible, visible_crop
from lit_outpaint.diffusion.guidance import guide
from lit_outpaint.diffusion.known_latents import KnownSide, blend_known, keep_weights
from lit_outpaint.diffusion.sampling import denoise
from lit_outpaint.diffusion.schedule import load_stored_scheduler
from lit_outpaint.models.attention import AttentionRule, FullAttention
from lit_outpaint.models.compiled import compile_for_drawing
from lit_outpaint.models.context import Context, ContextEncoder
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.models.overlay import OVERLAY_NAME, family_of
from lit_outpaint.models.unet import INPAINT_CHANNELS, one_timestep, unet_input, windows_at_once
from lit_outpaint.system.one_line import one_line

Uncond = Literal["text", "text_and_visual"]
"""What the unconditional branch of guidance drops."""


class OutpaintPipeline(DiffusionPipeline):
    """Fills the masked side of windows, guided by two captions and by what is visible.

    Args of the constructor are the parts, as ``save_pretrained`` writes them. ``unet`` has nine input channels.
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
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            image_encoder=image_encoder,
            image_processor=image_processor,
            unet=unet,
            context=context,
            scheduler=scheduler,
        )
        _check_parts_fit(unet, context, text_encoder, image_encoder)
        self.set_attention_rule(FullAttention())
        self._compiled_unet: Callable[..., Any] | None = None
        vae.enable_slicing()  # A window is encoded and decoded alone, so what comes out does not depend on its batch.
        for part in (unet, context):
            part.requires_grad_(False).eval()

    @classmethod
    def assemble(cls, encoders: FrozenEncoders, *, unet: Any, context: Any, scheduler: Any) -> OutpaintPipeline:
        """Put the frozen parts of a family and the trained ones together."""
        return cls(
            vae=encoders.vae,
            text_encoder=encoders.text_encoder,
            tokenizer=encoders.tokenizer,
            image_encoder=encoders.image_encoder,
            image_processor=encoders.image_processor,
            unet=unet,
            context=context,
            scheduler=scheduler,
        )

    @property
    def window_px(self) -> int:
        """Side of the windows the U-Net was made for."""
        return int(self.unet.config.sample_size) * 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def encoders(self) -> FrozenEncoders:
        """The frozen parts behind one face."""
        return FrozenEncoders(self.vae, self.tokenizer, self.text_encoder, self.image_encoder, self.image_processor)

    def set_attention_rule(self, rule: AttentionRule) -> None:
        """Let attention layers read the context by ``rule``."""
        rule.install(self.unet)
        self.attention_rule = rule

    def compile_unet(self) -> Callable[..., Any]:
        """The U-Net as calls with ``compiled`` use it, made when first asked for; see `lit_outpaint.models.compiled`.

        Raises:
            ValueError: it cannot be compiled here.
        """
        if self._compiled_unet is None:
            self._compiled_unet = compile_for_drawing(self.unet)
        return self._compiled_unet

    @torch.no_grad()
    def __call__(
        self,
        image: Float[Tensor, "b 3 h w"],
        mask: Float[Tensor, "b 1 h w"],
        local_captions: Sequence[str] | None = None,
        global_captions: Sequence[str] | None = None,
        visual_image: Float[Tensor, "b 3 vh vw"] | Sequence[Tensor] | None = None,
        *,
        num_inference_steps: int = 25,
        guidance_scale: float = 3.0,
        guidance_rescale: float = 0.0,
        uncond: Uncond = "text",
        feather_cells: int = 0,
        generator: Sequence[torch.Generator] | torch.Generator | None = None,
        text_local: Float[Tensor, "b l d"] | None = None,
        text_global: Float[Tensor, "b l d"] | None = None,
        visual_features: Float[Tensor, "b k v"] | None = None,
        compiled: bool = False,
    ) -> Float[Tensor, "b 3 h w"]:
        """Fill the 1s of ``mask``.

        Args:
            image: windows in [-1, 1]; what lies under the 1s of the mask is not read.
            mask: 1 = generate, 0 = keep.
            local_captions: one per window: what the window shows; not needed with ``text_local``.
            global_captions: one per window: the whole scene; not needed with ``text_global``.
            visual_image: what the vision encoder looks at, a batch or a list of any sizes; the visible part of each
                window when absent.
            num_inference_steps: denoising steps.
            guidance_scale: 1 is no guidance, larger obeys the captions more.
            guidance_rescale: see `lit_outpaint.diffusion.guidance.guide`.
            uncond: what the unconditional branch drops: the captions, or the captions and the visual features.
            feather_cells: hold the known side in place while denoising, with a feather of so many latent cells; 0 lets
                the U-Net draw it anew. See `lit_outpaint.diffusion.known_latents`.
            generator: one per window, so that a window's noise does not depend on its batch; a single one only for a
                single window.
            text_local: features of ``local_captions``, to reuse them.
            text_global: features of ``global_captions``.
            visual_features: features of ``visual_image``.
            compiled: use the compiled U-Net. On a CPU it draws window by window, so that a window does not depend on
                its batch.

        Returns:
            Whole windows in [-1, 1]. Known pixels have gone through the VAE: paste only the new ones.

        Raises:
            ValueError: sizes, or the number of captions or generators, do not fit together.
        """
        generators = _check_inputs(image, mask, generator, num_inference_steps)
        alone = compiled and self._execution_device.type == "cpu"
        at_once = 1 if alone else windows_at_once(len(image), self._execution_device)
        if len(image) > at_once:
            windows: dict[str, Any] = {
                "image": image,
                "mask": mask,
                "local_captions": local_captions,
                "visual_image": visual_image,
            }
            windows |= {"global_captions": global_captions, "generator": generators, "text_local": text_local}
            windows |= {"text_global": text_global, "visual_features": visual_features}
            options: dict[str, Any] = {"num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale}
            options |= {"guidance_rescale": guidance_rescale, "uncond": uncond, "feather_cells": feather_cells}
            options |= {"compiled": compiled}
            parts = (slice(begin, begin + at_once) for begin in range(0, len(image), at_once))
            return torch.cat([self(**_cut(windows, part), **options) for part in parts])
        encoders = self.encoders
        device, dtype = self._execution_device, self.unet.dtype
        image, mask = image.to(device), mask.to(device)

        text_local = self._text(encoders, text_local, local_captions, len(image), "local")
        text_global = self._text(encoders, text_global, global_captions, len(image), "global")
        if visual_features is None:
            seen = visual_image if visual_image is not None else _visible(image, mask)
            visual_features = encoders.encode_visual(seen)
        guided = guidance_scale > 1
        context = self.condition(text_local, text_global, visual_features, uncond if guided else None)

        masked_image_latents = encoders.encode_mode(blank_masked(image, mask)).to(dtype)
        shape = masked_image_latents.shape[1:]
        noise = torch.stack([torch.randn(shape, generator=each) for each in generators]).to(device, dtype)
        known = _known_side(encoders, image, mask, feather_cells)
        predict = self.predictor(
            context, mask, masked_image_latents, guidance_scale, guidance_rescale, project_once=True, compiled=compiled
        )
        hold = None if known is None else partial(blend_known, known=known, noise=noise, scheduler=self.scheduler)
        with one_timestep(self.unet):
            latents = denoise(predict, noise, self.scheduler, num_inference_steps, generators, hold)
        if known is not None:
            latents = torch.lerp(latents, known.latents.to(dtype), known.weights.to(dtype))
        return encoders.decode(latents).float()

    def condition(
        self, text_local: Tensor, text_global: Tensor, visual_features: Tensor, uncond: Uncond | None
    ) -> Context:
        """Build W; with ``uncond`` the rows of the unconditional branch come first in the batch."""
        if uncond is not None:
            empty = self.encoders.encode_text([""]).expand_as(text_local)
            unseen = visual_features if uncond == "text" else torch.zeros_like(visual_features)
            text_local, text_global = torch.cat([empty, text_local]), torch.cat([empty, text_global])
            visual_features = torch.cat([unseen, visual_features])
        dtype = self.context.dtype
        hidden_states, key_bias = self.context(text_local.to(dtype), text_global.to(dtype), visual_features.to(dtype))
        return Context(hidden_states.to(self.unet.dtype), key_bias)

    def predictor(
        self,
        context: Context,
        mask: Float[Tensor, "b 1 mh mw"],
        masked_image_latents: Float[Tensor, "b c h w"],
        guidance_scale: float,
        guidance_rescale: float,
        *,
        project_once: bool = False,
        compiled: bool = False,
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """What maps noisy latents of a batch of windows and one timestep to the guided prediction.

        Args:
            context: of `condition`, with the unconditional rows first when ``guidance_scale`` is above 1.
            mask: 1 = generate, 0 = keep, at pixel or latent size.
            masked_image_latents: scaled latents of the windows with the 1s of the mask blanked.
            guidance_scale: 1 is no guidance.
            guidance_rescale: see `lit_outpaint.diffusion.guidance.guide`.
            project_once: keep the keys and values of the context in all layers: less work, more memory.
            compiled: use the compiled U-Net.
        """
        guided = guidance_scale > 1
        # One row alone takes another path through CPU convolutions than the same row among others, hence two at least.
        copies = 2 if guided or len(mask) == 1 else 1
        if copies > 1 and not guided:
            context = context._replace(hidden_states=context.hidden_states.repeat(copies, 1, 1))
        rule = self.attention_rule
        kwargs = rule.loop_kwargs(self.unet, context) if project_once else rule.cross_attention_kwargs(context)
        unet = self.compile_unet() if compiled else self.unet
        mask, masked_image_latents = mask.repeat(copies, 1, 1, 1), masked_image_latents.repeat(copies, 1, 1, 1)

        def predict(latents: Tensor, timestep: Tensor) -> Tensor:
            stacked = unet_input(latents.repeat(copies, 1, 1, 1), mask, masked_image_latents)
            model_pred = unet(stacked, timestep, context.hidden_states, cross_attention_kwargs=kwargs).sample
            if not guided:
                return model_pred[: len(latents)]
            unconditional, conditional = model_pred.chunk(2)
            return guide(unconditional, conditional, guidance_scale, guidance_rescale)

        return predict

    def _text(
        self, encoders: FrozenEncoders, features: Tensor | None, captions: Sequence[str] | None, batch: int, which: str
    ) -> Tensor:
        if features is None and captions is None:
            raise ValueError(f"{which}_captions or text_{which} must be given, got neither")
        if features is None:
            features = encoders.encode_text(list(captions or ()))
        if len(features) != batch:
            raise ValueError(f"there must be one {which} caption per window ({batch}), got {len(features)}")
        return features.to(self._execution_device)


def load_pipeline(directory: str | Path, dtype: torch.dtype = torch.float32) -> OutpaintPipeline:
    """Load a pipeline from a directory, whole or as an overlay (`lit_outpaint.models.overlay`).

    Raises:
        ValueError: the directory holds no pipeline, or parts that do not fit together.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise ValueError(f"the model must be a directory with an outpainting pipeline, {directory} does not exist")
    overlay = (directory / OVERLAY_NAME).is_file()
    if not overlay and not (directory / "model_index.json").is_file():
        raise ValueError(
            f"the model must hold {OVERLAY_NAME} or model_index.json, {directory} holds neither; export one"
        )
    try:
        if overlay:
            return _load_overlay(directory, dtype)
        pipeline = OutpaintPipeline.from_pretrained(
            directory, local_files_only=True, use_safetensors=True, low_cpu_mem_usage=False
        )
    except (ValueError, TypeError, KeyError, RuntimeError, OSError, AttributeError) as error:
        raise ValueError(f"the model in {directory} cannot be loaded: {one_line(error)}") from error
    assert isinstance(pipeline, OutpaintPipeline)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            _cast(part, dtype)
    return pipeline


def _load_overlay(directory: Path, dtype: torch.dtype) -> OutpaintPipeline:
    base = family_of(directory)
    encoders = FrozenEncoders.from_pretrained(base, dtype=dtype)
    options = {"use_safetensors": True, "low_cpu_mem_usage": False, "local_files_only": True}
    return OutpaintPipeline.assemble(
        encoders,
        unet=_cast(UNet2DConditionModel.from_pretrained(directory, subfolder="unet", **options), dtype),
        context=_cast(ContextEncoder.from_pretrained(directory, subfolder="context", **options), dtype),
        scheduler=load_stored_scheduler(directory if (directory / "scheduler").is_dir() else base),
    )


def _cast(part: torch.nn.Module, dtype: torch.dtype) -> torch.nn.Module:
    """Cast weights; diffusers' own ``to`` warns about layers that none of our models has."""
    return torch.nn.Module.to(part, dtype=dtype)


def _check_parts_fit(unet: Any, context: Any, text_encoder: Any, image_encoder: Any) -> None:
    """Refuse parts of different families with one line; no part may be a stand-in (None)."""
    if unet.config.in_channels != INPAINT_CHANNELS:
        raise ValueError(
            f"the U-Net must read {INPAINT_CHANNELS} channels, got {unet.config.in_channels}; train one with fit first"
        )
    width = unet.config.cross_attention_dim
    for name, given in (
        ("the context", context.config.text_dim),
        ("the text encoder", text_encoder.config.hidden_size),
    ):
        if given != width:
            raise ValueError(f"the U-Net reads context rows {width} wide, but {name} has width {given}; use one family")
    if image_encoder.config.hidden_size != context.config.visual_dim:
        raise ValueError(
            f"the context reads visual features {context.config.visual_dim} wide, but the image encoder has width "
            f"{image_encoder.config.hidden_size}; use one family"
        )


def _check_inputs(
    image: Tensor, mask: Tensor, generator: Sequence[torch.Generator] | torch.Generator | None, num_inference_steps: int
) -> list[torch.Generator]:
    if mask.shape[0] != image.shape[0] or mask.shape[2:] != image.shape[2:]:
        raise ValueError(f"mask must be (B, 1, H, W) like image {tuple(image.shape)}, got {tuple(mask.shape)}")
    if num_inference_steps < 1:
        raise ValueError(f"num_inference_steps must be at least 1, got {num_inference_steps}")
    if generator is None:
        generator = [torch.Generator().manual_seed(int(torch.randint(2**62, ()))) for _ in image]
    generators = [generator] if isinstance(generator, torch.Generator) else list(generator)
    if len(generators) != len(image):
        raise ValueError(f"there must be one generator per window ({len(image)}), got {len(generators)}")
    return generators


def _cut(windows: Mapping[str, Any], part: slice) -> dict[str, Any]:
    """Some windows of what was given for all of them."""
    return {name: None if values is None else values[part] for name, values in windows.items()}


def _visible(image: Tensor, mask: Tensor) -> list[Tensor]:
    return [visible_crop(window[None], one)[0] for window, one in zip(image, mask, strict=True)]


def _known_side(encoders: FrozenEncoders, image: Tensor, mask: Tensor, feather_cells: int) -> KnownSide | None:
    """What is held in place while denoising, None when nothing is."""
    if feather_cells == 0:
        return None
    pairs = zip(image, mask, strict=True)
    latents = encoders.encode_mode(torch.cat([extend_visible(window[None], one) for window, one in pairs]))
    cells = torch.nn.functional.interpolate(mask, size=latents.shape[-2:], mode="nearest")
    return KnownSide(latents, keep_weights(cells, feather_cells))
