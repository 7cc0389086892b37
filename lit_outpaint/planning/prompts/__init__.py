"""The prompts of planners, in the form of ``lit_outpaint.captions.prompts``.

Task and labels follow Yang et al. 2024, arXiv:2401.11708; the words are our own.
"""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
"""Where they lie."""
