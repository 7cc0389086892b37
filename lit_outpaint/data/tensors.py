"""Named tensors in and out of a ``KEY.safetensors`` member.

Reading takes only the tensors that are asked for: a sample stores every precomputed view, and a training step needs
one. The format is a little-endian length, a JSON header and the raw bytes, so nothing is ever executed
(https://huggingface.co/docs/safetensors).
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor

from lit_outpaint.data.schema import ShardError

_DTYPES: Final = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}


def pack_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Store tensors as float16, by sorted name, so that equal tensors give equal bytes."""
    return save({name: tensors[name].detach().to("cpu", torch.float16).contiguous() for name in sorted(tensors)})


def unpack_tensors(data: bytearray, names: Iterable[str]) -> dict[str, Tensor]:
    """Read some of the stored tensors as float32.

    Raises:
        ShardError: a name is missing, or the bytes are damaged.
    """
    header, start = _header(data)
    tensors: dict[str, Tensor] = {}
    for name in names:
        if name not in header:
            raise ShardError(f"a sample lacks the tensor {name!r}; it holds {', '.join(sorted(header))}")
        tensors[name] = _tensor(data, header[name], start, name)
    return tensors


class Place(NamedTuple):
    """Where a tensor lies inside its member, in bytes."""

    begin: int
    size: int
    dtype: torch.dtype
    shape: tuple[int, ...]


def tensor_places(head: bytes, size: int) -> dict[str, Place]:
    """Where the tensors of a member lie.

    Args:
        head: the member up to the end of its header, or more of it.
        size: bytes of the whole member.

    Raises:
        ShardError: it is no safetensors file, or a tensor does not fit into it.
    """
    header, start = _header(head)
    places: dict[str, Place] = {}
    for name, entry in header.items():
        dtype, shape, (begin, end) = _DTYPES[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
        if not (begin >= 0 and end - begin == math.prod(shape) * dtype.itemsize and start + end <= size):
            raise ShardError(f"the tensor {name!r} does not fit its file; prepare the shard set again")
        places[name] = Place(start + begin, end - begin, dtype, shape)
    return places


def _tensor(data: bytearray, entry: dict[str, Any], start: int, name: str) -> Tensor:
    dtype, shape, (begin, end) = _DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    count = math.prod(shape)
    if not (begin >= 0 and end - begin == count * dtype.itemsize and start + end <= len(data)):
        raise ShardError(f"the tensor {name!r} does not fit its file; prepare the shard set again")
    return torch.frombuffer(data, dtype=dtype, count=count, offset=start + begin).reshape(shape).float()


def _header(data: bytes | bytearray) -> tuple[dict[str, dict[str, Any]], int]:
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or start > len(data):
        raise ShardError("a .safetensors member is truncated; run `python -m data_prep verify` and prepare it again")
    try:
        header = json.loads(bytes(data[8:start]))
        header.pop("__metadata__", None)
        assert all(
            e["dtype"] in _DTYPES and len(e["data_offsets"]) == 2 and e["shape"] is not None for e in header.values()
        )
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise ShardError("a .safetensors member is damaged; prepare the shard set again") from error
    return header, start
