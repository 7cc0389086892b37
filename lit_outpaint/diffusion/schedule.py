"""The noise schedule of a model family, as a diffusers scheduler."""

from pathlib import Path

from diffusers import DDIMScheduler

from lit_outpaint.diffusion.targets import PredictionType


def load_scheduler(pretrained: str | Path, prediction_type: PredictionType | None = None) -> DDIMScheduler:
    """Load the schedule a base model was trained with.

    It gives training its ``alphas_cumprod`` and previews their sampler; any diffusers scheduler can stand in for
    inference.

    Args:
        pretrained: model directory or hub name with scheduler/, of any diffusers scheduler class.
        prediction_type: what the U-Net is trained to predict from now on; None keeps the stored one.
    """
    scheduler = DDIMScheduler.from_pretrained(str(pretrained), subfolder="scheduler")
    if prediction_type is not None:
        scheduler.register_to_config(prediction_type=prediction_type)
    return scheduler
