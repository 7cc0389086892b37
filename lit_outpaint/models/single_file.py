"""Stable Diffusion in one .safetensors file: unpacked once, as a model family in the layout of diffusers.

Sizes, tokeniser and schedule, which such a file does not hold, come from a family in diffusers layout. What is unpacked
is kept in the user's cache.
"""

import hashlib
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open

from lit_outpaint.data.shard_cache import cache_home
from lit_outpaint.system.files import let_others_read
from lit_outpaint.system.one_line import refused_in_one_line

log = logging.getLogger(__name__)

SUFFIX: Final = ".safetensors"
PICKLES: Final = (".ckpt", ".pt", ".pth", ".bin")
CONFIGURATION: Final = "stable-diffusion-v1-5/stable-diffusion-v1-5"
_FIRST_LAYER: Final = "model.diffusion_model.input_blocks.0.0.weight"
_INPAINTING: Final = "stable-diffusion-v1-5/stable-diffusion-inpainting"


def family_directory(pretrained: str, configuration: str | None = None) -> str:
    """Where a model family lies: unpacked, where it is named by a single file; else as it is named.

    Args:
        pretrained: a ``.safetensors`` file, a directory, or a name on the hub.
        configuration: directory or hub name that gives a file its sizes, tokeniser and schedule; those of Stable
            Diffusion 1.5 when absent, or of its inpainting model where the U-Net reads nine channels.

    Raises:
        ValueError: the file is pickled, no whole Stable Diffusion, or does not fit the configuration.
    """
    path = Path(pretrained)
    if path.suffix in PICKLES and path.is_file():
        raise ValueError(f"single files must be {SUFFIX}, which run no code when they are read; got {path}")
    if path.suffix != SUFFIX or not path.is_file():
        return pretrained
    state = path.stat()
    known = f"{path.resolve()}:{state.st_size}:{state.st_mtime_ns}:{configuration}"
    place = cache_home() / "families" / hashlib.sha256(known.encode()).hexdigest()[:24]
    if not (place / "model_index.json").is_file():
        _unpack(path, configuration, place)
    return str(place)


def _unpack(path: Path, configuration: str | None, place: Path) -> None:
    """Write the family of a file, whole or not at all; several processes may do so at once."""
    from diffusers import StableDiffusionPipeline  # Takes seconds to load.

    try:
        with safe_open(path, framework="pt") as file:
            channels = file.get_slice(_FIRST_LAYER).get_shape()[1]
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} must be a whole Stable Diffusion in one file, with its U-Net under"
            f" {_FIRST_LAYER.rsplit('.', 4)[0]}; got a file without ({error})"
        ) from error
    home = configuration or (_INPAINTING if channels > 4 else CONFIGURATION)
    log.warning("%s is unpacked into %s, once", path, place)
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    mend = "name what gives it sizes, tokeniser and schedule by model.base.pretrained_config"
    try:
        with refused_in_one_line(f"{path} with the configuration of {home}", mend):
            StableDiffusionPipeline.from_single_file(
                str(path), config=home, local_files_only=Path(home).is_dir(), safety_checker=None
            ).save_pretrained(draft)
        let_others_read(draft)
        draft.rename(place)
    except OSError:
        # Another process was faster, unless there is nothing still.
        if not (place / "model_index.json").is_file():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
