"""Who is told that bfloat16 is slower than float32."""

import pytest
import torch

from lit_outpaint.system.bfloat16 import computes_bfloat16, warn_where_imitated


@pytest.fixture(params=[(True, False), (False, True), (False, False)])
def has_units(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    for name, value in zip(("amx_tile", "avx512_bf16"), request.param, strict=True):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda value=value: value)
    warn_where_imitated.cache_clear()
    return any(request.param)


def test_a_cpu_without_units_is_told_once(has_units: bool, caplog: pytest.LogCaptureFixture) -> None:
    assert computes_bfloat16("cpu") is has_units
    for _ in range(2):
        warn_where_imitated("cpu", "--bf16 false")
    assert [line.levelname for line in caplog.records if "--bf16 false" in line.message] == ["WARNING"][has_units:]


def test_an_accelerator_is_never_told(has_units: bool, caplog: pytest.LogCaptureFixture) -> None:
    assert computes_bfloat16("cuda")
    warn_where_imitated("cuda", "--bf16 false")
    assert caplog.records == []
