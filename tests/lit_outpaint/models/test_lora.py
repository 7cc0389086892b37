"""Adapters against what stock diffusers makes of their file, and against the weights they are merged into."""

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor

from lit_outpaint.models.lora import LORA_FILE, LoraSettings, has_lora, merge_lora, write_lora
from lit_outpaint.models.unet import ModelConfig, load_unet
from lit_outpaint.testing.models import TOY_DIM

LORA = LoraSettings(rank=3, alpha=5.0)


def adapted(family: Path, **settings: object) -> UNet2DConditionModel:
    """A U-Net of the toy family whose adapters say something."""
    torch.manual_seed(0)
    unet = load_unet(ModelConfig(pretrained=str(family), train="lora", lora=LORA, **settings)).eval()
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
    return unet


def predicted(unet: UNet2DConditionModel) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(2, unet.config.in_channels, 8, 8, generator=generator)
    with torch.no_grad():
        return unet(latents, torch.tensor([3, 700]), torch.randn(2, 77, TOY_DIM, generator=generator)).sample


def test_merged_weights_and_the_file_in_stock_diffusers_predict_what_adapters_do(
    toy_family: Path, tmp_path: Path
) -> None:
    unet = adapted(toy_family, task="text_to_image")
    before = predicted(unet)
    write_lora(unet, LORA, tmp_path, torch.float32)
    stock = StableDiffusionPipeline.from_pretrained(toy_family, safety_checker=None)
    plain = predicted(stock.unet)
    assert [path.name for path in tmp_path.iterdir()] == [LORA_FILE]
    stock.load_lora_weights(tmp_path)
    torch.testing.assert_close(predicted(stock.unet), before, atol=1e-5, rtol=1e-5)
    merge_lora(unet)
    assert not has_lora(unet)
    assert unet.state_dict().keys() == UNet2DConditionModel.from_pretrained(toy_family, subfolder="unet").state_dict().keys()
    torch.testing.assert_close(predicted(unet), before, atol=1e-5, rtol=1e-5)
    assert (before - plain).abs().max() > 1e-2, "the adapters say something"


def test_adapters_and_new_channels_are_trained_and_nothing_else(toy_family: Path) -> None:
    for task, also in (("outpaint", {"conv_in.weight", "conv_in.bias"}), ("text_to_image", set())):
        unet = load_unet(ModelConfig(pretrained=str(toy_family), train="lora", lora=LORA, task=task))
        trained = {name for name, weight in unet.named_parameters() if weight.requires_grad}
        assert {name for name in trained if "lora_" not in name} == also
        assert {name for name, _ in unet.named_parameters() if "lora_" in name} <= trained


def test_targets_may_be_convolutions(toy_family: Path) -> None:
    settings = LoraSettings(rank=2, targets=("conv_in", "conv1"))
    unet = load_unet(ModelConfig(pretrained=str(toy_family), train="lora", lora=settings))
    trained = {name for name, weight in unet.named_parameters() if weight.requires_grad}
    assert all(".lora_" in name and ("conv1." in name or name.startswith("conv_in.")) for name in trained)


def test_a_target_that_names_no_layer_is_refused(toy_family: Path) -> None:
    settings = LoraSettings(targets=("to_q", "to_nothing"))
    with pytest.raises(ValueError, match="to_nothing"):
        load_unet(ModelConfig(pretrained=str(toy_family), train="lora", lora=settings))


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"alpha": 0.0}, {"targets": ()}])
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=f"lora.{next(iter(wrong))}"):
        LoraSettings(**wrong)


def test_a_missing_package_is_told_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"lit-outpaint\[lora\]"):
        ModelConfig(train="lora")
