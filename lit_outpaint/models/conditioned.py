"""What our two pipelines share: features, context and denoiser, and what users of diffusers expect of a call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput, UNet2DConditionModel
from diffusers.hooks.group_offloading import _is_group_offload_enabled
from diffusers.image_processor import VaeImageProcessor
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.utils.torch_utils import get_device, randn_tensor
from jaxtyping import Float
from torch import Tensor

from lit_outpaint.data.features import PICTURES, TEXTS, Features, stacked, told, unconditional
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.models.attention import AttentionRule, FullAttention
from lit_outpaint.models.context import ChangingContext, Context
from lit_outpaint.models.denoiser import Denoiser, Known, Predict
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.models.language import LanguageConfig
from lit_outpaint.models.language_encoders import LanguageEncoder
from lit_outpaint.models.region_conditions import (
    RegionPrompt,
    encode_guided_regions,
    last_region_timestep,
    until,
    without_regions,
)
from lit_outpaint.system.named import build, described

StepEnd = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any] | None]
"""``callback_on_step_end`` of diffusers: pipeline, number of the step, timestep, tensors by name; returns changes."""

FROZEN_PARTS: Final = ("vae", "text_encoder", "tokenizer", "image_encoder", "image_processor")
"""Parts of a pipeline that no training changes."""

Pipeline = TypeVar("Pipeline", bound="ConditionedPipeline")


class ConditionedPipeline(DiffusionPipeline, StableDiffusionLoraLoaderMixin):
    """A diffusers pipeline whose U-Net reads the context of a conditioning part by an attention rule."""

    _callback_tensor_inputs = ("latents",)

    @classmethod
    def assemble(cls: type[Pipeline], encoders: FrozenEncoders, **trained: Any) -> Pipeline:
        """Put the frozen parts of a family and the trained ones together.

        Args:
            encoders: give the parts that the constructor names.
            trained: ``unet``, ``context``, ``scheduler`` and, where they are not the usual ones, ``attention`` and
                ``language``.
        """
        named = inspect.signature(cls.__init__).parameters
        return cls(**{name: getattr(encoders, name) for name in FROZEN_PARTS if name in named}, **trained)

    def take_parts(
        self, attention: dict[str, Any] | None, language: dict[str, Any] | None = None, **parts: Any
    ) -> None:
        """Register the parts, freeze the trained ones and install the attention rule.

        Args:
            attention: describes the rule (`lit_outpaint.system.named`); every row everywhere when absent.
            language: describes the language encoder (`lit_outpaint.models.language`), where the conditioning reads one.
            parts: by the names of the constructor's arguments.
        """
        self._encoders: tuple[tuple[Any, ...], FrozenEncoders] | None = None
        self.set_language(None if language is None else build(language, LanguageConfig))
        self.register_modules(**parts)
        self.set_attention_rule(FullAttention() if attention is None else build(attention, AttentionRule))
        # A window is encoded and decoded alone, so what comes out does not depend on its batch.
        self.vae.enable_slicing()
        for part in (self.unet, self.context):
            part.requires_grad_(False).eval()
        self._interrupt = False

    @property
    def window_px(self) -> int:
        """Side of the windows the U-Net was made for."""
        return int(self.unet.config.sample_size) * 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def encoders(self) -> FrozenEncoders:
        """The frozen parts behind one face."""
        seeing = (getattr(self, "image_encoder", None), getattr(self, "image_processor", None))
        parts = (self.vae, self.tokenizer, self.text_encoder, *seeing)
        # To put them together costs as much as to encode with small ones.
        if self._encoders is None or any(kept is not part for kept, part in zip(self._encoders[0], parts, strict=True)):
            self._encoders = parts, FrozenEncoders(*parts)
        return self._encoders[1]

    @property
    def attention_rule(self) -> AttentionRule:
        """How attention layers read the context."""
        return self.denoiser.rule

    def set_attention_rule(self, rule: AttentionRule) -> None:
        """Let attention layers read the context by ``rule``."""
        self.denoiser = Denoiser(self.unet, rule)
        self.register_to_config(attention=None if rule == FullAttention() else described(rule))

    def set_language(self, config: LanguageConfig | None) -> None:
        """Take language features from the encoder that ``config`` names; it is loaded when first needed."""
        self._language_config = config
        self._language: LanguageEncoder | None = None
        self.register_to_config(language=described(config))

    @property
    def language(self) -> LanguageEncoder | None:
        """The language encoder, None where there is none."""
        if self._language is None and self._language_config is not None:
            self._language = self._language_config.build()
        return None if self._language is None else self._language.to(self._execution_device)

    def enable_sequential_cpu_offload(
        self, gpu_id: int | None = None, device: torch.device | str | None = None
    ) -> None:
        """Keep weights in main memory and bring those of one layer at a time to the accelerator; see diffusers.

        Raises:
            ValueError: there is no accelerator, or ``device`` is the CPU, where accelerate's hooks cannot work.
        """
        if torch.device(get_device() if device is None else device).type == "cpu":
            raise ValueError("enable_sequential_cpu_offload needs an accelerator, got the CPU; leave it out here")
        super().enable_sequential_cpu_offload(gpu_id, device)

    @property
    def interrupt(self) -> bool:
        """Whether the call that runs is to stop; diffusers' callbacks set ``_interrupt``."""
        return self._interrupt

    def encode(
        self,
        count: int,
        local_captions: Sequence[str] | None,
        global_captions: Sequence[str] | None,
        seen: Tensor | Sequence[Tensor] | None,
        given: Features = Features(),
    ) -> Features:
        """The features that the conditioning part needs.

        Args:
            count: windows.
            local_captions: one per window.
            global_captions: one per window.
            seen: what the vision encoder looks at, one picture per window; None shows it nothing.
            given: features that are there already.

        Raises:
            ValueError: captions are missing, or there is not one of each per window.
        """
        encoders, made, device = self.encoders, {}, self._execution_device
        sources = {
            "text_local": ("local_captions", local_captions),
            "text_global": ("global_captions", global_captions),
            "language_local": ("local_captions", local_captions),
            "language_global": ("global_captions", global_captions),
        }
        for name in self.context.needs:
            value = getattr(given, name)
            if value is None and name in sources:
                argument, captions = sources[name]
                if captions is None:
                    raise ValueError(f"{argument} or features.{name} must be given, got neither")
                value = self._encode_captions(name, captions)
            elif value is None and name == "visual":
                dims = self.context.dims
                unseen = (count, dims.visual_length, dims.visual_dim)
                value = torch.zeros(unseen, dtype=encoders.dtype) if seen is None else encoders.encode_visual(seen)
            elif value is None:
                raise ValueError(f"the conditioning reads {name}, which this pipeline has no encoder for; give it")
            if len(value) != count:
                raise ValueError(f"there must be one caption per window ({count}) for {name}, got {len(value)}")
            made[name] = value.to(device)
        return Features(**made)

    def condition(
        self,
        features: Features,
        sampling: Sampling,
        negative_captions: Sequence[str] | None = None,
        regions: Sequence[Sequence[RegionPrompt]] | None = None,
    ) -> Context | ChangingContext:
        """Build the context; under guidance the rows of the unconditional branch come first in the batch.

        Args:
            features: of `encode`.
            sampling: says whether there is guidance, and what it drops.
            negative_captions: one per window, in place of the empty caption.
            regions: of each window; the attention rule must read them (`rule_of`).
        """
        empty = self._instead(features, None) if sampling.left_out or sampling.guided else Features()
        of_windows, without = told(features, empty, sampling), None
        features = of_windows
        if sampling.guided:
            instead = empty if negative_captions is None else self._instead(features, negative_captions)
            without = unconditional(features, instead, sampling)
            features = stacked(without, features)
        features = features.cast(self.context.dtype)
        regional = None if not regions else encode_guided_regions(regions, of_windows, without, self._captioned)

        def made(*timestep: Tensor) -> Context:
            def part(of: Features) -> Context:
                return self.context(of, *timestep)

            context = part(features)
            read = None if regional is None else regional.rows(part)
            if read is not None:
                context = context._replace(regions=read.to(context.hidden_states.device, self.unet.dtype))
            return context._replace(hidden_states=context.hidden_states.to(self.unet.dtype))

        return ChangingContext(made) if getattr(self.context, "reads_timestep", False) else made()

    def _instead(self, features: Features, captions: Sequence[str] | None) -> Features:
        """What stands in place of the captions of some features: others, one per window, or the empty one for all."""
        made = {}
        for name, value in features._asdict().items():
            if value is not None and name not in PICTURES:
                encoded = self._encode_captions(name, [""] if captions is None else captions)
                made[name] = encoded[0] if captions is None else encoded
        return Features(**made)

    def _encode_captions(self, name: str, captions: Sequence[str]) -> Tensor:
        """The feature ``name`` of captions.

        Raises:
            ValueError: it is a language feature, and there is no language encoder.
        """
        if name in TEXTS:
            return self.encoders.encode_text(list(captions))
        if self.language is None:
            raise ValueError(f"the conditioning reads {name}, which this pipeline has no encoder for; give it")
        return self.language.encode(list(captions))

    def predictor(
        self,
        context: Context | ChangingContext,
        known: Known | None,
        size: tuple[int, int],
        sampling: Sampling,
        *,
        compiled: bool = False,
        end_fraction: float = 1.0,
    ) -> Predict:
        """What a denoising loop predicts with; see `Denoiser.guided`.

        Args:
            context: of `condition`.
            known: mask and masked image; None for text-to-image.
            size: height and width of the latents.
            sampling: how latents are drawn.
            compiled: use the compiled U-Net.
            end_fraction: share of the steps after which regions act no more; less than 1 waits for the device at
                every step.
        """
        guided = partial(self.denoiser.guided, project_once=not is_offloaded(self.unet), compiled=compiled)
        predict = guided(context, known, size, sampling)
        if end_fraction == 1 or (isinstance(context, Context) and context.regions is None):
            return predict
        last = last_region_timestep(self.scheduler, sampling.num_inference_steps, end_fraction)
        return until(last, predict, guided(without_regions(context), known, size, sampling))

    def _captioned(self, captions: Sequence[str], given: Features) -> Features:
        """Features of windows that differ in their local captions alone."""
        return self.encode(len(captions), captions, captions, None, given).cast(self.context.dtype)

    def prepare_latents(
        self,
        count: int,
        size: tuple[int, int],
        generator: Sequence[torch.Generator] | torch.Generator | None,
        latents: Tensor | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """Unit Gaussian noise, or the given one, on the device that draws.

        Args:
            count: windows.
            size: height and width of the latents.
            generator: one per window, or one for all.
            latents: used as they are when given.
        """
        if latents is None:
            shape = (count, int(self.unet.config.out_channels), *size)
            several = list(generator) if isinstance(generator, Sequence) else generator
            latents = randn_tensor(shape, generator=several, device=torch.device("cpu"), dtype=torch.float32)
        return latents.to(self._execution_device, self.unet.dtype)

    def step_end(self, callback: StepEnd | None, names: Sequence[str]) -> Callable[[int, Any, Tensor], Tensor] | None:
        """What the denoising loop calls after each step.

        Raises:
            ValueError: the callback wants tensors that there are not.
        """
        unknown = [name for name in names if name not in self._callback_tensor_inputs]
        if unknown:
            raise ValueError(
                f"callback_on_step_end_tensor_inputs must be among {', '.join(self._callback_tensor_inputs)}, got"
                f" {unknown[0]!r}"
            )
        self._interrupt = False
        if callback is None:
            return None

        def after(step: int, timestep: Any, latents: Tensor) -> Tensor:
            changed = callback(self, step, timestep, {"latents": latents} if "latents" in names else {})
            return latents if not changed else changed.get("latents", latents)

        return after

    def output(self, windows: Float[Tensor, "b 3 h w"], output_type: str, return_dict: bool) -> Any:
        """Windows in [-1, 1] as diffusers returns pictures, ``pil``, ``np`` or ``pt``; offloaded parts leave again."""
        self.maybe_free_model_hooks()
        images = VaeImageProcessor().postprocess(windows, output_type=output_type)
        return ImagePipelineOutput(images=images) if return_dict else (images,)


def is_offloaded(unet: UNet2DConditionModel) -> bool:
    """Whether weights come to the device for the U-Net's own calls, so that no layer may be called outside of them."""
    return hasattr(unet, "_hf_hook") or _is_group_offload_enabled(unet)


def as_list(texts: str | Sequence[str] | None, count: int, argument: str) -> list[str] | None:
    """One text per window; a single one stands for all.

    Raises:
        ValueError: there are others.
    """
    if texts is None or isinstance(texts, str):
        return None if texts is None else [texts] * count
    if len(texts) != count:
        raise ValueError(f"{argument} must be one text or one per picture ({count}), got {len(texts)}")
    return list(texts)
