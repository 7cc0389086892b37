import random
from pathlib import Path

import numpy as np
import torch

from lit_outpaint.training.random_states import random_states, restore_random_states


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_generators_go_on_from_states_that_a_weights_only_file_holds(tmp_path: Path) -> None:
    draw()
    np.random.randn()  # leaves a second Gaussian behind, which belongs to the state
    torch.save(random_states(), tmp_path / "states.pt")
    first = [draw(), draw(), np.random.randn()]
    restore_random_states(torch.load(tmp_path / "states.pt", weights_only=True))
    assert [draw(), draw(), np.random.randn()] == first
