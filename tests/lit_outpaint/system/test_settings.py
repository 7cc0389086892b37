from dataclasses import dataclass

from lit_outpaint.system.settings import Role, roles, setting


@dataclass(frozen=True, kw_only=True)
class _Config:
    seed: int = 0
    device: str = setting("cpu", on_resume="replaces")


def test_a_plain_setting_is_part_of_a_run_and_one_that_is_declared_otherwise_is_not() -> None:
    assert _Config() == _Config(seed=0, device="cpu")
    assert roles(_Config) == {
        "seed": Role(identity=True, on_resume="refused"),
        "device": Role(identity=False, on_resume="replaces"),
    }
