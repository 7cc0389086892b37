"""A pipeline out of a training system."""

from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch.utilities.seed import isolate_rng

from lit_outpaint.module import OutpaintModule
from lit_outpaint.pipeline import OutpaintPipeline


def to_pipeline(module: OutpaintModule) -> OutpaintPipeline:
    """Put a training system's parts and its family's frozen ones together."""
    pipeline = OutpaintPipeline.assemble(
        module.encoders, unet=module.unet, context=module.context, scheduler=module.scheduler
    )
    pipeline.set_attention_rule(module.attention)
    return pipeline


@contextmanager
def lent_pipeline(module: OutpaintModule) -> Iterator[OutpaintPipeline]:
    """The pipeline of a system in training, which is afterwards as it was.

    A pipeline freezes its parts and draws in evaluation mode; what is trained, the modes and the state of the global
    random generators come back at the end.
    """
    parts = (module.unet, module.context)
    trained = [[parameter.requires_grad for parameter in part.parameters()] for part in parts]
    modes = [[layer.training for layer in part.modules()] for part in parts]
    with isolate_rng():
        try:
            pipeline = to_pipeline(module)
            pipeline.set_progress_bar_config(disable=True)
            yield pipeline
        finally:
            for part, flags, training in zip(parts, trained, modes, strict=True):
                for parameter, flag in zip(part.parameters(), flags, strict=True):
                    parameter.requires_grad_(flag)
                for layer, mode in zip(part.modules(), training, strict=True):
                    layer.training = mode
