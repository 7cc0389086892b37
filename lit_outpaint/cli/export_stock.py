"""Exports that stock diffusers loads: pipelines of its own classes, where the conditioning is what these know."""

from typing import Any

from diffusers import StableDiffusionInpaintPipeline, StableDiffusionPipeline

from lit_outpaint.assembly import attention_of
from lit_outpaint.models.context import PromptEncoder
from lit_outpaint.module import OutpaintModule


def stock_pipeline(module: OutpaintModule) -> StableDiffusionInpaintPipeline | StableDiffusionPipeline:
    """The pipeline of stock diffusers that draws with a system's weights.

    Stock pipelines read the caption of the window and nothing else, by plain attention.

    Raises:
        ValueError: the system reads more than that.
    """
    conditioning = type(module.context)
    if conditioning is not PromptEncoder:
        raise ValueError(
            "--stock needs a model that reads one caption alone (model.context: PromptConfig), since stock pipelines"
            f" read no other; this one has {conditioning.__name__}: export it with --full"
        )
    if attention_of(module) is not None:
        raise ValueError(
            f"--stock needs plain attention, and this model reads by {type(module.denoiser.rule).__name__}; export it"
            " with --full"
        )
    frozen = module.encoders
    parts: dict[str, Any] = {
        "vae": frozen.vae,
        "text_encoder": frozen.text_encoder,
        "tokenizer": frozen.tokenizer,
        "unet": module.unet,
        "scheduler": module.scheduler,
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }
    if module.config.task == "outpaint":
        return StableDiffusionInpaintPipeline(**parts)
    return StableDiffusionPipeline(**parts)
