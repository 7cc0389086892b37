"""Entry point of ``python -m slurm``."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    It computes nothing, and jobs inherit its environment: what it starts settles its own threads.
    """
    from slurm.cli import main as run_verb

    return run_verb(argv)


if __name__ == "__main__":
    sys.exit(main())
