"""The training loop of the tiny models, and what the parts of the family are made of, at toy size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from data_prep.scapes.corpus import Corpus, pixel_values
from data_prep.scapes.latents import WindowLatents
from data_prep.scapes.train_decoder import decoder_loss, energy, laplacian
from data_prep.scapes.train_vae import new_vae
from data_prep.scapes.training import Budget, autocast, train
from lit_outpaint.models.probe import ScapesProbe


def regression(model: nn.Linear) -> Callable[[int], dict[str, Tensor]]:
    def loss(step: int) -> dict[str, Tensor]:
        inputs = torch.randn(16, 8, generator=torch.Generator().manual_seed(step))
        return {"loss": (model(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()}

    return loss


def test_the_rate_warms_up_and_falls_to_zero_along_both_schedules() -> None:
    for schedule in ("linear", "cosine"):
        budget = Budget(minutes=1, lr=2.0, warmup_steps=10, schedule=schedule)  # type: ignore[arg-type]
        assert budget.learning_rate(0, 0.0) == pytest.approx(0.2)
        assert budget.learning_rate(99, 0.0) == pytest.approx(2.0)
        assert budget.learning_rate(99, 1.0) == pytest.approx(0.0)
        falling = [budget.learning_rate(99, share) for share in np.linspace(0, 1, 20)]
        assert falling == sorted(falling, reverse=True)
    assert Budget(minutes=1, lr=2.0, schedule="cosine").learning_rate(99, 0.5) == pytest.approx(1.0)


def test_training_learns_keeps_numbered_weights_and_ends_with_the_average(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    before = float(regression(model)(0)["loss"])
    budget = Budget(minutes=0.05, lr=0.05, warmup_steps=5, weights_minutes=0.02, ema_decay=0.9)
    spent = train(model, regression(model), budget, tmp_path, log_every=10)
    assert float(regression(model)(0)["loss"]) < before / 10
    assert spent["steps"] > 10
    numbered = sorted(tmp_path.glob("weights-*.safetensors"))
    assert numbered
    assert {key: value.dtype for key, value in load_file(numbered[0]).items()} == dict.fromkeys(
        ("weight", "bias"), torch.float16
    )
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert torch.equal(state["averaged"][0], model.weight)


def test_a_training_goes_on_from_its_state_and_only_as_long_as_its_budget(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(8, 1), nn.Linear(8, 1)
    spent = train(first, regression(first), Budget(minutes=0.02, lr=0.05), tmp_path)
    again = train(second, regression(second), Budget(minutes=0.02, lr=0.05), tmp_path)
    # What is left of the budget are the moments between the last look at the clock and the end.
    assert again["steps"] <= 1.05 * spent["steps"]
    torch.testing.assert_close(second.weight, first.weight, atol=0.05, rtol=0)
    longer = train(second, regression(second), Budget(minutes=0.04, lr=0.05), tmp_path)
    assert longer["steps"] > again["steps"]
    assert longer["minutes"] == pytest.approx(0.04, rel=0.5)


def test_latents_are_encoded_once_and_missing_ones_when_asked_for(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path, 6)
    torch.manual_seed(0)
    vae = new_vae().eval()
    store = WindowLatents(tmp_path / "latents.npy", corpus.windows, vae, torch.device("cpu"))
    some = store.take(np.array([4, 1]))
    with torch.no_grad(), autocast(torch.device("cpu")):
        mode = vae.encode(corpus.pixel_values(np.array([4, 1]))).latent_dist.mode()
    torch.testing.assert_close(some, (mode.float() * vae.config.scaling_factor).half().float())
    again = WindowLatents(tmp_path / "latents.npy", corpus.windows, vae, torch.device("cpu"))
    assert (again.store.any(axis=(1, 2, 3)) == [False, True, False, False, True, False]).all()
    again.fill()
    assert again.store.any(axis=(1, 2, 3)).all()
    assert torch.equal(again.take(np.array([4, 1])), some)
    with pytest.raises(ValueError, match="delete it to encode again"):
        WindowLatents(tmp_path / "latents.npy", corpus.windows[:3], vae, torch.device("cpu"))


def test_a_blurred_reconstruction_is_told_by_its_edges() -> None:
    truth = pixel_values(np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8))
    blurred = avg_pool2d(truth, 3, 1, 1)
    probe = ScapesProbe(*[["none", "a"]] * 4, ["a"], widths=(8, 8, 8, 8)).requires_grad_(False)
    same, soft = decoder_loss(truth, truth, probe), decoder_loss(blurred, truth, probe)
    assert float(same["sharpness"]) == pytest.approx(1)
    assert float(soft["sharpness"]) < 0.5
    assert float(same["loss"]) == pytest.approx(0)
    assert all(float(soft[part]) > 0 for part in ("l1", "mse", "edges", "energy", "features"))


def test_flat_colour_has_no_edges_and_their_energy_is_a_root_mean_square() -> None:
    assert laplacian(torch.full((1, 3, 16, 16), 0.3)).abs().max() < 1e-6
    assert energy(torch.full((1, 1, 16, 16), 2.0)).flatten().tolist() == pytest.approx([2.0] * 9, rel=1e-4)
