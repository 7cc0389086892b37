"""The prompts of judges, in the form of ``lit_outpaint.captions.prompts``."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
"""Where they lie."""
