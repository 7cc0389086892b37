"""LLM4GEN from training to pictures: a conditioning that reads a language model, through every step of its life."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from eval.cli import main as eval_main
from lit_outpaint.__main__ import main
from lit_outpaint.assembly import load_module
from lit_outpaint.data.features import Features
from lit_outpaint.data.prompts import ColourAtom, PresentAtom, Prompt, write_prompts
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.models.context import LanguageDims
from lit_outpaint.models.language import CausalLanguage
from lit_outpaint.models.language_context import LanguageContextConfig
from lit_outpaint.models.overlay import OVERLAY_NAME, UNET_CHANGES
from lit_outpaint.models.region_conditions import RegionPrompt
from lit_outpaint.models.regional import RegionalAttention
from lit_outpaint.text_to_image import load_text_to_image
from slurm.results import read_values

PROMPTS = ["a red barn", "a meadow with a blue car and " * 12 + "a yellow tent"]


@pytest.fixture(scope="module")
def config(toy_family: Path, spoken_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "llm4gen.yaml"
    path.write_text(
        f"""
trainer: {{accelerator: cpu, enable_progress_bar: false, enable_model_summary: false}}
model:
  base: {{pretrained: {toy_family}, task: text_to_image, train: attention}}
  language:
    class_path: lit_outpaint.models.language.CausalLanguage
    init_args: {{path: models/scapes/lm, length: 24, prefix: "pre "}}
  context:
    class_path: lit_outpaint.models.language_context.LanguageContextConfig
    init_args: {{init: plain}}
  optim: {{lr: 1.0e-3, adapter_lr_factor: 10.0}}
data: {{shards: {spoken_shards}, batch_size: 4, num_workers: 0, directions: [right]}}
"""
    )
    return path


def _fit(config: Path, runs: Path, name: str, *flags: str) -> dict[str, Any]:
    """Train and return the checkpoint."""
    assert main(["fit", "-c", str(config), f"--runs_dir={runs}", f"--name={name}", *flags]) == 0
    return torch.load(runs / name / "last.ckpt", weights_only=True)


@pytest.fixture(scope="module")
def runs(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step that was resumed to two."""
    runs = tmp_path_factory.mktemp("runs")
    _fit(config, runs, "parts", "--trainer.max_steps=1")
    _fit(config, runs, "parts", "--trainer.max_steps=2", "--ckpt_path=last")
    return runs


