from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from lit_outpaint.models.attend import attend, attend_by_channel, attend_by_mask, attend_by_products

WAYS = [attend_by_mask, attend_by_channel, attend_by_products]


def inputs(dtype: torch.dtype) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, 3, rows, 5, dtype=dtype, requires_grad=True) for rows in (7, 6, 6)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(6,), (1, 6), (2, 6)])
def test_every_way_adds_the_bias_to_the_logits(way: Callable[..., Tensor], shape: tuple[int, ...]) -> None:
    query, key, value = inputs(torch.float64)
    bias = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    mask = torch.atleast_2d(bias)[:, None, None, :]
    ours, reference = way(query, key, value, bias), scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(ours, reference)
    parts = [query, key, value, bias]
    of_ours, of_reference = (torch.autograd.grad(out.square().sum(), parts) for out in (ours, reference))
    torch.testing.assert_close(of_ours, of_reference)


def test_products_without_bias_are_plain_attention() -> None:
    query, key, value = inputs(torch.float64)
    torch.testing.assert_close(attend_by_products(query, key, value), scaled_dot_product_attention(query, key, value))


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_whichever_way_is_chosen_the_result_is_the_same(dtype: torch.dtype, learns: bool) -> None:
    query, key, value = inputs(dtype)
    bias = torch.randn(6, requires_grad=learns)
    wide = [part.double() for part in (query, key, value)]
    reference = attend_by_mask(*wide, bias.double()).to(dtype)
    torch.testing.assert_close(attend(query, key, value, bias), reference, rtol=2e-2, atol=2e-2)
    with torch.no_grad():
        torch.testing.assert_close(attend(query, key, value, bias), reference, rtol=2e-2, atol=2e-2)


def test_a_bias_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="one value per context row \\(6\\), got shape \\(5,\\)"):
        attend(*inputs(torch.float32), torch.zeros(5))


def test_a_backend_of_diffusers_computes_the_same_and_refuses_what_it_cannot() -> None:
    query, key, value = inputs(torch.float32)
    bias = torch.linspace(-2, 2, key.shape[2])
    for given in (None, bias):
        own = attend(query, key, value, given)
        torch.testing.assert_close(attend(query, key, value, given, "_native_math"), own, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="`attn_mask` is not supported"):
        attend(query, key, value, bias, "_native_flash")
