"""The training system at toy size, with real classes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, Dataset

from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.features import Features
from lit_outpaint.diffusion.dropout import DropoutConfig
from lit_outpaint.diffusion.objective import ObjectiveConfig
from lit_outpaint.models.context import ContextConfig, ContextEncoder, load_context
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
from lit_outpaint.testing.models import TOY_CAPTIONS, build_toy_pipeline, toy_batch
from lit_outpaint.training.draws import BatchDraws
from lit_outpaint.training.ema import EmaConfig
from lit_outpaint.training.optim import OptimConfig

NO_DROPOUT = DropoutConfig(text=0.0, visual=0.0, both=0.0)


class OneBatch(Dataset[OutpaintBatch]):
    """The same toy batch for ever."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> OutpaintBatch:
        return toy_batch()


def build(family: Path, **parts: object) -> OutpaintModule:
    torch.manual_seed(0)
    return OutpaintModule(base=ModelConfig(pretrained=str(family)), **parts)  # type: ignore[arg-type]


def fit(module: OutpaintModule, directory: Path, **options: object) -> Trainer:
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=directory,
        **options,  # type: ignore[arg-type]
    )
    loader = DataLoader(OneBatch(), batch_size=None)
    trainer.fit(module, loader, loader)
    return trainer


def test_step_0_predicts_what_the_base_predicts(toy_family: Path) -> None:
    from diffusers import UNet2DConditionModel

    module, batch = build(toy_family).eval(), toy_batch()
    stock = UNet2DConditionModel.from_pretrained(toy_family, subfolder="unet")
    noisy_latents, timesteps = torch.randn(4, 4, 8, 8), torch.tensor([0, 10, 500, 999])
    with torch.no_grad():
        ours = module(batch, noisy_latents, timesteps)
        reference = stock(noisy_latents, timesteps, (batch.features.text_local + batch.features.text_global) / 2).sample
    torch.testing.assert_close(ours, reference, atol=1e-5, rtol=0)


@pytest.mark.parametrize("visual_init", ["gated", "plain"])
def test_one_optimiser_step_lowers_the_loss_on_one_batch(toy_family: Path, visual_init: str) -> None:
    module = build(
        toy_family,
        context=ContextConfig(visual_init=visual_init),  # type: ignore[arg-type]
        optim=OptimConfig(lr=1e-3),
    )
    batch, latents, noise = toy_batch(), torch.randn(4, 4, 8, 8), torch.randn(4, 4, 8, 8)
    timesteps = torch.tensor([10, 300, 600, 999])
    optimizer = torch.optim.AdamW(module.trained().values(), lr=1e-3)
    before = module.denoising_losses(batch, latents, noise, timesteps).mean()
    before.backward()
    optimizer.step()
    assert module.denoising_losses(batch, latents, noise, timesteps).mean() < before


def test_the_gate_opens_under_its_own_learning_rate(toy_family: Path, tmp_path: Path) -> None:
    module = build(toy_family, optim=OptimConfig(lr=1e-5), ema=EmaConfig(decay=None))
    fit(module, tmp_path)
    # Three steps at lr could move it by 3e-5 at most.
    assert 0.0005 < abs(module.context.gate.item()) < 0.04


def test_known_region_teaches_nothing_under_masked(toy_family: Path) -> None:
    module, batch = build(toy_family, objective=ObjectiveConfig(loss_region="masked")), toy_batch()
    latents, timesteps = torch.randn(4, 4, 8, 8), torch.tensor([10, 300, 600, 900])
    noise = torch.randn(4, 4, 8, 8)
    predictions: list[torch.Tensor] = []

    def keep(_module: object, _args: object, out: object) -> None:
        out.sample.retain_grad()  # type: ignore[attr-defined]
        predictions.append(out.sample)  # type: ignore[attr-defined]

    module.unet.register_forward_hook(keep)
    module.denoising_losses(batch, latents, noise, timesteps).mean().backward()
    assert (predictions[0].grad[..., :4] == 0).all()
    assert predictions[0].grad[..., 4:].abs().sum() > 0


def test_training_goes_on_with_an_exported_model(toy_family: Path, tmp_path: Path) -> None:
    exported = build_toy_pipeline(tmp_path / "family")
    module = OutpaintModule(
        ModelConfig(pretrained=str(toy_family), outpaint=str(exported)), ContextConfig(visual_init="plain")
    )
    stored = ContextEncoder.from_pretrained(exported, subfolder="context")
    assert all(torch.equal(weight, stored.get_parameter(name)) for name, weight in module.context.named_parameters())
    unet = UNet2DConditionModel.from_pretrained(exported, subfolder="unet")
    assert torch.equal(module.unet.conv_in.weight, unet.conv_in.weight)
    with pytest.raises(ValueError, match=r"must be what model.context says; it has another visual_init"):
        OutpaintModule(ModelConfig(pretrained=str(toy_family), outpaint=str(exported)))
    with pytest.raises(FileNotFoundError, match="must be an exported outpainting model"):
        load_context(module.context, toy_family)


def test_prediction_type_is_that_of_the_base_unless_given(toy_family: Path, tmp_path: Path) -> None:
    assert build(toy_family).prediction_type == "v_prediction"
    # Where noise is predicted, the schedule must not end in noise alone.
    family = Path(shutil.copytree(toy_family, tmp_path / "family"))
    path = family / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rescale_betas_zero_snr": False}))
    assert build(family, objective=ObjectiveConfig(prediction_type="epsilon")).prediction_type == "epsilon"


