import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear

from lit_outpaint.models.cam import CrossAdapter, QuickGELU, from_released


def _released(text_dim: int, language_dim: int) -> dict[str, Tensor]:
    """Random weights in the layout of the published checkpoint."""
    square = {name: (text_dim, text_dim) for name in ("q_proj", "k_proj", "v_proj", "out_proj")}
    wide = {"FFN.0": (4 * text_dim, text_dim), "FFN.2": (text_dim, 4 * text_dim)}
    shapes = {"llm_proj": (text_dim, language_dim), **square, **wide}
    state = {}
    for name, shape in shapes.items():
        state[f"CrossFusionModule.0.{name}.weight"] = torch.randn(shape) * 0.1
        state[f"CrossFusionModule.0.{name}.bias"] = torch.randn(shape[0]) * 0.1
    for name in ("q_norm", "kv_norm", "norm"):
        state[f"CrossFusionModule.0.{name}.weight"] = 1 + torch.randn(text_dim) * 0.1
        state[f"CrossFusionModule.0.{name}.bias"] = torch.randn(text_dim) * 0.1
    return state


def _reference_cam(state: dict[str, Tensor], clip: Tensor, language: Tensor, heads: int) -> Tensor:
    """Table 3.2 of the notes on LLM4GEN, written out."""
    w = {name.removeprefix("CrossFusionModule.0."): tensor for name, tensor in state.items()}

    def project(name: str, x: Tensor) -> Tensor:
        return linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(name: str, x: Tensor) -> Tensor:
        return layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    mixed = project("llm_proj", language)
    query = project("q_proj", norm("kv_norm", mixed))
    key, value = project("k_proj", norm("q_norm", clip)), project("v_proj", norm("q_norm", clip))
    width, parts = query.shape[-1] // heads, []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        weights = (query[..., part] @ key[..., part].transpose(1, 2) * width**-0.5).softmax(dim=-1)
        parts.append(weights @ value[..., part])
    mixed = mixed + project("out_proj", torch.cat(parts, dim=-1))
    hidden = project("FFN.0", norm("norm", mixed))
    return mixed + project("FFN.2", hidden * torch.sigmoid(1.702 * hidden))


def test_the_published_size_has_8663040_parameters() -> None:
    with torch.device("meta"):
        adapter = CrossAdapter(text_dim=768, language_dim=2048)
    assert sum(parameter.numel() for parameter in adapter.parameters()) == 8_663_040


def test_it_computes_what_the_published_code_computes() -> None:
    torch.manual_seed(0)
    state = _released(16, 24)
    adapter = CrossAdapter(16, 24, heads=4)
    adapter.load_state_dict(from_released(state))
    clip, language = torch.randn(2, 7, 16), torch.randn(2, 11, 24)
    torch.testing.assert_close(adapter(clip, language), _reference_cam(state, clip, language, heads=4))


def test_weights_of_another_layout_are_refused() -> None:
    state = _released(16, 24)
    state["CrossFusionModule.0.extra.weight"] = state.pop("CrossFusionModule.0.q_proj.weight")
    with pytest.raises(ValueError, match=r"extra\.weight"):
        from_released(state)


def test_attention_starts_as_a_truncated_normal() -> None:
    torch.manual_seed(0)
    attention = CrossAdapter(256, 64).layers[0].attention
    for linear_map in (attention.query, attention.key, attention.value, attention.output):
        assert linear_map.weight.std().item() == pytest.approx(0.02, rel=0.02)


def test_the_order_of_clip_tokens_is_nothing_and_that_of_language_tokens_is_kept() -> None:
    torch.manual_seed(0)
    adapter = CrossAdapter(16, 24, heads=4, depth=2)
    clip, language = torch.randn(2, 7, 16), torch.randn(2, 11, 24)
    rows = adapter(clip, language)
    torch.testing.assert_close(adapter(clip.flip(1), language), rows)
    torch.testing.assert_close(adapter(clip, language.flip(1)), rows.flip(1))


def test_without_layers_it_is_the_projection() -> None:
    adapter = CrossAdapter(16, 24, depth=0)
    language = torch.randn(2, 11, 24)
    torch.testing.assert_close(adapter(torch.randn(2, 7, 16), language), adapter.projection(language))


def test_quick_gelu_is_near_gelu() -> None:
    x = torch.linspace(-3, 3, 50)
    torch.testing.assert_close(QuickGELU()(x), gelu(x), atol=0.03, rtol=0)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="heads must divide"):
        CrossAdapter(16, 24, heads=5)
