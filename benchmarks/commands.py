"""How benchmarks refuse: one line and exit code 2, before any work where that can be known.

Apart from ``timing.py``, because the processes of ``export.py``, whose memory is measured, are not to import torch.
"""

import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from functools import wraps

from lit_outpaint.system.one_line import one_line


def refusing(main: Callable[[], None]) -> Callable[[], None]:
    """A benchmark that says in one line what is wrong with its input."""

    @wraps(main)
    def answered() -> None:
        try:
            main()
        except (ValueError, OSError) as error:
            print(f"error: {one_line(error)}", file=sys.stderr)
            raise SystemExit(2) from None

    return answered


def at_least(least: int) -> Callable[[str], int]:
    """The type of a flag that counts something."""

    def parsed(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
        return int(text)

    return parsed
