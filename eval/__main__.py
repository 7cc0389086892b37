"""Entry point of ``python -m eval``."""

import sys
from collections.abc import Sequence

from lit_outpaint.system.freed_memory import keep_freed_memory
from lit_outpaint.system.threads import settle_threads


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    if argv is None:
        settle_threads()
        keep_freed_memory()
    from eval.cli import main as run_verb

    return run_verb(argv)


if __name__ == "__main__":
    sys.exit(main())