@pytest.fixture(scope="module")
def overlay(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "model"
    assert main(["export", str(runs / "parts" / "last.ckpt"), "--out", str(out)]) == 0
    return out


def _assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first["state_dict"].keys() == second["state_dict"].keys()
    for name, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name


def test_a_run_resumes_bit_for_bit_and_a_loss_of_weight_0_is_none(config: Path, runs: Path, tmp_path: Path) -> None:
    whole = _fit(config, tmp_path, "whole", "--trainer.max_steps=2", "--model.entity_loss.weight=0")
    parts = torch.load(runs / "parts" / "last.ckpt", weights_only=True)
    _assert_same(whole, parts)
    assert parts["hyper_parameters"]["language"]["init_args"]["prefix"] == "pre "
    factors = {group["name"]: group["initial_lr"] for group in whole["optimizer_states"][0]["param_groups"]}
    assert factors["adapter"] == pytest.approx(1e-2)
    assert factors["unet"] == pytest.approx(1e-3)


def test_the_entity_loss_changes_what_is_learnt(config: Path, runs: Path, tmp_path: Path) -> None:
    guided = _fit(config, tmp_path, "guided", "--trainer.max_steps=2", "--model.entity_loss.weight=100")
    plain = torch.load(runs / "parts" / "last.ckpt", weights_only=True)
    assert any(not torch.equal(value, plain["state_dict"][name]) for name, value in guided["state_dict"].items())


def test_features_computed_in_every_step_are_those_of_the_shards(config: Path, runs: Path, tmp_path: Path) -> None:
    online = _fit(config, tmp_path, "online", "--trainer.max_steps=2", "--model.language_online=true")
    stored = torch.load(runs / "parts" / "last.ckpt", weights_only=True)
    for name, value in online["state_dict"].items():
        # Shards hold float16.
        torch.testing.assert_close(value, stored["state_dict"][name], atol=5e-3, rtol=0)


def test_an_export_holds_what_changed_and_draws_like_the_system(runs: Path, overlay: Path) -> None:
    assert sorted(path.name for path in overlay.iterdir()) == sorted(["context", OVERLAY_NAME, UNET_CHANGES])
    changed = load_file(overlay / UNET_CHANGES)
    assert all(".attn" in name or name.startswith("conv_in.") for name in changed)
    module, pipeline = load_module(runs / "parts" / "last.ckpt"), load_text_to_image(overlay)
    assert all(
        torch.equal(weight, pipeline.unet.state_dict()[name]) for name, weight in module.unet.state_dict().items()
    )
    language = module.frozen.language(module.device)
    assert language is not None
    features = Features(text_local=module.encoders.encode_text(PROMPTS), language_local=language.encode(PROMPTS))
    expected = module.context(features).hidden_states
    found = pipeline.condition(pipeline.encode(2, PROMPTS, PROMPTS, None), Sampling(guidance_scale=1.0)).hidden_states
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_a_whole_export_holds_its_language_model_and_loads_anywhere(runs: Path, tmp_path: Path) -> None:
    out, moved = tmp_path / "whole", tmp_path / "elsewhere" / "moved"
    assert main(["export", str(runs / "parts" / "last.ckpt"), "--out", str(out), "--full"]) == 0
    moved.parent.mkdir()
    out.rename(moved)
    flags = ["--method", "llm4gen", "--num_inference_steps", "1", "--device", "cpu", "--out", str(tmp_path / "drawn")]
    # In a process of its own: nothing has imported the conditioning part there.
    command = [sys.executable, "-m", "lit_outpaint", "generate", "--prompt", "a barn", "--model", str(moved), *flags]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path.cwd())}, check=False)
    assert done.returncode == 0
    assert (tmp_path / "drawn" / "0000.png").is_file()


