"""Whether this machine computes in bfloat16, or only imitates it."""

import logging
from functools import cache

log = logging.getLogger(__name__)


def computes_bfloat16(device_type: str = "cpu") -> bool:
    """Whether matrices are multiplied by units made for bfloat16.

    A CPU without AMX or AVX512-BF16 lets torch imitate them: the same numbers, in two to four times as long as float32.

    Args:
        device_type: ``torch.device.type``; accelerators are taken to have such units.
    """
    import torch

    return device_type != "cpu" or bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


@cache
def warn_where_imitated(device_type: str, instead: str) -> None:
    """Say once in a process that float32 would be faster, where it would.

    Args:
        device_type: as above.
        instead: what asks for float32.
    """
    if not computes_bfloat16(device_type):
        log.warning("this CPU has no units for bfloat16 and takes about twice as long with it: %s is faster", instead)
