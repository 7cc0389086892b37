"""What a setting of a run means when the run is started again or resumed, said where the setting is declared.

A plain field of a configuration is part of the identity of the run: the same command with another value is another
run, and ``--resume`` keeps the value. `setting` declares a field that is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

OnResume = Literal["refused", "replaces", "adds", "edits", "asks"]
"""What a setting does beside ``--resume``: it is refused; it replaces the value that the run has; it adds to the plan;
it edits what is drawn; or it asks for something once."""

_KEY = "role"


@dataclass(frozen=True, kw_only=True)
class Role:
    """Of a setting in the life of a run."""

    identity: bool = True
    """Whether runs that differ in it are different runs."""
    on_resume: OnResume = "refused"
    """What it does beside ``--resume``."""


def setting(default: Any, *, identity: bool = False, on_resume: OnResume = "refused") -> Any:
    """A field of a configuration that has a role of its own."""
    return field(default=default, metadata={_KEY: Role(identity=identity, on_resume=on_resume)})


def roles(*configs: type) -> dict[str, Role]:
    """The roles of all fields of configurations, by name."""
    return {one.name: one.metadata.get(_KEY, Role()) for config in configs for one in fields(config)}
