import torch

from lit_outpaint.models.devices import computing_in, with_tf32


def _allowed() -> tuple[str, bool]:
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


def test_float32_is_float32_in_products_and_in_convolutions() -> None:
    before = _allowed()
    with with_tf32(True):
        assert _allowed() == ("high", True)
        with computing_in("float32", torch.device("cpu")):
            assert _allowed() == ("highest", False)
        assert _allowed() == ("high", True)
    assert _allowed() == before
