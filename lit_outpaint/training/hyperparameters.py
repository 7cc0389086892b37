"""The configuration of a training system in its checkpoints: plain values, of which the same parts are made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, Final

from lit_outpaint.system.named import described

INSTANTIATOR: Final = "lightning.pytorch.cli.instantiate_module"
"""What makes a system of a configuration when a checkpoint is loaded; it checks every value by its type."""
CHOSEN: Final = ("context", "attention", "language", "entity_parser")
"""Parts that are chosen by ``class_path``; of all others the type is fixed."""


def plain_hyperparameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters as a configuration file has them, however the system was made.

    Raises:
        ValueError: a chosen part is no dataclass, so that its arguments cannot be kept.
    """
    plain: dict[str, Any] = {}
    for name, value in given.items():
        if name in CHOSEN:
            plain[name] = described(value)
        else:
            plain[name] = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    return plain | {"_instantiator": INSTANTIATOR}
