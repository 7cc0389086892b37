"""A training system out of a checkpoint, and a pipeline out of a training system."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import instantiate_module
from lightning.pytorch.utilities.seed import isolate_rng

from lit_outpaint.models.attention import FullAttention
from lit_outpaint.models.lora import merge_lora
from lit_outpaint.module import OutpaintModule
from lit_outpaint.pipeline import OutpaintPipeline
from lit_outpaint.system.named import described
from lit_outpaint.text_to_image import TextToImagePipeline
from lit_outpaint.training.averaged_weights import CHECKPOINT_KEY
from lit_outpaint.training.checkpoint import check_shapes, read_checkpoint
from lit_outpaint.training.sharding import gathered


def to_pipeline(module: OutpaintModule) -> OutpaintPipeline | TextToImagePipeline:
    """Put a training system's parts and its family's frozen ones together, for the task that it learns."""
    kind: type[OutpaintPipeline] | type[TextToImagePipeline]
    kind = OutpaintPipeline if module.config.task == "outpaint" else TextToImagePipeline
    pipeline = kind.assemble(module.encoders, unet=module.unet, context=module.context, scheduler=module.scheduler)
    pipeline.set_attention_rule(module.denoiser.rule)
    pipeline.set_language(module.language_config)
    return pipeline


def attention_of(module: OutpaintModule) -> dict[str, Any] | None:
    """The description of a system's attention rule; None where every position reads every row.

    Raises:
        ValueError: the rule is no dataclass, so that its arguments are not known.
    """
    return None if module.denoiser.rule == FullAttention() else described(module.denoiser.rule)


@contextmanager
def lent_pipeline(module: OutpaintModule) -> Iterator[OutpaintPipeline | TextToImagePipeline]:
    """The pipeline of a system in training, which is afterwards as it was.

    A pipeline freezes its parts and draws in evaluation mode; what is trained, the modes and the state of the global
    random generators come back at the end. Sharded weights are gathered meanwhile, in the type in which they travel: a
    pipeline uses parts of the U-Net outside of the forward passes that would gather them. All ranks must enter.
    """
    parts = (module.unet, module.context)
    trained = [[parameter.requires_grad for parameter in part.parameters()] for part in parts]
    modes = [[layer.training for layer in part.modules()] for part in parts]
    vae = module.encoders.vae
    sliced = vae.use_slicing
    with isolate_rng():
        try:
            pipeline = to_pipeline(module)
            pipeline.set_progress_bar_config(disable=True)
            with gathered(module):
                yield pipeline
        finally:
            # In slices its numbers are others in the last bit, and training may encode with it.
            vae.use_slicing = sliced
            for part, flags, training in zip(parts, trained, modes, strict=True):
                for parameter, flag in zip(part.parameters(), flags, strict=True):
                    parameter.requires_grad_(flag)
                for layer, mode in zip(part.modules(), training, strict=True):
                    layer.training = mode


def load_module(path: str | Path, averaged: bool = True) -> OutpaintModule:
    """Rebuild the training system of a checkpoint, on the CPU.

    Args:
        path: the ``.ckpt`` file that fit wrote.
        averaged: hold the moving average of the weights, where the checkpoint has one.

    Raises:
        FileNotFoundError: the checkpoint, or the model family it was trained on, is missing.
        ValueError: it is no checkpoint of this project, or its weights do not fit its configuration.
    """
    checkpoint = read_checkpoint(path, without=("optimizer_states",))
    module = _built(checkpoint["hyper_parameters"])
    module.ema = None  # What is loaded is what draws; a second copy would be as large as the weights.
    state = dict(checkpoint["state_dict"])
    check_shapes(state, module.state_dict())
    if averaged and CHECKPOINT_KEY in checkpoint:
        state |= checkpoint[CHECKPOINT_KEY]["averages"]
        check_shapes(state, module.state_dict())
    # Put in place instead of copied: tensors of a file stay in the file until somebody asks for them.
    module.load_state_dict(state, assign=True)
    return module.eval()


def load_checkpoint_pipeline(path: str | Path, averaged: bool = True) -> OutpaintPipeline:
    """Make a pipeline of a checkpoint without writing one (arguments and errors as in `load_module`)."""
    module = load_module(path, averaged)
    merge_lora(module.unet)
    pipeline = to_pipeline(module)
    if not isinstance(pipeline, OutpaintPipeline):
        raise ValueError(f"{path} was trained for text-to-image and widens nothing; export it and use generate")
    return pipeline


def _built(hyper_parameters: Mapping[str, Any]) -> OutpaintModule:
    """The system of a checkpoint's configuration: values that the command line left, or objects."""
    values = dict(hyper_parameters)
    if values.pop("_instantiator", None) is None:
        return OutpaintModule(**values)
    module: OutpaintModule = instantiate_module(OutpaintModule, values)
    return module
