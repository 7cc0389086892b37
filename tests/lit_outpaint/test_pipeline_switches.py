"""The switches of diffusers that users turn on a pipeline: offloading, casting, attention backends, LoRA."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import accelerate
import peft
import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from PIL import Image
from torch import Tensor

from lit_outpaint.pipeline import OutpaintPipeline, load_pipeline

WINDOW = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
MASK = Image.new("L", (64, 64), 0)
MASK.paste(255, (32, 0, 64, 64))


@pytest.fixture
def pipeline(model: Path) -> OutpaintPipeline:
    return load_pipeline(model)


def call(pipeline: OutpaintPipeline, **options: Any) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    given = {"num_inference_steps": 2, "generator": generator, "output_type": "pt", **options}
    drawn: Tensor = pipeline("a lake", WINDOW, MASK, **given).images
    return drawn


def state(pipeline: OutpaintPipeline) -> dict[str, Any]:
    unet = pipeline.unet
    hooks = {name: (len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in unet.named_modules()}
    weights = {name: (p.data_ptr(), p.dtype, p.requires_grad) for name, p in unet.named_parameters()}
    modes = {name: m.training for name, m in unet.named_modules()}
    return {"processors": unet.attn_processors, "hooks": hooks, "weights": weights, "modes": modes, "all": vars(unet)}


def test_a_call_leaves_the_unet_as_it_was_even_one_that_fails(pipeline: OutpaintPipeline) -> None:
    before = state(pipeline)
    before["all"] = dict(before["all"])
    call(pipeline)
    assert state(pipeline) == before

    def fail(*given: Any) -> dict[str, Any]:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        call(pipeline, callback_on_step_end=fail)
    assert state(pipeline) == before


def offload_sequentially(pipeline: OutpaintPipeline) -> None:
    """What diffusers does with an accelerator, whose part the CPU plays: it makes "cpu" a "cpu:0" that hooks refuse."""
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            accelerate.cpu_offload(part, torch.device("cpu"), offload_buffers=len(part._parameters) > 0)
    assert pipeline.device == torch.device("meta")


@pytest.mark.parametrize(
    "offload",
    [
        offload_sequentially,
        lambda pipeline: pipeline.enable_model_cpu_offload(device="cpu"),
        lambda pipeline: pipeline.enable_group_offload(torch.device("cpu"), offload_type="leaf_level"),
        lambda pipeline: pipeline.enable_group_offload(torch.device("cpu"), num_blocks_per_group=1),
    ],
    ids=["sequential", "model", "leaves", "blocks"],
)
def test_offloaded_weights_are_used_within_calls_of_their_model_and_draw_the_same(
    offload: Callable[[OutpaintPipeline], None], pipeline: OutpaintPipeline
) -> None:
    plain = call(pipeline)
    offload(pipeline)
    running, called = [False], [0]

    def layer(*given: Any) -> None:
        # Outside of a call of the U-Net its weights may lie elsewhere.
        assert running[0]
        called[0] += 1

    pipeline.unet.conv_in.register_forward_pre_hook(lambda *given: running.__setitem__(0, True))
    pipeline.unet.conv_out.register_forward_hook(lambda *given: running.__setitem__(0, False))
    for name, module in pipeline.unet.named_modules():
        if name.endswith("attn2.to_k"):
            module.register_forward_pre_hook(layer)
    assert torch.equal(call(pipeline), plain)
    assert called[0] > 0
    assert torch.equal(call(pipeline), plain)  # The first call left everything ready for another.


@pytest.mark.parametrize("device", [None, "cpu"])
def test_sequential_offload_without_an_accelerator_is_refused(
    device: str | None, pipeline: OutpaintPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lit_outpaint.models.conditioned.get_device", lambda: "cpu")
    with pytest.raises(ValueError, match=r"^enable_sequential_cpu_offload needs an accelerator.*CPU"):
        pipeline.enable_sequential_cpu_offload(device=device)
    assert pipeline.device == torch.device("cpu")


def test_weights_may_be_stored_in_a_smaller_type_than_they_compute_in(pipeline: OutpaintPipeline) -> None:
    plain = call(pipeline)
    pipeline.unet.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
    assert pipeline.unet.mid_block.attentions[0].transformer_blocks[0].attn2.to_k.weight.dtype == torch.bfloat16
    drawn = call(pipeline)
    assert drawn.dtype == torch.float32
    assert 0 < (drawn - plain).abs().max() < 0.1


@pytest.fixture
def _default_backend() -> Iterator[None]:
    """diffusers keeps the backend that was set last for all models."""
    yield
    _AttentionBackendRegistry.set_active_backend(AttentionBackendName.NATIVE)


@pytest.mark.usefixtures("_default_backend")
def test_an_attention_backend_is_used(pipeline: OutpaintPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = call(pipeline)
    used: list[None] = []
    backends = _AttentionBackendRegistry._backends
    math = backends[AttentionBackendName._NATIVE_MATH]

    def counted(*args: Any, **given: Any) -> Tensor:
        used.append(None)
        result: Tensor = math(*args, **given)
        return result

    monkeypatch.setitem(backends, AttentionBackendName._NATIVE_MATH, counted)
    pipeline.unet.set_attention_backend("_native_math")
    torch.testing.assert_close(call(pipeline), plain, atol=1e-4, rtol=0)
    calls = 2 * len(pipeline.unet.attn_processors)
    assert len(used) == calls
    pipeline.unet.reset_attention_backend()
    assert torch.equal(call(pipeline), plain)
    assert len(used) == calls


def test_lora_weights_load_fuse_and_leave_again(pipeline: OutpaintPipeline, model: Path, tmp_path: Path) -> None:
    plain = call(pipeline)
    trained = load_pipeline(model).unet
    trained.add_adapter(
        peft.LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v", "to_out.0"], init_lora_weights=False)
    )
    StableDiffusionPipeline.save_lora_weights(tmp_path, peft.get_peft_model_state_dict(trained))

    pipeline.load_lora_weights(tmp_path)
    adapted = call(pipeline)
    assert (adapted - plain).abs().max() > 0.01
    pipeline.fuse_lora()
    torch.testing.assert_close(call(pipeline), adapted, atol=1e-3, rtol=0)
    pipeline.unfuse_lora()
    pipeline.unload_lora_weights()
    torch.testing.assert_close(call(pipeline), plain, atol=1e-4, rtol=0)
