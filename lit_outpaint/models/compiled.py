"""A U-Net compiled for drawing: for chains, where one window waits for the other and nothing can be batched."""

import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

import torch
from diffusers import UNet2DConditionModel


def compile_for_drawing(unet: UNet2DConditionModel) -> Callable[..., Any]:
    """Return ``unet`` compiled as one graph, to be called as it is; ``unet`` itself stays as it was.

    The first call compiles (a minute for the scapes family on one CPU core; the next process finds most of it in
    PyTorch's cache). On a CPU the weights become constants of the graph, so that PyTorch lays them out for its kernels
    beforehand, which is most of what is gained there. Results differ from those of ``unet`` by float rounding.

    Raises:
        ValueError: ``unet`` lies on a CPU and there is no C++ compiler.
    """
    if unet.device.type != "cpu":
        return torch.compile(unet, fullgraph=True)
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise ValueError(
            f"compile needs a C++ compiler on a CPU, {compiler} is not to be found; install it, name one in the "
            "environment variable CXX, or leave compile out"
        )
    return torch.compile(unet, fullgraph=True, dynamic=False, options={"freezing": True})
