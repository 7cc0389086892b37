from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from lit_outpaint.callbacks.throughput import Throughput, forward_flops
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
from lit_outpaint.testing.models import TOY_DIM, toy_batch, toy_unet


def test_counted_operations_are_those_of_the_real_pass() -> None:
    unet = toy_unet(in_channels=9)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        unet(torch.randn(1, 9, 8, 8), torch.zeros(1), torch.randn(1, 154, TOY_DIM))
    assert forward_flops(dict(unet.config), 8, 154) == counter.get_total_flops() > 1e6


def test_a_peak_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive or null"):
        Throughput(peak_tflops=0.0)


class Figures(Callback):
    """Keeps what was logged."""

    logged: dict[str, Any]

    def on_train_end(self, trainer: Trainer, *args: Any) -> None:
        self.logged = dict(trainer.callback_metrics)


@pytest.mark.parametrize("peak_tflops", [None, 1.0])
def test_a_run_logs_speed_waits_memory_and_mfu_where_the_peak_is_stated(
    toy_family: Path, tmp_path: Path, peak_tflops: float | None
) -> None:
    figures = Figures()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=2,
        log_every_n_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[Throughput(peak_tflops), figures],
    )
    module = OutpaintModule(ModelConfig(pretrained=str(toy_family)))
    trainer.fit(module, DataLoader([toy_batch()] * 2, batch_size=None))  # type: ignore[arg-type]
    logged = {name: float(value) for name, value in figures.logged.items()}
    assert logged["perf/images_per_s"] == pytest.approx(4e3 / logged["perf/step_ms"], rel=1e-3)
    assert 0 <= logged["perf/data_wait_share"] < 1
    assert logged["perf/peak_memory_gib"] > 0.1
    assert ("perf/mfu" in logged) == (peak_tflops is not None)
    if peak_tflops is not None:
        flops = 3 * forward_flops(dict(module.unet.config), 8, 77 + 77)
        assert logged["perf/mfu"] == pytest.approx(flops * logged["perf/images_per_s"] / 1e12, rel=1e-3)


@pytest.mark.parametrize(("every", "logged"), [(3, True), (0, False)])
def test_figures_come_when_the_trainer_logs_though_epochs_are_shorter(
    toy_family: Path, tmp_path: Path, every: int, logged: bool
) -> None:
    figures = Figures()
    trainer = Trainer(
        accelerator="cpu", max_steps=4, log_every_n_steps=every, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        callbacks=[Throughput(), figures],
    )  # fmt: skip
    module = OutpaintModule(ModelConfig(pretrained=str(toy_family)))
    trainer.fit(module, DataLoader([toy_batch()] * 2, batch_size=None))  # type: ignore[arg-type]
    assert ("perf/images_per_s" in figures.logged) == logged
