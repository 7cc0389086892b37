"""Classifier-free guidance."""

from jaxtyping import Float
from torch import Tensor


def guide(
    unconditional: Float[Tensor, "b c h w"],
    conditional: Float[Tensor, "b c h w"],
    guidance_scale: float,
    rescale: float = 0.0,
) -> Float[Tensor, "b c h w"]:
    """Push the prediction away from the unconditional one, ``u + guidance_scale * (c - u)``.

    Args:
        unconditional: prediction for the dropped condition.
        conditional: prediction for the full condition.
        guidance_scale: 1 gives the conditional prediction, larger obeys the condition more.
        rescale: in ``[0, 1]``, share by which the spread per sample is brought back to the conditional one's; it
            counters the over-exposure of strong guidance on zero-terminal-SNR models.

    Source: Ho & Salimans 2022, arXiv:2207.12598; rescaling from Lin et al. 2023, arXiv:2305.08891, section 3.4.
    """
    guided = unconditional + guidance_scale * (conditional - unconditional)
    if rescale == 0:
        return guided
    axes = (1, 2, 3)
    matched = guided * (conditional.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True))
    return rescale * matched + (1 - rescale) * guided
