"""A U-Net compiled for drawing: for chains, where one window waits for the other and nothing can be batched."""

import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch._inductor import config as inductor


def compile_for_drawing(unet: UNet2DConditionModel) -> Callable[..., Any]:
    """Return ``unet`` compiled as one graph, to be called as it is; ``unet`` itself stays as it was.

    The first call compiles, about a minute for the scapes family on one CPU core. On a CPU the weights become constants
    of the graph, laid out for its kernels once and for all, which is most of what is gained there; later changes of
    ``unet`` are not seen. Results differ from those of ``unet`` by float rounding.

    Raises:
        ValueError: ``unet`` lies on a CPU and there is no C++ compiler.
    """
    # The U-Net does not change while it draws: to ask whether it has would take a tenth of a step at this size.
    unguarded: dict[str, Any] = {"guard_filter_fn": torch.compiler.skip_guard_on_all_nn_modules_unsafe}
    if unet.device.type != "cpu":
        return torch.compile(unet, fullgraph=True, options=unguarded)
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise ValueError(
            f"compile needs a C++ compiler on a CPU, {compiler} is not to be found; install it, name one in the "
            "environment variable CXX, or leave compile out"
        )
    compiled = torch.compile(unet, fullgraph=True, dynamic=False, options=unguarded)

    def frozen(*args: Any, **kwargs: Any) -> Any:
        # Not as an option of the compiler: weights have to be constants from the start, when the call is traced.
        with inductor.patch(freezing=True):
            return compiled(*args, **kwargs)

    return frozen
