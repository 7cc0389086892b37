import pytest
import torch
from torch.nn import Parameter

from lit_outpaint.training.ema import Ema, EmaConfig, ema_decay


def _parameters(value: float) -> dict[str, Parameter]:
    return {"weight": Parameter(torch.full((3,), value))}


def test_average_follows_the_parameters_by_its_decay() -> None:
    parameters = _parameters(0.0)
    ema = Ema(EmaConfig(decay=0.9, warmup=False), parameters)
    parameters["weight"].data.fill_(1.0)
    for step in (1, 2):
        ema.update(parameters, step)
    torch.testing.assert_close(ema.averages["weight"], torch.full((3,), 1 - 0.9**2))
    assert ema.step == 2


def test_decay_warms_up() -> None:
    assert ema_decay(0.999, 1, warmup=True) == pytest.approx(2 / 11)
    assert ema_decay(0.999, 10**6, warmup=True) == 0.999
    assert ema_decay(0.999, 1, warmup=False) == 0.999


def test_swapping_twice_changes_nothing() -> None:
    parameters = _parameters(0.0)
    ema = Ema(EmaConfig(), parameters)
    parameters["weight"].data.fill_(1.0)
    ema.swap(parameters)
    assert parameters["weight"].tolist() == [0.0] * 3
    ema.swap(parameters)
    assert parameters["weight"].tolist() == [1.0] * 3
    assert ema.averages["weight"].tolist() == [0.0] * 3


def test_state_survives_a_weights_only_file(tmp_path) -> None:
    ema = Ema(EmaConfig(), _parameters(2.0))
    ema.step = 7
    torch.save(ema.state_dict(), tmp_path / "ema.pt")
    other = Ema(EmaConfig(), _parameters(0.0))
    other.load_state_dict(torch.load(tmp_path / "ema.pt", weights_only=True))
    assert other.step == 7
    assert other.averages["weight"].tolist() == [2.0] * 3


def test_average_of_other_parameters_is_refused() -> None:
    ema = Ema(EmaConfig(), _parameters(0.0))
    with pytest.raises(ValueError, match="of other parameters"):
        ema.load_state_dict({"step": 1, "averages": {"bias": torch.zeros(3)}})
