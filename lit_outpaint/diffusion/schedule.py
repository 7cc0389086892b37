"""The noise schedule of a model family, as a diffusers scheduler."""

import json
from pathlib import Path
from typing import Any

import diffusers
from diffusers import DDIMScheduler

from lit_outpaint.diffusion.targets import PredictionType
from lit_outpaint.system.one_line import refused_in_one_line


def load_scheduler(pretrained: str | Path, prediction_type: PredictionType | None = None) -> DDIMScheduler:
    """Load the schedule a base model was trained with.

    It gives training its ``alphas_cumprod`` and previews their sampler; any diffusers scheduler can stand in for
    inference.

    Args:
        pretrained: model directory or hub name with scheduler/, of any diffusers scheduler class.
        prediction_type: what the U-Net is trained to predict from now on; None keeps the stored one.

    Raises:
        ValueError: it cannot be had, or epsilon is to be predicted where nothing but noise is left at its end.
    """
    with refused_in_one_line(f"scheduler of {pretrained}", "give a model directory, or a hub name that can be reached"):
        scheduler = DDIMScheduler.from_pretrained(str(pretrained), subfolder="scheduler")
    if prediction_type is not None:
        scheduler.register_to_config(prediction_type=prediction_type)
    if scheduler.config.prediction_type == "epsilon" and not scheduler.alphas_cumprod[-1] > 0:
        # From noise alone a prediction of the noise tells nothing: drawing would divide by zero.
        raise ValueError(
            f"the schedule of {pretrained} ends in noise alone, which takes objective.prediction_type v_prediction, got"
            " epsilon"
        )
    return scheduler


def load_stored_scheduler(directory: Path) -> Any:
    """Load the scheduler in a model directory as the class that its configuration names."""
    path = directory / "scheduler" / "scheduler_config.json"
    name = json.loads(path.read_text(encoding="utf-8"))["_class_name"]
    return scheduler_class(name).from_pretrained(directory, subfolder="scheduler")


def check_num_steps(scheduler: Any, num_inference_steps: int) -> None:
    """Refuse more denoising steps than the model was trained with, before anything is written.

    Raises:
        ValueError: there are more.
    """
    most = int(scheduler.config.num_train_timesteps)
    if num_inference_steps > most:
        raise ValueError(
            f"num_inference_steps must be at most {most}, the timesteps of training, got {num_inference_steps}"
        )


def scheduler_class(name: str) -> Any:
    """The diffusers scheduler of that name.

    Raises:
        ValueError: diffusers has no such scheduler.
    """
    found = getattr(diffusers, name, None) if name.endswith("Scheduler") else None
    if found is None or not hasattr(found, "set_timesteps"):
        raise ValueError(
            f"the scheduler must be a class of diffusers such as DPMSolverMultistepScheduler, got {name!r}"
        )
    return found
