import pytest
import torch
from diffusers import UNet2DConditionModel

from lit_outpaint.data.features import Features
from lit_outpaint.models.context import ContextConfig, ContextDims
from lit_outpaint.models.denoiser import Denoiser, Known
from lit_outpaint.models.unet import ModelConfig, extend_conv_in, load_unet, unet_input
from lit_outpaint.testing.models import SD15_UNET, TOY_DIM, toy_batch, toy_unet


@pytest.fixture
def base() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return toy_unet().eval()


def test_new_channels_do_not_change_the_output(base: UNet2DConditionModel) -> None:
    latents, rows, t = torch.randn(2, 4, 8, 8), torch.randn(2, 77, TOY_DIM), torch.tensor([3, 700])
    with torch.no_grad():
        before = base(latents, t, rows).sample
        extended = extend_conv_in(base)
        for extra in (torch.zeros(2, 5, 8, 8), 100 * torch.randn(2, 5, 8, 8)):
            after = extended(torch.cat([latents, extra], dim=1), t, rows).sample
            torch.testing.assert_close(after, before, atol=1e-6, rtol=1e-5)
    assert extended.config.in_channels == 9


def test_an_inpainting_unet_is_taken_as_it_is() -> None:
    unet = toy_unet(in_channels=9)
    weight = unet.conv_in.weight
    assert extend_conv_in(unet).conv_in.weight is weight


def test_other_channel_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="must read 9 channels, or 4"):
        extend_conv_in(toy_unet(in_channels=8))


def test_a_closed_gate_reproduces_the_stock_unet(base: UNet2DConditionModel) -> None:
    """Step 0 of `gated`: the nine-channel U-Net with W is the base U-Net with the averaged captions."""
    batch, noisy_latents, t = toy_batch(), torch.randn(4, 4, 8, 8), torch.tensor([0, 10, 500, 999])
    with torch.no_grad():
        average = (batch.features.text_local + batch.features.text_global) / 2
        stock = base(noisy_latents, t, average).sample
        loud = batch.features._replace(visual=20 * batch.features.visual)
        context = ContextConfig().build(ContextDims(77, TOY_DIM, 49, TOY_DIM))(loud)
        known = Known(batch.mask, batch.masked_image_latents)
        prediction = Denoiser(extend_conv_in(base))(noisy_latents, t, context, known)
    torch.testing.assert_close(prediction, stock, atol=1e-5, rtol=0)


def test_a_closed_gate_has_a_gradient_of_ordinary_size(base: UNet2DConditionModel) -> None:
    """By its logarithm the gate's gradient would carry the closed gate, 1e-10, as a factor."""
    context = ContextConfig().build(ContextDims(77, TOY_DIM, 49, TOY_DIM))
    rows = context(toy_batch().features)
    Denoiser(base)(torch.randn(4, 4, 8, 8), torch.tensor(500), rows).square().mean().backward()
    assert context.gate.grad.abs() > 1e-6


def test_input_is_noise_then_mask_then_masked_image() -> None:
    batch, noisy_latents = toy_batch(size=2), torch.randn(2, 4, 8, 8)
    stacked = unet_input(noisy_latents, batch.mask, batch.masked_image_latents)
    assert torch.equal(stacked[:, :4], noisy_latents)
    assert stacked[0, 4, 0].tolist() == [0.0] * 4 + [1.0] * 4
    assert torch.equal(stacked[:, 5:], batch.masked_image_latents)


def test_attention_only_trains_attention_and_the_first_convolution(toy_family) -> None:
    unet = load_unet(ModelConfig(pretrained=str(toy_family), train="attention"))
    trained = {name for name, parameter in unet.named_parameters() if parameter.requires_grad}
    assert trained
    assert all(".attn" in name or name.startswith("conv_in.") for name in trained)
    assert not all(parameter.requires_grad for parameter in unet.parameters())


def test_stable_diffusion_at_full_size_reads_154_rows() -> None:
    """On the meta device: shapes are real, nothing is computed."""
    with torch.device("meta"):
        unet = extend_conv_in(UNet2DConditionModel(**SD15_UNET))
        context = ContextConfig().build(ContextDims())
        rows = context(Features(torch.empty(2, 77, 768), torch.empty(2, 77, 768), torch.empty(2, 49, 768)))
        known = Known(torch.empty(2, 1, 512, 512), torch.empty(2, 4, 64, 64))
        prediction = Denoiser(unet)(torch.empty(2, 4, 64, 64), torch.empty(2), rows, known)
    assert rows.hidden_states.shape == (2, 154, 768)
    assert unet.conv_in.in_channels == 9
    assert prediction.shape == (2, 4, 64, 64)
    assert sum(parameter.numel() for parameter in unet.parameters()) == 859_520_964 + 5 * 9 * 320