def test_training_continues_from_an_export_with_the_features_that_it_was_trained_on(
    config: Path, overlay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = [f"--model.base.outpaint={overlay}", "--trainer.max_steps=1", "--model.optim.lr=1e-30"]
    state = _fit(config, tmp_path, "again", *again)["state_dict"]
    before = load_text_to_image(overlay)
    for part in ("unet", "context"):
        for name, weight in getattr(before, part).state_dict().items():
            assert torch.equal(state[f"{part}.{name}"], weight), name
    other = ["--model.language.init_args.prefix=", f"--runs_dir={tmp_path}", "--name=other"]
    assert main(["fit", "-c", str(config), *again, *other]) == 2
    assert "with prefix 'pre ', and model.language has ''" in capsys.readouterr().err


def test_a_language_model_that_nothing_reads_is_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deaf = ["--model.context=lit_outpaint.models.context.PromptConfig", f"--runs_dir={tmp_path}", "--name=deaf"]
    assert main(["fit", "-c", str(config), *deaf]) == 2
    assert "a language model that nothing reads" in capsys.readouterr().err


def test_a_u_net_that_learns_nothing_is_exported_too(config: Path, tmp_path: Path) -> None:
    _fit(config, tmp_path, "frozen", "--trainer.max_steps=1", "--model.base.train=none")
    assert main(["export", str(tmp_path / "frozen" / "last.ckpt"), "--out", str(tmp_path / "x"), "--half"]) == 0
    assert load_text_to_image(tmp_path / "x", dtype=None).context.dtype == torch.float16


def test_guidance_pushes_away_from_the_empty_prompt_of_both_encoders(overlay: Path) -> None:
    pipeline = load_text_to_image(overlay)
    sampling = Sampling(guidance_scale=3.0)
    given = pipeline.condition(pipeline.encode(2, PROMPTS, PROMPTS, None), sampling).hidden_states
    empty = pipeline.condition(pipeline.encode(1, [""], [""], None), Sampling(guidance_scale=1.0)).hidden_states
    torch.testing.assert_close(given[:2], empty.expand(2, -1, -1), atol=1e-4, rtol=1e-4)


def test_a_resampler_is_asked_anew_at_every_step(overlay: Path) -> None:
    pipeline = load_text_to_image(overlay)
    config = LanguageContextConfig(init="plain", adapter="resampler", heads=4)
    sizes = LanguageDims(24, pipeline.context.config.language_dim)
    torch.manual_seed(0)
    pipeline.register_modules(context=config.build_for(pipeline.context.dims, sizes).eval())
    asked: list[float] = []
    pipeline.context.register_forward_pre_hook(lambda _, inputs: asked.append(float(inputs[1])))
    sampling = Sampling(num_inference_steps=3)
    windows = pipeline.draw(PROMPTS, sampling=sampling, generator=[torch.Generator().manual_seed(i) for i in (0, 1)])
    assert torch.isfinite(windows).all()
    assert asked == sorted(set(asked), reverse=True)
    assert len(asked) == 3


def test_generate_draws_a_picture_of_a_long_prompt(overlay: Path, tmp_path: Path) -> None:
    flags = ["--model", str(overlay), "--method", "llm4gen", "--num_inference_steps", "2", "--device", "cpu"]
    assert main(["generate", "--prompt", PROMPTS[1], "--out", str(tmp_path / "a"), *flags]) == 0
    assert len(list((tmp_path / "a").glob("**/*.png"))) == 1


def test_the_shipped_checkpoint_reads_what_clip_cannot(tmp_path: Path) -> None:
    start = "a wide view of a meadow by day under a clear sky with mountains behind, " * 6
    drawn: dict[str, list[bytes]] = {"base": [], "llm4gen": []}
    for method, pictures in drawn.items():
        for end in ("a red barn on the left", "a blue tent on the right"):
            out = tmp_path / f"{method} {end}"
            given = ["--prompt", start + end, "--method", method, "--out", str(out)]
            assert main(["generate", *given, "--num_inference_steps", "2", "--device", "cpu"]) == 0
            pictures.append(Image.open(out / "0000.png").tobytes())
    assert drawn["base"][0] == drawn["base"][1], "the same noise, and the same 77 tokens"
    assert drawn["llm4gen"][0] != drawn["llm4gen"][1]


def test_the_bench_scores_a_checkpoint_and_collect_reads_its_figures(runs: Path, overlay: Path, tmp_path: Path) -> None:
    atoms = (PresentAtom(kind="barn"), ColourAtom(kind="barn", colour="red", allowed=("red",)))
    write_prompts(tmp_path / "p.jsonl", [Prompt(id="colour-0000", category="colour", prompt=PROMPTS[1], atoms=atoms)])
    run = tmp_path / "run"
    given = ["compbench", "--prompts", str(tmp_path / "p.jsonl"), "--drawing.sampling.num_inference_steps", "1"]
    models = {"checkpoint": runs / "parts" / "last.ckpt", "export": overlay}
    for name, model in models.items():
        assert eval_main([*given, "--model", str(model), "--out", str(run / name / "eval")]) == 0
    pictures = [run / name / "eval" / "pictures" / "colour-0000.png" for name in models]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    assert {"colour.atoms", "colour.colour", "all.am"} <= read_values(run / "checkpoint").keys()


def test_a_model_without_a_language_model_is_refused(
    toy_family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--model", str(toy_family), "--method", "llm4gen", "--device", "cpu"]
    assert main(["generate", "--prompt", "a barn", "--out", str(tmp_path / "a"), *flags]) == 2
    assert "llm4gen" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_shards_that_do_not_fit_are_refused_in_one_line(
    config: Path, toy_shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = ["fit", "-c", str(config), f"--runs_dir={tmp_path}", "--trainer.max_steps=1"]
    assert main([*fit, f"--data.shards={toy_shards}", "--name=a"]) == 2
    assert "language" in capsys.readouterr().err
    assert main([*fit, "--model.language.init_args.length=25", "--name=b"]) == 2
    assert "length '24', not '25'" in capsys.readouterr().err
    compiled = ["--model.entity_loss.weight=1", "--model.base.gradient_checkpointing=true", "--name=c"]
    assert main([*fit, *compiled]) == 2
    assert "gradient_checkpointing" in capsys.readouterr().err


def _picture(out: Path) -> np.ndarray:
    return np.array(Image.open(out / "0000.png")).astype(int)


def test_each_region_reads_the_language_model(overlay: Path, tmp_path: Path) -> None:
    """Through the command line: one full region without base is drawn as its prompt, a base ratio of 1 as the base."""
    other = "a desert with a green cactus"
    common = ["--model", str(overlay), "--num_inference_steps", "2", "--device", "cpu"]
    rpg = ["--method", "rpg", "--regions", "1", "--regional_prompt", other]
    drawn = {
        "region": ["--prompt", PROMPTS[0], *rpg, "--base_ratio", "0"],
        "base": ["--prompt", PROMPTS[0], *rpg, "--base_ratio", "1"],
        "plain": ["--prompt", PROMPTS[0], "--method", "llm4gen"],
        "other": ["--prompt", other, "--method", "llm4gen"],
    }
    for name, arguments in drawn.items():
        assert main(["generate", *common, *arguments, "--out", str(tmp_path / name)]) == 0
    pictures = {name: _picture(tmp_path / name) for name in drawn}
    assert np.abs(pictures["region"] - pictures["other"]).max() <= 1
    assert np.abs(pictures["base"] - pictures["plain"]).max() <= 1
    assert np.abs(pictures["other"] - pictures["plain"]).max() > 1


def test_regions_hide_the_padding_of_their_own_prompts(overlay: Path) -> None:
    pipeline = load_text_to_image(overlay)
    config = LanguageContextConfig(mask_padding=True, gate_init=1.0, heads=4)
    sizes = LanguageDims(24, pipeline.context.config.language_dim)
    torch.manual_seed(0)
    pipeline.register_modules(context=config.build_for(pipeline.context.dims, sizes).eval())
    settings = {"path": "models/scapes/lm", "length": 24, "padding": "zero"}
    pipeline.set_language(CausalLanguage(**settings))
    pipeline.set_attention_rule(RegionalAttention())

    def draw(prompt: str, *regions: RegionPrompt) -> torch.Tensor:
        generator = [torch.Generator().manual_seed(1)]
        sampling = Sampling(num_inference_steps=1)
        return pipeline.draw([prompt], sampling=sampling, generator=generator, regions=[regions] if regions else None)

    left, right = (RegionPrompt((x, 0.0, x + 0.5, 1.0), "a red barn", 0.0) for x in (0.0, 0.5))
    torch.testing.assert_close(draw(PROMPTS[1], left, right), draw("a red barn"), atol=1e-4, rtol=0)


@pytest.mark.parametrize("end_fraction", [0.5, 1.0])
def test_regions_of_a_context_that_changes_with_the_timestep(overlay: Path, end_fraction: float) -> None:
    pipeline = load_text_to_image(overlay)
    config = LanguageContextConfig(init="plain", adapter="resampler", heads=4)
    sizes = LanguageDims(24, pipeline.context.config.language_dim)
    torch.manual_seed(0)
    pipeline.register_modules(context=config.build_for(pipeline.context.dims, sizes).eval())
    pipeline.set_attention_rule(RegionalAttention())
    sampling = Sampling(num_inference_steps=2)

    def draw(prompt: str, base_ratio: float | None) -> torch.Tensor:
        regions = None if base_ratio is None else [[RegionPrompt((0.0, 0.0, 1.0, 1.0), PROMPTS[1], base_ratio)]]
        generator = [torch.Generator().manual_seed(1)]
        options = {"sampling": sampling, "generator": generator, "end_fraction": end_fraction}
        return pipeline.draw([prompt], regions=regions, **options)

    torch.testing.assert_close(draw(PROMPTS[0], 1.0), draw(PROMPTS[0], None), atol=1e-4, rtol=0)
    alone, region = draw(PROMPTS[1], None), draw(PROMPTS[0], 0.0)
    assert torch.allclose(region, alone, atol=1e-4) == (end_fraction == 1)
