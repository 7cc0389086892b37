import pickle

import pytest
import torch

from lit_outpaint.data.schema import ShardError
from lit_outpaint.data.tensors import pack_tensors, unpack_tensors


def test_what_is_packed_is_read_back_to_half_precision() -> None:
    tensors = {"b": torch.randn(3, 4), "a": torch.randn(2)}
    read = unpack_tensors(bytearray(pack_tensors(tensors)), ["a", "b"])
    for name, tensor in tensors.items():
        torch.testing.assert_close(read[name], tensor.half().float(), rtol=0, atol=0)


def test_equal_tensors_give_equal_bytes_in_any_order() -> None:
    a, b = torch.randn(2), torch.randn(3)
    assert pack_tensors({"a": a, "b": b}) == pack_tensors({"b": b, "a": a})


def test_a_missing_tensor_is_named() -> None:
    with pytest.raises(ShardError, match=r"lacks the tensor 'x'.*a"):
        unpack_tensors(bytearray(pack_tensors({"a": torch.zeros(1)})), ["x"])


@pytest.mark.parametrize("keep", [0, 5, 20, -1])
def test_truncated_bytes_are_refused(keep: int) -> None:
    data = bytearray(pack_tensors({"a": torch.zeros(4)}))
    with pytest.raises(ShardError):
        unpack_tensors(data[:keep], ["a"])


def test_a_pickle_is_never_loaded() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (pytest.fail, ("the pickle ran",))

    with pytest.raises(ShardError):
        unpack_tensors(bytearray(pickle.dumps(Bomb())), ["a"])
