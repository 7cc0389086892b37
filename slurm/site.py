"""What is particular to a cluster, from environment variables: nothing of it belongs into a sweep or an experiment."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "LIT_OUTPAINT_SLURM_"
# Directive of sbatch for each setting that is one.
_DIRECTIVES: Final = {"account": "account", "partition": "partition", "qos": "qos", "constraint": "constraint"}


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where jobs go and what they need before Python starts; read from ``LIT_OUTPAINT_SLURM_*``."""

    account: str | None = None
    """Who pays (LIT_OUTPAINT_SLURM_ACCOUNT)."""
    partition: str | None = None
    """Queue (LIT_OUTPAINT_SLURM_PARTITION)."""
    qos: str | None = None
    """Quality of service (LIT_OUTPAINT_SLURM_QOS)."""
    constraint: str | None = None
    """Features a node must have (LIT_OUTPAINT_SLURM_CONSTRAINT)."""
    extra: tuple[str, ...] = ()
    """Further options of sbatch, one a line, each starting with -- (LIT_OUTPAINT_SLURM_EXTRA)."""
    setup: str = ""
    """Shell lines before the program, such as ``module load cuda`` (LIT_OUTPAINT_SLURM_SETUP)."""
    python: str = sys.executable
    """Interpreter on the nodes; that of the submitting process when absent (LIT_OUTPAINT_SLURM_PYTHON)."""

    def __post_init__(self) -> None:
        for line in self.extra:
            if not line.startswith("--"):
                raise ValueError(
                    f"{PREFIX}EXTRA must hold options of sbatch that start with --, one a line, got {line!r}"
                )
        for name in _DIRECTIVES:
            value = getattr(self, name)
            if value is not None and len(value.split()) != 1:
                raise ValueError(f"{PREFIX}{name.upper()} must be one word, got {value!r}")

    def directives(self) -> list[str]:
        """The options for sbatch."""
        named = [f"--{option}={getattr(self, name)}" for name, option in _DIRECTIVES.items() if getattr(self, name)]
        return [*named, *self.extra]


def read_site(environment: Mapping[str, str]) -> Site:
    """The site as the environment describes it; empty variables count as absent.

    Raises:
        ValueError: a variable of this prefix has no meaning, or a value is not possible.
    """
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
    known = Site.__dataclass_fields__
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(
            f"variables that start with {PREFIX} must end in {', '.join(name.upper() for name in known)},"
            f" got {PREFIX}{unknown[0].upper()}"
        )
    values: dict[str, str | tuple[str, ...]] = {name: value for name, value in given.items() if value.strip()}
    if "extra" in values:
        values["extra"] = tuple(line.strip() for line in given["extra"].splitlines() if line.strip())
    return Site(**values)  # type: ignore[arg-type]
