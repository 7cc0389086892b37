"""Softmax attention with a bias on the logits of each key: one result, several kernels.

Which way is the fastest depends on what is asked for, measured on CPUs (benchmarks/train_step, outpaint_step) and
known of PyTorch's kernels on GPUs:

- nobody learns the bias: it goes in as a mask, which the fused kernels read for nothing;
- the bias learns: as a mask it would shut the fused kernels out, so it goes in as one more channel;
- half-precision training on a CPU of a small map: the fused kernel's backward pass takes five times as long as plain
  matrix products do.

``set_attention_backend`` of diffusers overrules the choice.
"""

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

# A map of logits up to this size (positions x rows, per head) fits in a core's cache.
SMALL_MAP = 64 * 1024


def attend(
    query: Float[Tensor, "b heads n c"],
    key: Float[Tensor, "b heads l c"],
    value: Float[Tensor, "b heads l c"],
    key_bias: Float[Tensor, "*b rows"] | None = None,
    backend: str | None = None,
) -> Float[Tensor, "b heads n c"]:
    """``softmax(q k / sqrt(c) + key_bias) v``, computed in the way that is fastest here.

    Args:
        query: of every position.
        key: of every context row.
        value: of every context row.
        key_bias: one value per context row, for all samples or for each; None is no bias.
        backend: of diffusers, to compute with; None chooses here.

    Raises:
        ValueError: the bias does not have one value per context row, or the backend takes no bias.
    """
    rows = key.shape[2]
    if key_bias is not None and key_bias.shape[-1] != rows:
        raise ValueError(f"key_bias must have one value per context row ({rows}), got shape {tuple(key_bias.shape)}")
    if backend is not None:
        return attend_by_backend(query, key, value, key_bias, backend)
    learning = torch.is_grad_enabled() and query.requires_grad
    small = query.shape[2] * rows <= SMALL_MAP
    if learning and small and query.device.type == "cpu" and query.dtype in (torch.bfloat16, torch.float16):
        return attend_by_products(query, key, value, key_bias)
    if key_bias is None:
        return scaled_dot_product_attention(query, key, value)
    if torch.is_grad_enabled() and key_bias.requires_grad:
        return attend_by_channel(query, key, value, key_bias)
    return attend_by_mask(query, key, value, key_bias)


def attend_by_mask(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor) -> Tensor:
    """Fused attention with the bias as a mask."""
    return scaled_dot_product_attention(query, key, value, attn_mask=_mask(query, key_bias))


def attend_by_backend(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None, backend: str) -> Tensor:
    """Attention by a backend of diffusers, with the bias as a mask; kernels that take no mask refuse one."""
    mask = None if key_bias is None else _mask(query, key_bias)
    by_position = (part.transpose(1, 2) for part in (query, key, value))
    return dispatch_attention_fn(*by_position, attn_mask=mask, backend=backend).transpose(1, 2)


def attend_by_channel(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor) -> Tensor:
    """Fused attention with the bias as a channel, 1 in the queries and ``key_bias * sqrt(c)`` in the keys."""
    channels = key.shape[-1]
    column = torch.atleast_2d(key_bias)[:, None, :, None] * channels**0.5
    column = column.to(key.dtype).expand(*key.shape[:3], 1)
    # Fused kernels on GPUs want channels in multiples of 8.
    unused = 0 if key.device.type == "cpu" else -(channels + 1) % 8
    attended = scaled_dot_product_attention(
        pad(pad(query, (0, 1), value=1.0), (0, unused)),
        pad(torch.cat([key, column], dim=-1), (0, unused)),
        pad(value, (0, 1 + unused)),
        scale=channels**-0.5,
    )
    return attended[..., :channels]


def attention_weights(
    query: Float[Tensor, "b heads n c"],
    key: Float[Tensor, "b heads l c"],
    key_bias: Float[Tensor, "*b rows"] | None = None,
) -> Float[Tensor, "b heads n l"]:
    """``softmax(q k / sqrt(c) + key_bias)`` in float32: what `attend` weights the values by."""
    return _weights(query.flatten(0, 1), key.flatten(0, 1), query.shape[1], key_bias).unflatten(0, (len(query), -1))


def attend_by_products(query: Tensor, key: Tensor, value: Tensor, key_bias: Tensor | None = None) -> Tensor:
    """Attention written out: logits, softmax in float32, weighted sum."""
    heads = query.shape[1]
    flat = [part.flatten(0, 1) for part in (query, key, value)]
    weights = _weights(flat[0], flat[1], heads, key_bias)
    return torch.bmm(weights.to(value.dtype), flat[2]).unflatten(0, (-1, heads))


def _mask(query: Tensor, key_bias: Tensor) -> Tensor:
    """The bias of the rows as an attention mask (B or 1, 1, N, L)."""
    mask = torch.atleast_2d(key_bias)[:, None, None, :].to(query.dtype)
    return mask.expand(-1, 1, query.shape[2], -1)


def _weights(query: Tensor, key: Tensor, heads: int, key_bias: Tensor | None) -> Tensor:
    """Attention weights (B * heads, N, L), batch and heads being one axis."""
    scale = query.shape[-1] ** -0.5
    if key_bias is None:
        logits = torch.bmm(query * scale, key.transpose(1, 2))
    else:
        offset = torch.atleast_2d(key_bias)[:, None, None, :].to(query.dtype)
        offset = offset.expand(len(query) // heads, heads, 1, -1).flatten(0, 1)
        logits = torch.baddbmm(offset, query, key.transpose(1, 2), alpha=scale)
    return logits.softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
