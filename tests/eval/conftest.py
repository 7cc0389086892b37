"""Toy judges and a toy evaluation set: real classes, random weights, pictures of noise."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lit_outpaint.heldout.evalset import (
    PANORAMAS_NAME,
    WINDOWS_NAME,
    EvalPanorama,
    EvalStep,
    EvalWindow,
    ObjectFact,
    WindowFacts,
    evalset_dir,
    write_rows,
)
from lit_outpaint.models.context import ContextConfig
from lit_outpaint.models.encoders import family_dims
from lit_outpaint.models.overlay import OVERLAY_NAME
from lit_outpaint.models.probe import ScapesProbe
from lit_outpaint.models.unet import INPAINT_CHANNELS
from lit_outpaint.testing.models import TOY_WINDOW_PX, build_toy_family, toy_tokenizer, toy_unet

STEPS = 2
FACTS = WindowFacts(
    time="day",
    weather="clear",
    mountains=False,
    biomes={"meadow": 1.0},
    objects=[ObjectFact(kind="barn", colour="red")],
)


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model family with its judges and an outpainting overlay that has learnt nothing."""
    directory = build_toy_family(tmp_path_factory.mktemp("family"))
    toy_unet(INPAINT_CHANNELS).save_pretrained(directory / "outpaint" / "unet")
    ContextConfig().build(family_dims(directory)).save_pretrained(directory / "outpaint" / "context")
    (directory / "outpaint" / OVERLAY_NAME).write_text('{"base": ".."}')
    _save_eval_clip(directory / "eval_clip")
    _save_probe(directory / "probe")
    return directory


@pytest.fixture(scope="session")
def evalset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard directory that holds an evaluation set alone: 3 panoramas of 2 steps and 6 windows."""
    data = tmp_path_factory.mktemp("data")
    directory = evalset_dir(data)
    directory.mkdir()
    rng = np.random.default_rng(0)

    def picture(name: str, width: int) -> str:
        pixels = rng.integers(0, 256, (TOY_WINDOW_PX, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(directory / name)
        return name

    step = EvalStep(local_caption="a red barn in a meadow", facts=FACTS, strip_facts=FACTS)
    panoramas = [
        EvalPanorama(
            key=f"p{index}",
            image=picture(f"p{index}.png", TOY_WINDOW_PX * (2 + STEPS) // 2),
            window_px=TOY_WINDOW_PX,
            stride_px=TOY_WINDOW_PX // 2,
            direction="right",
            global_caption="a wide view by day: <b>a meadow</b> & a barn",
            first_caption="a meadow",
            first_facts=FACTS,
            steps=[step] * STEPS,
        )
        for index in range(3)
    ]
    windows = [
        EvalWindow(
            key=f"w{index}",
            image=picture(f"w{index}.png", TOY_WINDOW_PX),
            captions=[f"a red barn in a meadow {index}"] * 5,
            dense_caption="a meadow",
            facts=FACTS,
        )
        for index in range(6)
    ]
    write_rows(directory / PANORAMAS_NAME, panoramas)
    write_rows(directory / WINDOWS_NAME, windows)
    return data


def _save_eval_clip(directory: Path) -> None:
    directory.mkdir()
    tokenizer = toy_tokenizer()
    tokenizer.save_pretrained(directory)
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {
            "context_length": 32,
            "vocab_size": len(tokenizer),
            "hf_tokenizer_name": "local",
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    }
    (directory / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = open_clip.create_model(f"local-dir:{directory}", load_weights=False)
    save_file(
        {name: value.clone() for name, value in model.state_dict().items()}, directory / "open_clip_model.safetensors"
    )


def _save_probe(directory: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        probe = ScapesProbe(
            kinds=["none", "barn", "cactus"],
            colours=["none", "red", "blue"],
            biomes=["none", "meadow", "desert"],
            skies=["none", "dawn", "day", "dusk", "night", "cloud", "mountain"],
            scenes=[f"{biome}, {time}" for biome in ("meadow", "desert") for time in ("day", "night")],
            widths=(8, 8, 8, 8),
        )
        probe.save_pretrained(directory)
