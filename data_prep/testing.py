"""A small real shard set for tests of whatever reads one."""

from pathlib import Path
from typing import Any

from data_prep.config import CaptionConfig, EncodeConfig, MachineConfig, SourceConfig
from data_prep.stages import run_all


def build_toy_shards(out: Path, models: Path, **settings: Any) -> Path:
    """Prepare a scapes set of a dozen windows with all stages; seconds with toy encoders.

    Args:
        out: directory to write.
        models: directory of the frozen encoders, such as that of ``lit_outpaint.testing.build_toy_family``.
        settings: fields of the config classes that differ from the defaults here.
    """
    values: dict[str, Any] = dict(windows=12, val_windows=5, panoramas=1, eval_windows=2, eval_steps=2)
    values |= dict(samples_per_shard=6, models=str(models), workers=1, batch_size=8, device="cpu") | settings

    def part(config: Any) -> Any:
        return config(**{name: values[name] for name in config.__dataclass_fields__ if name in values})

    run_all(out, part(SourceConfig), part(CaptionConfig), part(EncodeConfig), part(MachineConfig))
    return out
