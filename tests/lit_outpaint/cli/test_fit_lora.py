"""Training of adapters and what export makes of it, through the command line."""

from pathlib import Path

import pytest
import torch

from lit_outpaint.__main__ import main
from lit_outpaint.assembly import load_module
from lit_outpaint.models.lora import LORA_FILE
from lit_outpaint.pipeline import load_pipeline
from lit_outpaint.testing.models import toy_batch


@pytest.fixture(scope="module")
def argv(toy_family: Path, toy_shards: Path) -> list[str]:
    return [
        *("fit", f"--data.shards={toy_shards}", "--data.batch_size=2", "--data.num_workers=0"),
        *(f"--model.base.pretrained={toy_family}", "--model.base.train=lora", "--model.base.lora.rank=2"),
        *("--model.base.lora.alpha=4", "--model.optim.lr=1e-2", "--model.ema.decay=0.5", "--trainer.accelerator=cpu"),
        *(
            "--trainer.enable_progress_bar=false",
            "--trainer.enable_model_summary=false",
            "--trainer.limit_val_batches=0",
        ),
    ]


@pytest.fixture(scope="module")
def run_dir(argv: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps without a stop."""
    runs = tmp_path_factory.mktemp("lora")
    assert main([*argv, f"--runs_dir={runs}", "--name=whole", "--trainer.max_steps=4"]) == 0
    return runs / "whole"


def test_adapters_resume_bit_for_bit(run_dir: Path, argv: list[str], tmp_path: Path) -> None:
    for steps in (2, 4):
        assert main([*argv, f"--runs_dir={tmp_path}", f"--trainer.max_steps={steps}", "--ckpt_path=last"]) == 0
    whole, halves = (torch.load(path / "last.ckpt", weights_only=True) for path in (run_dir, tmp_path / "run"))
    for key, ours, theirs in (
        ("weights", halves["state_dict"], whole["state_dict"]),
        ("average", halves["ema"]["averages"], whole["ema"]["averages"]),
    ):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), key
    averages = whole["ema"]["averages"]
    kinds = {"adapters": ".lora_", "new channels": "unet.conv_in.", "conditioning": "context."}
    assert all(any(part in name for part in kinds.values()) for name in averages)
    assert any(averages[name].abs().max() > 0 for name in averages if ".lora_B." in name), "adapters were trained"


@pytest.mark.parametrize("more", [[], ["--full"]])
def test_an_export_is_merged_and_has_the_file_beside_it(run_dir: Path, tmp_path: Path, more: list[str]) -> None:
    assert main(["export", str(run_dir / "last.ckpt"), "--out", str(tmp_path / "model"), *more]) == 0
    assert (tmp_path / "model" / LORA_FILE).is_file()
    module, pipeline = load_module(run_dir / "last.ckpt"), load_pipeline(tmp_path / "model")
    assert not any("lora" in name for name, _ in pipeline.unet.named_parameters())
    batch, noise, timesteps = toy_batch(size=2), torch.randn(2, 4, 8, 8), torch.tensor([3, 700])
    with torch.no_grad():
        unmerged = module(batch, noise, timesteps)
        module.denoiser = pipeline.denoiser
        merged = module(batch, noise, timesteps)
    torch.testing.assert_close(merged, unmerged, atol=1e-5, rtol=1e-5)


def test_muon_is_refused(argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main([*argv, f"--runs_dir={tmp_path}", "--model.optim.name=muon"]))
    assert end.value.code == 2
    assert "muon" in capsys.readouterr().err