def test_checkpoint_loads_with_weights_only_and_holds_no_frozen_part(toy_family: Path, tmp_path: Path) -> None:
    module = build(toy_family, objective=ObjectiveConfig(loss_region="masked"))
    trainer = fit(module, tmp_path, enable_checkpointing=False)
    assert module.encoders.encode_text(TOY_CAPTIONS).shape == (4, 77, 32)
    trainer.save_checkpoint(tmp_path / "toy.ckpt")
    checkpoint = torch.load(tmp_path / "toy.ckpt", weights_only=True)
    assert {name.split(".")[0] for name in checkpoint["state_dict"]} == {"context", "unet"}
    assert checkpoint["ema"]["step"] == 3
    assert checkpoint["ema"]["averages"].keys() == module.trained().keys()
    loaded = OutpaintModule.load_from_checkpoint(tmp_path / "toy.ckpt", weights_only=True)
    assert loaded.objective == ObjectiveConfig(loss_region="masked")
    for name, parameter in module.trained().items():
        assert torch.equal(loaded.trained()[name], parameter)


COMPILED = """
import sys
import torch
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
from lit_outpaint.testing.models import toy_batch

torch.manual_seed(0)
batch, noise, timesteps = toy_batch(), torch.randn(4, 4, 8, 8), torch.tensor([0, 10, 500, 999])
losses, gradients, names = [], [], []
for compiled in (False, True):
    torch.manual_seed(0)
    module = OutpaintModule(base=ModelConfig(pretrained=sys.argv[1], compile=compiled))
    loss = module.denoising_losses(batch, torch.zeros(4, 4, 8, 8), noise, timesteps).mean()
    loss.backward()
    losses.append(loss.detach())
    gradients.append({name: parameter.grad for name, parameter in module.trained().items()})
    names.append(list(module.state_dict()))
graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
assert graphs == 1, f"{graphs} graphs"
assert names[1] == names[0]
torch.testing.assert_close(losses[1], losses[0])
torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)
"""


@pytest.mark.slow
def test_a_compiled_unet_is_one_graph_with_the_same_loss_gradients_and_checkpoint_names(toy_family: Path) -> None:
    # In an interpreter of its own: the checks of tensor shapes that tests run with would cut the graph to pieces.
    done = subprocess.run([sys.executable, "-c", COMPILED, str(toy_family)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_validation_sees_the_average_and_training_goes_on_from_its_own_weights(
    toy_family: Path, tmp_path: Path
) -> None:
    module = build(toy_family, optim=OptimConfig(lr=1e-2), ema=EmaConfig(decay=0.99, warmup=False))
    name = "unet.conv_out.bias"
    seen: list[torch.Tensor] = []
    held_out_losses = module.held_out_losses
    start = module.trained()[name].detach().clone()

    def spy(batch: OutpaintBatch) -> torch.Tensor:
        seen.append(module.trained()[name].detach().clone())
        return held_out_losses(batch)

    module.held_out_losses = spy  # type: ignore[method-assign]
    fit(module, tmp_path, num_sanity_val_steps=0, enable_checkpointing=False)
    trained = module.trained()[name].detach()
    assert module.ema is not None
    torch.testing.assert_close(seen[-1], module.ema.averages[name])
    assert (seen[-1] - start).abs().max() < (trained - start).abs().max() / 10


def test_the_held_out_loss_of_a_sample_does_not_depend_on_its_batch(toy_family: Path) -> None:
    module, batch = build(toy_family).eval(), toy_batch()
    order = [3, 1]
    tensors = ("mask", "moments", "masked_image_latents")
    some = batch._replace(
        keys=tuple(batch.keys[place] for place in order),
        features=Features(*(None if value is None else value[order] for value in batch.features)),
        **{name: getattr(batch, name)[order] for name in tensors},
    )
    with torch.no_grad():
        whole, part = module.held_out_losses(batch), module.held_out_losses(some)
        again = module.held_out_losses(some._replace(counts=torch.tensor([False, True])))
    torch.testing.assert_close(part, whole[order])
    torch.testing.assert_close(again, whole[order[1:]])


def test_a_predicted_window_does_not_depend_on_its_batch(toy_family: Path) -> None:
    module, batch = build(toy_family).eval(), toy_batch(size=2)
    second = batch.cut(slice(1, None))
    both = module.predict_step(batch, 0)
    torch.testing.assert_close(module.predict_step(second, 3), both[1:], atol=1e-3, rtol=1e-3)
    assert (both[0] - both[1]).abs().max() > 0.01


def test_predicted_windows_are_pixels(toy_family: Path) -> None:
    pixel_values = build(toy_family).eval().predict_step(toy_batch(size=1), 0)
    assert pixel_values.shape == (1, 3, 64, 64)
    assert pixel_values.abs().max() <= 1


def test_noise_offset_moves_whole_channels_in_training_alone(toy_family: Path) -> None:
    def drawn(offset: float, training: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the losses of a batch are computed from."""
        module = build(toy_family, objective=ObjectiveConfig(noise_offset=offset)).train(training)
        taken: list[tuple[torch.Tensor, ...]] = []
        module.denoising_losses = lambda batch, *given: taken.append(given) or torch.zeros(4)  # type: ignore[method-assign]
        module.drawn_losses(toy_batch(), BatchDraws(0, 0))
        return taken[0]

    without, moved, held_out = drawn(0.0, True), drawn(0.3, True), drawn(0.3, False)
    shift = moved[1] - without[1]
    torch.testing.assert_close(shift, shift[..., :1, :1].expand_as(shift), atol=1e-5, rtol=0)
    assert 0.1 < shift[..., 0, 0].std() < 0.6
    for here, there in ((moved[0], without[0]), (moved[2], without[2])):
        assert torch.equal(here, there), "latents and timesteps stay as they are"
    assert all(torch.equal(here, there) for here, there in zip(held_out, without, strict=True))
