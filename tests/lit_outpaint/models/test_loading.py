"""Model directories that cannot be loaded, or only in part: one line each, and no pickle of a U-Net is opened."""

import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from lit_outpaint.data.fingerprint import encoder_fingerprints
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.models.unet import ModelConfig, load_unet
from lit_outpaint.module import OutpaintModule

UNET = "unet/diffusion_pytorch_model.safetensors"
ENCODERS = {
    "vae": "vae/diffusion_pytorch_model.safetensors",
    "text_encoder": "text_encoder/model.safetensors",
    "image_encoder": "image_encoder/model.safetensors",
}


@pytest.fixture
def family(toy_family: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(toy_family, tmp_path / "family"))


def refusal(family: Path) -> str:
    with pytest.raises(ValueError, match="cannot be loaded") as error:
        OutpaintModule(ModelConfig(pretrained=str(family))).encoders  # noqa: B018, loads them
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("weights", [UNET, *ENCODERS.values()])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damaged_and_missing_weights_are_told_in_one_line(family: Path, weights: str, damage: str) -> None:
    path = family / weights
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100])
    assert str(family) in refusal(family)


def test_weights_of_a_unet_that_come_as_a_pickle_are_refused(family: Path) -> None:
    weights = torch.nn.Linear(1, 1).state_dict()
    torch.save(weights, (family / UNET).with_suffix(".bin"))
    (family / UNET).unlink()
    assert "unet of" in refusal(family)


def test_a_damaged_pickle_of_a_vision_encoder_is_told_in_one_line(family: Path) -> None:
    (family / ENCODERS["image_encoder"]).unlink()
    (family / "image_encoder" / "pytorch_model.bin").write_bytes(b"PK\x03\x04cut")
    refusal(family)


def test_a_model_of_the_hub_that_cannot_be_reached_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "someone/a-model-that-is-not-here" in refusal(Path("someone/a-model-that-is-not-here"))


def test_variants_in_half_precision_are_read_where_there_are_no_others(family: Path, toy_family: Path) -> None:
    for weights in (UNET, *ENCODERS.values()):
        path = family / weights
        path.rename(path.with_suffix(".fp16.safetensors"))
    unet, plain = (load_unet(ModelConfig(pretrained=str(home))) for home in (family, toy_family))
    assert torch.equal(unet.conv_out.weight, plain.conv_out.weight)
    encoders, before = (FrozenEncoders.from_pretrained(home) for home in (family, toy_family))
    assert torch.equal(encoders.encode_text(["a lake"]), before.encode_text(["a lake"]))
    assert encoder_fingerprints(family).keys() == encoder_fingerprints(toy_family).keys()
