"""``export``: a training checkpoint becomes a model directory in diffusers layout.

By default only what training made is written, the U-Net and the conditioning, with a note where the rest lies (an
overlay that ``lit_outpaint.pipeline.load_pipeline`` reads); ``--full`` writes every part, ``--stock`` a pipeline of
diffusers itself. Adapters (LoRA) are merged, and lie beside the model in a file that stock diffusers loads.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.models.overlay import UNET_CHANGES, home_from, write_overlay
from lit_outpaint.system.files import let_others_read
from lit_outpaint.system.named import class_path, described

if TYPE_CHECKING:
    import torch

    from lit_outpaint.models.language import LanguageConfig
    from lit_outpaint.module import OutpaintModule

log = logging.getLogger(__name__)

LANGUAGE_DIR: Final = "language"
"""Folder of the language encoder in a whole model."""
_OTHER_WEIGHTS: Final = (".bin", ".gguf", ".h5", ".msgpack", ".onnx", ".ot")
"""Endings of weights that are not read."""


def export(
    checkpoint: str | Path, out: str | Path, *, half: bool = False, full: bool = False, stock: bool = False
) -> Path:
    """Write the model of a checkpoint to a new directory, all of it or nothing.

    Args:
        checkpoint: the ``.ckpt`` file that fit wrote; its moving average is exported.
        out: directory to make.
        half: store float16 instead of float32.
        full: write the frozen parts too, instead of a note where they lie.
        stock: write them as a pipeline that diffusers has itself; see `stock_pipeline`.

    Raises:
        FileNotFoundError: the checkpoint, or the model family it was trained on, is missing.
        ValueError: the checkpoint does not fit, or ``out`` holds something.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out must be a new or empty directory, {out} holds something; give another one")
    if not Path(checkpoint).exists():
        raise FileNotFoundError(f"the checkpoint to export must be there, found no {checkpoint}")
    # A refusal does not wait for them.
    import torch

    from lit_outpaint.assembly import load_module, to_pipeline
    from lit_outpaint.cli.export_stock import stock_pipeline
    from lit_outpaint.models.loading import with_dtype
    from lit_outpaint.models.lora import LORA_FILE, has_lora, merge_lora, write_lora

    module = load_module(checkpoint)
    dtype = torch.float16 if half else torch.float32
    with _made_whole(out) as directory:
        if has_lora(module.unet):
            write_lora(module.unet, module.config.lora, directory, dtype)
            if module.unet.conv_in.weight.requires_grad:
                log.warning(
                    "the first convolution was trained besides the adapters: %s alone, on another U-Net, lacks it",
                    LORA_FILE,
                )
            merge_lora(module.unet)
        if full or stock:
            pipeline = stock_pipeline(module) if stock else to_pipeline(module)
            with_dtype(pipeline, dtype).save_pretrained(directory)
            if module.language_config is not None and not stock:
                _add_language(module.language_config, directory)
        else:
            _write_overlay(module, directory, out, dtype)
        _forget_places(directory)
    return out


def main(argv: Sequence[str]) -> int:
    """Run the ``export`` verb and return the exit code."""
    parser = OneLineParser(prog="python -m lit_outpaint export", description="Export a checkpoint for inference.")
    parser.add_argument("checkpoint", help="the .ckpt file that fit wrote")
    parser.add_argument("--out", required=True, help="directory to write")
    parser.add_argument("--half", action="store_true", help="store float16 weights")
    whole = parser.add_mutually_exclusive_group()
    whole.add_argument("--full", action="store_true", help="write the frozen parts too, not only what training made")
    whole.add_argument(
        "--stock",
        action="store_true",
        help="write a pipeline of stock diffusers (StableDiffusionInpaintPipeline, or StableDiffusionPipeline for"
        " text-to-image), where the model reads one caption alone",
    )
    options = parser.parse_args(argv)
    print(export(options.checkpoint, options.out, half=options.half, full=options.full, stock=options.stock))
    return 0


def _forget_places(directory: Path) -> None:
    """Empty what configurations say of where their part was loaded from: it tells others of this machine alone."""
    for path in directory.glob("*/config.json"):
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.get("_name_or_path"):
            config["_name_or_path"] = ""
            path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _add_language(language: LanguageConfig, directory: Path) -> None:
    """Copy a local language encoder into a whole model, which then says that it is there."""
    home = Path(language.path)
    if not home.is_dir():
        return
    if language.parts:
        for part in language.parts:
            shutil.copytree(home / part, directory / LANGUAGE_DIR / part)
    else:
        (directory / LANGUAGE_DIR).mkdir()
        for path in home.iterdir():
            if path.is_file() and path.suffix not in _OTHER_WEIGHTS:
                shutil.copyfile(path, directory / LANGUAGE_DIR / path.name)
    index = directory / "model_index.json"
    said = json.loads(index.read_text(encoding="utf-8"))
    said["language"]["init_args"]["path"] = LANGUAGE_DIR
    index.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def _write_overlay(module: OutpaintModule, directory: Path, out: Path, dtype: torch.dtype) -> None:
    """Write the U-Net, the conditioning, the schedule where it is not the family's, and where the rest lies."""
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file

    from lit_outpaint.assembly import attention_of
    from lit_outpaint.diffusion.schedule import load_scheduler
    from lit_outpaint.models.context import ContextEncoder
    from lit_outpaint.models.loading import OPTIONS, cast, changes_of

    family = module.config.pretrained
    if module.config.train != "all" and module.config.task == "text_to_image" and module.config.unet is None:
        # Most weights are the family's: only the others are written.
        stock = UNet2DConditionModel.from_pretrained(family, subfolder="unet", **OPTIONS)
        save_file(changes_of(module.unet, stock, dtype), directory / UNET_CHANGES)
    else:
        cast(module.unet, dtype)
        module.unet.save_pretrained(directory / "unet")
    cast(module.context, dtype)
    module.context.save_pretrained(directory / "context")
    if module.prediction_type != load_scheduler(family).config.prediction_type:
        module.scheduler.save_pretrained(directory / "scheduler")
    part = None if type(module.context) is ContextEncoder else class_path(type(module.context))
    language = described(module.language_config)
    if language is not None and Path(language["init_args"]["path"]).is_dir():
        place = home_from(out, language["init_args"]["path"])
        language = {**language, "init_args": {**language["init_args"], "path": place}}
    vision = None if module.config.vision is None else home_from(out, module.config.vision)
    write_overlay(directory, home_from(out, family), part, attention_of(module), language, vision)


@contextmanager
def _made_whole(out: Path) -> Iterator[Path]:
    """Yield a directory beside ``out`` that takes its name only when the block ends well."""
    place = out.resolve()  # A link to a directory stays a link.
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    try:
        yield draft
        let_others_read(draft)
        if place.exists():
            place.rmdir()
        draft.rename(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
