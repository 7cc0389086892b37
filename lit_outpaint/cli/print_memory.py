"""``fit --print_memory true``: what a run would take of a device, told before anything is loaded."""

from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from jsonargparse import Namespace

from lit_outpaint.models.context import ConditioningConfig, LanguageDims
from lit_outpaint.models.encoders import MEND, check_parts, family_dims
from lit_outpaint.models.language import LanguageConfig
from lit_outpaint.models.lora import LoraSettings
from lit_outpaint.models.memory import MemoryPlan, told
from lit_outpaint.models.single_file import family_directory
from lit_outpaint.models.unet import INPAINT_CHANNELS, LATENT_CHANNELS
from lit_outpaint.system.named import build
from lit_outpaint.system.one_line import refused_in_one_line


def memory_of_run(config: Namespace) -> str:
    """The estimate for the configuration of ``fit``, as lines of text.

    Raises:
        FileNotFoundError: a local model directory lacks a part.
        ValueError: the configuration of the model cannot be had.
    """
    base, trainer = config["model"]["base"], config["trainer"]
    family = family_directory(base["pretrained"], base["pretrained_config"])
    home = base["unet"] or family
    check_parts(home, ["unet"])
    with refused_in_one_line(f"the configuration of {home}", MEND):
        unet = dict(UNet2DConditionModel.load_config(home, subfolder="unet"))
    given = unet["in_channels"]
    unet["in_channels"] = INPAINT_CHANNELS if base["task"] == "outpaint" else LATENT_CHANNELS
    sharded, bucket_copy = _strategy(trainer["strategy"])
    ranks = _devices(trainer["devices"]) * int(trainer["num_nodes"])
    plan = MemoryPlan(
        unet=unet,
        rows=_rows(config["model"], family),
        batch_size=config["data"]["batch_size"],
        mixed=str(trainer["precision"]).startswith("bf16"),
        averaged=config["model"]["ema"]["decay"] is not None,
        train=base["train"],
        lora=LoraSettings(**vars(base["lora"])),
        extended=given != unet["in_channels"],
        gradient_checkpointing=base["gradient_checkpointing"],
        ranks=ranks,
        sharded=sharded,
        bucket_copy=bucket_copy and ranks > 1,
    )
    return told(plan)


def _rows(model: Namespace, family: str) -> int:
    """How many rows the conditioning makes."""
    config: ConditioningConfig = build(model["context"].as_dict(), ConditioningConfig)
    language: LanguageConfig | None = build(model["language"].as_dict(), LanguageConfig) if model["language"] else None
    spoken = None if language is None else LanguageDims(language.length, language.dim)
    with torch.device("meta"):
        return int(config.build_for(family_dims(family, model["base"]["vision"]), spoken).rows)


def _strategy(strategy: Any) -> tuple[bool, bool]:
    """Whether weights are sharded, and whether gradients lie a second time in buckets."""
    if isinstance(strategy, str):
        return False, True
    arguments = strategy.get("init_args") or {}
    sharded = Path(strategy["class_path"]).suffix == ".ShardedStrategy"
    return sharded, not sharded and not arguments.get("gradient_as_bucket_view")


def _devices(devices: Any) -> int:
    if isinstance(devices, str) and "," in devices:
        devices = [number for number in devices.split(",") if number.strip()]
    if isinstance(devices, list):
        return len(devices)
    return max(torch.cuda.device_count(), 1) if str(devices) in ("auto", "-1") else int(devices)
