"""What a GPU would suffer from, found without one: tensors that meet on two devices, and waiting in the middle of work.

Two stand-ins of PyTorch's own. Fake tensors know their device, "cuda", refuse to meet others, and hold no values, so
that code that looks at one fails. Meta tensors hold none either, but let schedulers do sums with numbers on the CPU.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lit_outpaint import pipeline as pipeline_module
from lit_outpaint.canvas.masks import outpaint_mask
from lit_outpaint.canvas.plan import parse_plan
from lit_outpaint.canvas.store import Canvas
from lit_outpaint.data.features import Features
from lit_outpaint.diffusion.known_latents import KnownSide, blend_known
from lit_outpaint.diffusion.sampling import denoise
from lit_outpaint.diffusion.schedule import scheduler_class
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.models.conditions import drop_conditions
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
from lit_outpaint.outpainter import Outpainter, OutpainterConfig
from lit_outpaint.pipeline import OutpaintPipeline, load_pipeline
from lit_outpaint.testing.models import TOY_WINDOW_PX, toy_batch
from lit_outpaint.training.draws import BatchDraws
from lit_outpaint.training.ema import Ema, EmaConfig
from lit_outpaint.training.optim import OptimConfig, build_optimizer

SCHEDULERS = (
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)


@pytest.fixture
def fake_gpu() -> Iterator[None]:
    with FakeTensorMode():
        yield


class FakeDraws(BatchDraws):
    """Random numbers on the fake GPU; PyTorch has no generator for it."""

    def __init__(self) -> None:
        pass

    def normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, device="cuda")

    def uniform(self, count: int) -> Tensor:
        return torch.rand(count, device="cuda")

    def integers(self, count: int, high: int) -> Tensor:
        return torch.randint(high, (count,), device="cuda")


def fake(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")


def move(module: nn.Module) -> None:
    """``module.to("cuda")``, which fake tensors do not take part in."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(fake(parameter), requires_grad=parameter.requires_grad)
        for name, buffer in part._buffers.items():
            part._buffers[name] = None if buffer is None else fake(buffer)


@pytest.mark.parametrize("look", [lambda x: x + torch.ones(2), lambda x: x.sum().item(), lambda x: x[x > 0]])
def test_the_fake_gpu_refuses_what_a_gpu_refuses_or_waits_for(look: Callable[[Tensor], Any], fake_gpu: None) -> None:
    with pytest.raises(RuntimeError):
        look(torch.ones(2, device="cuda"))


def test_a_training_step_stays_on_the_gpu_and_looks_at_no_value(
    toy_family: Path, request: pytest.FixtureRequest
) -> None:
    module = OutpaintModule(ModelConfig(pretrained=str(toy_family), channels_last=True))
    batch = toy_batch()
    request.getfixturevalue("fake_gpu")
    move(module)
    tensors: dict[str, Any] = {
        name: fake(value) for name, value in batch._asdict().items() if isinstance(value, Tensor)
    }
    for name in ("features", "empty"):
        tensors[name] = Features(*(None if value is None else fake(value) for value in getattr(batch, name)))
    draws = FakeDraws()
    dropped = drop_conditions(module.complete(batch._replace(**tensors)), module.dropout, draws.uniform(4))
    loss = module.drawn_losses(dropped, draws).mean()
    assert (loss.device.type, loss.dtype, loss.shape) == ("cuda", torch.float32, ())

    # Backward needs a real GPU: gradients are put where it would leave them.
    trained = module.trained()
    for parameter in trained.values():
        parameter.grad = torch.empty_like(parameter)
    optimizer = build_optimizer(OptimConfig(), trained)
    ema = Ema(EmaConfig(), trained)
    torch.nn.utils.clip_grad_norm_(trained.values(), 1.0, foreach=True)
    optimizer.step()
    ema.update(trained, 1)
    assert {average.device.type for average in ema.averages.values()} == {"cuda"}


