from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from lit_outpaint.models.attention import AttentionRule, BiasedAttentionProcessor, FullAttention
from lit_outpaint.models.context import Context
from lit_outpaint.testing.models import TOY_DIM, toy_unet


@pytest.fixture
def layer() -> Attention:
    torch.manual_seed(0)
    return Attention(query_dim=16, cross_attention_dim=8, heads=4, dim_head=4)


def test_without_bias_it_is_stock_attention(layer: Attention) -> None:
    queries, rows = torch.randn(2, 10, 16), torch.randn(2, 6, 8)
    layer.set_processor(AttnProcessor2_0())
    stock = layer(queries, rows)
    layer.set_processor(BiasedAttentionProcessor())
    torch.testing.assert_close(layer(queries, rows), stock)


def test_a_very_low_bias_hides_rows(layer: Attention) -> None:
    layer.set_processor(BiasedAttentionProcessor())
    queries, rows = torch.randn(2, 10, 16), torch.randn(2, 6, 8)
    hiding = torch.tensor([0.0] * 4 + [-1e4] * 2)
    torch.testing.assert_close(layer(queries, rows, key_bias=hiding), layer(queries, rows[:, :4]))


def test_a_bias_per_sample_hides_rows_of_that_sample(layer: Attention) -> None:
    layer.set_processor(BiasedAttentionProcessor())
    queries, rows = torch.randn(2, 10, 16), torch.randn(2, 6, 8)
    bias = torch.tensor([[0.0] * 6, [0.0] * 4 + [-1e4] * 2])
    out = layer(queries, rows, key_bias=bias)
    torch.testing.assert_close(out[0], layer(queries, rows)[0])
    torch.testing.assert_close(out[1], layer(queries, rows[:, :4])[1])


def test_self_attention_ignores_the_bias() -> None:
    layer = Attention(query_dim=16, heads=4, dim_head=4, processor=BiasedAttentionProcessor())
    queries = torch.randn(2, 10, 16)
    torch.testing.assert_close(layer(queries, key_bias=torch.randn(6)), layer(queries))


def test_the_bias_learns(layer: Attention) -> None:
    layer.set_processor(BiasedAttentionProcessor())
    bias = torch.zeros(6, requires_grad=True)
    layer(torch.randn(2, 10, 16), torch.randn(2, 6, 8), key_bias=bias).square().sum().backward()
    assert bias.grad is not None
    assert bias.grad.any()


def test_in_a_loop_the_context_is_projected_once_and_the_result_stays_the_same() -> None:
    torch.manual_seed(0)
    rule, unet = FullAttention(), toy_unet().eval()
    rule.install(unet)
    latents, rows, bias = torch.randn(2, 4, 8, 8), torch.randn(2, 6, TOY_DIM), torch.randn(6)
    context = Context(rows, bias)
    calls: list[object] = []
    for name, layer in unet.named_modules():
        if name.endswith("attn2.to_k"):
            layer.register_forward_hook(lambda *args: calls.append(args))

    def call(kwargs: dict[str, Any]) -> torch.Tensor:
        return unet(latents, 500, rows, cross_attention_kwargs=kwargs).sample

    with torch.no_grad():
        plain = call(rule.cross_attention_kwargs(context, (8, 8)))
        num_layers = len(calls)
        kwargs = rule.loop_kwargs(unet, context, (8, 8))
        for _ in range(3):
            assert torch.equal(call(kwargs), plain)
    assert num_layers > 1
    assert len(calls) == 2 * num_layers


def test_a_bias_of_another_length_is_refused(layer: Attention) -> None:
    layer.set_processor(BiasedAttentionProcessor())
    with pytest.raises(ValueError, match="one value per context row"):
        layer(torch.randn(2, 10, 16), torch.randn(2, 6, 8), key_bias=torch.zeros(5))


def test_the_full_rule_hands_the_bias_on() -> None:
    rule, rows, bias = FullAttention(), torch.randn(1, 6, 8), torch.zeros(6)
    assert isinstance(rule, AttentionRule)
    assert rule.cross_attention_kwargs(Context(rows), (8, 8)) == {}
    assert rule.cross_attention_kwargs(Context(rows, bias), (8, 8))["key_bias"] is bias


def test_maps_are_the_weights_by_which_rows_are_read(layer: Attention) -> None:
    queries, rows, bias = torch.randn(2, 10, 16), torch.randn(2, 6, 8), torch.randn(6)
    layer.set_processor(BiasedAttentionProcessor("here"))
    maps: dict[str, torch.Tensor | None] = {"here": None}
    out = layer(queries, rows, key_bias=bias, maps=maps)
    weights = maps["here"]
    assert weights is not None
    assert weights.shape == (2, 4, 10, 6)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 4, 10))
    values = layer.to_v(rows).unflatten(-1, (4, 4)).transpose(1, 2)
    torch.testing.assert_close(layer.to_out[0]((weights @ values).transpose(1, 2).flatten(2)), out)
    layer(queries, rows, maps=(elsewhere := {"there": None}))
    assert elsewhere == {"there": None}
