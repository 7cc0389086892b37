"""A parser whose refusals are one line."""

import argparse
import sys
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage text in front of it."""

    def error(self, message: str) -> NoReturn:
        """Print the message and leave with exit code 2."""
        sys.stderr.write(f"error: {message}\n")
        raise SystemExit(2)