@pytest.mark.parametrize("feather_cells", [0, 2])
def test_drawing_meets_no_other_device(
    feather_cells: int, model: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    pipeline = load_pipeline(model)
    request.getfixturevalue("fake_gpu")
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            move(part)

    # In the place of the loop: schedulers look at their timesteps, which the next tests let them do on the CPU.
    pipeline.scheduler.alphas_cumprod = torch.empty(len(pipeline.scheduler.alphas_cumprod))

    def one_step(
        predict: Callable[[Tensor, Tensor], Tensor],
        noise: Tensor,
        scheduler: Any,
        number: int,
        generator: Any,
        hold: Any,
        *rest: Any,
    ) -> Tensor:
        latents = noise if hold is None else hold(noise, torch.tensor(500))
        return predict(latents, torch.ones((), device="cuda"))

    monkeypatch.setattr(pipeline_module, "denoise", one_step)
    assert draw(pipeline, feather_cells=feather_cells).device.type == "cuda"


@pytest.fixture(scope="module")
def valueless(model: Path) -> OutpaintPipeline:
    """A pipeline whose tensors have no values to look at."""
    pipeline = load_pipeline(model)
    DiffusionPipeline.to(pipeline, "meta")
    return pipeline


@pytest.mark.parametrize("feather_cells", [0, 2])
def test_drawing_waits_for_nothing(feather_cells: int, valueless: OutpaintPipeline) -> None:
    assert draw(valueless, feather_cells=feather_cells).shape == (2, 3, TOY_WINDOW_PX, TOY_WINDOW_PX)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_steps_of_no_scheduler_wait(name: str, held: bool, valueless: OutpaintPipeline) -> None:
    # In the place of the U-Net: the test above has it, and it takes seconds to evaluate without values.
    def predict(latents: Tensor, timestep: Tensor) -> Tensor:
        return latents * timestep

    scheduler = scheduler_class(name).from_config(valueless.scheduler.config)
    noise = torch.empty(2, 4, 8, 8, device="meta")
    known = KnownSide(torch.empty_like(noise), torch.empty(2, 1, 8, 8, device="meta"))
    hold = partial(blend_known, known=known, noise=noise, scheduler=scheduler) if held else None
    latents = denoise(predict, noise, scheduler, 4, [torch.Generator(), torch.Generator()], hold)
    assert (latents.device.type, latents.shape) == ("meta", noise.shape)


@pytest.mark.parametrize("plan", ["right:2", "to:96x96"])
def test_joint_steps_wait_for_nothing(plan: str, valueless: OutpaintPipeline, tmp_path: Path) -> None:
    canvas = Canvas.create(tmp_path, np.zeros((TOY_WINDOW_PX, TOY_WINDOW_PX, 3), np.uint8), chunk_px=32)
    outpainter = Outpainter(valueless, config=OutpainterConfig(engine="joint", overlap_px=32, num_inference_steps=2))
    done: list[int] = []
    graph = outpainter.lay_out(parse_plan(plan), canvas.image_box)
    # All timesteps are done; then pixels are wanted, which are not there.
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        outpainter.run(canvas, graph, "a wide view", on_timestep=lambda step, of: done.append(step))
    assert done == [1, 2]


def draw(pipeline: OutpaintPipeline, **options: Any) -> Tensor:
    """Two windows. What the encoder looks at is given: to find what is visible, the mask is looked at."""
    image = torch.zeros(2, 3, TOY_WINDOW_PX, TOY_WINDOW_PX)
    mask = outpaint_mask("right", 0.5, TOY_WINDOW_PX, TOY_WINDOW_PX).expand(2, -1, -1, -1)
    return pipeline.draw(
        image,
        mask,
        ["a lake", "a desert"],
        ["a wide view", "a wide view"],
        visual_image=image[..., : TOY_WINDOW_PX // 2],
        generator=[torch.Generator(), torch.Generator()],
        sampling=Sampling(num_inference_steps=2),
        **options,
    )
