"""A family in one file: written here by the names of the original code, read by diffusers' own converter."""

import re
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextModel

from lit_outpaint.models.single_file import family_directory
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE_PARTS = [
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"group_norm", "norm"),
    (r"to_([qkv])", r"\1"),
    (r"to_out\.0", "proj_out"),
    (r"conv_norm_out", "norm_out"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2"),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{3 - int(m[1])}.block.{m[2]}"),
    (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample"),
]


def unet_name(name: str, layers: int = 1) -> str:
    """The original name of a weight of a U-Net with this many layers a block."""
    for ours, theirs in UNET_ENDS.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    kind, number, part, layer, rest = re.fullmatch(
        r"(down_blocks|mid_block|up_blocks)\.?(\d*)\.(\w+)\.(\d)\.(.*)", name.replace("mid_block.", "mid_block.0.")
    ).groups()  # type: ignore[union-attr]
    block, place = int(number), int(layer)
    if part == "resnets":
        rest = next(theirs + rest.removeprefix(ours) for ours, theirs in RESNET.items() if rest.startswith(ours))
    slot = int(part == "attentions")
    if kind == "mid_block":
        return f"middle_block.{1 if slot else 2 * place}.{rest}"
    if part == "downsamplers":
        return f"input_blocks.{(layers + 1) * (block + 1)}.0.op.{rest.removeprefix('conv.')}"
    if part == "upsamplers":
        return f"output_blocks.{(layers + 1) * block + layers}.2.{rest}"
    if kind == "down_blocks":
        return f"input_blocks.{(layers + 1) * block + place + 1}.{slot}.{rest}"
    return f"output_blocks.{(layers + 1) * block + place}.{slot}.{rest}"


def vae_name(name: str) -> str:
    for ours, theirs in VAE_PARTS:
        name = re.sub(ours, theirs, name)  # type: ignore[arg-type]
    return name


@pytest.fixture(scope="module")
def single_file(toy_family: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    unet = UNet2DConditionModel.from_pretrained(toy_family, subfolder="unet").state_dict()
    vae = AutoencoderKL.from_pretrained(toy_family, subfolder="vae").state_dict()
    text = CLIPTextModel.from_pretrained(toy_family, subfolder="text_encoder").state_dict()
    whole: dict[str, Tensor] = {f"model.diffusion_model.{unet_name(name)}": value for name, value in unet.items()}
    for name, value in vae.items():
        kernels = value.ndim == 2 and "attentions" in name
        whole[f"first_stage_model.{vae_name(name)}"] = value[:, :, None, None] if kernels else value
    for name, value in text.items():
        whole[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = value
    path = tmp_path_factory.mktemp("single") / "model.safetensors"
    save_file({name: value.contiguous().clone() for name, value in whole.items()}, path)
    return path


def test_training_starts_from_a_single_file_as_from_its_family(
    single_file: Path, toy_family: Path, eyes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = ModelConfig(pretrained=str(single_file), pretrained_config=str(toy_family), vision=str(eyes))
    module, family = OutpaintModule(config), OutpaintModule(ModelConfig(pretrained=str(toy_family)))
    for ours, theirs in ((module.unet, family.unet), (module.encoders.vae, family.encoders.vae)):
        weights = theirs.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in ours.state_dict().items())
    words = ["a lake under a cloudy sky"]
    torch.testing.assert_close(module.encoders.encode_text(words), family.encoders.encode_text(words))
    assert module.hparams["base"].pretrained == str(single_file), "a checkpoint names what was given"
    again = family_directory(str(single_file), str(toy_family))
    assert again == module.config.pretrained
    assert [path.name for path in Path(again).parent.iterdir()] == [Path(again).name], "unpacked once, and whole"


def test_other_single_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, match in (("model.ckpt", "must be .safetensors"), ("lora.safetensors", "a whole Stable Diffusion")):
        save_file({"some.weight": torch.ones(1)}, tmp_path / name)
        with pytest.raises(ValueError, match=match):
            family_directory(str(tmp_path / name))
    assert not (tmp_path / "cache").exists()
