"""Exports for stock diffusers, with the frozen parts in two homes, and in half precision."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from safetensors.torch import load_file
from transformers import CLIPVisionModel

from lit_outpaint.__main__ import main
from lit_outpaint.assembly import load_module
from lit_outpaint.cli.export import export
from lit_outpaint.models.overlay import home_at, home_from
from lit_outpaint.pipeline import load_pipeline
from lit_outpaint.testing.models import toy_batch

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def checkpoint(toy_family: Path, toy_shards: Path, eyes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model that reads one caption, its vision encoder elsewhere than its family."""
    runs = tmp_path_factory.mktemp("runs")
    argv = f"""fit --data.shards={toy_shards} --data.batch_size=2 --data.num_workers=0 --runs_dir={runs}
        --model.base.pretrained={toy_family} --model.base.vision={eyes} --model.optim.lr=1e-2
        --model.context=lit_outpaint.models.context.PromptConfig --trainer.accelerator=cpu --trainer.max_steps=1
        --trainer.enable_progress_bar=false --trainer.enable_model_summary=false --trainer.limit_val_batches=0"""
    assert main(argv.split()) == 0
    return runs / "run" / "last.ckpt"


def test_no_place_on_this_machine_is_told(checkpoint: Path, tmp_path: Path) -> None:
    for more in ({}, {"full": True}):
        out = export(checkpoint, tmp_path / f"out{len(more)}", **more)
        configs = [json.loads(path.read_text()) for path in out.glob("*/config.json")]
        assert configs
        assert not any(config.get("_name_or_path") for config in configs)


def test_stock_diffusers_loads_and_predicts_alike(checkpoint: Path, tmp_path: Path) -> None:
    assert main(["export", str(checkpoint), "--out", str(tmp_path / "stock"), "--stock"]) == 0
    stock = StableDiffusionInpaintPipeline.from_pretrained(tmp_path / "stock", safety_checker=None)
    (new := tmp_path / "new").touch()
    assert {path.stat().st_mode for path in (tmp_path / "stock").rglob("*.*")} == {new.stat().st_mode}
    module, batch = load_module(checkpoint), toy_batch(size=2)
    noise, timesteps = torch.randn(2, 4, 8, 8), torch.tensor([3, 700])
    mask = torch.nn.functional.interpolate(batch.mask, size=(8, 8))
    read = torch.cat([noise, mask, batch.masked_image_latents], dim=1)
    with torch.no_grad():
        ours = module(batch, noise, timesteps)
        theirs = stock.unet(read, timesteps, batch.features.text_local).sample
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    drawn = stock("a lake", image=torch.zeros(1, 3, 64, 64), mask_image=batch.mask[:1], num_inference_steps=1)
    assert drawn.images[0].size == (64, 64)


def test_an_overlay_names_two_homes_and_follows_a_link(checkpoint: Path, eyes: Path, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "place")
    assert main(["export", str(checkpoint), "--out", str(tmp_path / "link")]) == 0
    assert (tmp_path / "link").is_symlink()
    said = json.loads((tmp_path / "place" / "outpaint.json").read_text())
    assert home_at(tmp_path / "place", said["vision"]) == eyes.resolve()
    pipeline = load_pipeline(tmp_path / "link")
    seen, own = CLIPVisionModel.from_pretrained(eyes).state_dict(), pipeline.image_encoder.state_dict()
    assert seen.keys() == own.keys()
    assert all(torch.equal(own[name], seen[name]) for name in seen)


def test_homes_on_the_hub_are_named_and_missed_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    named = home_from(tmp_path, "someone/clip-that-is-not-here")
    assert named == "hub:someone/clip-that-is-not-here"
    with pytest.raises(ValueError, match="hf download someone/clip-that-is-not-here"):
        home_at(tmp_path, named)


@pytest.mark.parametrize("more", [[], ["--full"]])
def test_half_an_export_loads_back_as_it_was_saved(checkpoint: Path, tmp_path: Path, more: list[str]) -> None:
    assert main(["export", str(checkpoint), "--out", str(tmp_path / "half"), "--half", *more]) == 0
    saved = load_file(tmp_path / "half" / WEIGHTS)
    pipeline = load_pipeline(tmp_path / "half", dtype=None)
    loaded = pipeline.unet.state_dict()
    assert all(loaded[name].dtype == torch.float16 and torch.equal(loaded[name], saved[name]) for name in saved)
    assert {part.dtype for part in (pipeline.vae, pipeline.text_encoder, pipeline.image_encoder)} == {torch.float16}


def test_what_stock_diffusers_cannot_read_is_refused(
    toy_family: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from lit_outpaint.cli.export_stock import stock_pipeline
    from lit_outpaint.models.unet import ModelConfig
    from lit_outpaint.module import OutpaintModule

    with pytest.raises(ValueError, match=r"PromptConfig.*ContextEncoder"):
        stock_pipeline(OutpaintModule(ModelConfig(pretrained=str(toy_family))))
