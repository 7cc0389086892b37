from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch import Trainer

from lit_outpaint.__main__ import main
from lit_outpaint.cli.class_text import Setting
from lit_outpaint.cli.fit import warn_without_validation
from lit_outpaint.cli.fit_arguments import CHECKPOINT_DEFAULTS, check_arguments, settings_of_verb
from lit_outpaint.cli.fit_help import LINKED


def _compare(settings: Sequence[Setting], given: Mapping[str, Any], place: str = "") -> None:
    """The settings are those of a configuration, and their defaults its values, as far as these are plain."""
    names = {setting.name for setting in settings if f"{place}{setting.name}" not in LINKED}
    assert names == set(given), place
    for setting in settings:
        value = given.get(setting.name)
        if setting.inner:
            _compare(setting.inner, value, f"{place}{setting.name}.")
        elif setting.default is not None and not isinstance(value, dict | list) and setting.name in names:
            default = yaml.safe_load(setting.default)
            if place == "checkpoint.":
                default = CHECKPOINT_DEFAULTS.get(setting.name, default)
            assert str(default) == str(value), f"{place}{setting.name}"


@pytest.mark.parametrize("verb", ["fit", "predict"])
def test_settings_are_those_of_the_parser(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--print_config"])
    _compare(settings_of_verb(verb), yaml.safe_load(capsys.readouterr().out))


def test_help_says_type_default_and_meaning_of_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "--model.base.lora.rank RANK Rows of A, columns of B: how much an adapter can say. (type: int, default: 16)"
        in told
    )
    assert "--data.shards SHARDS directory of the shard set" in told
    assert "(type: str, required)" in told
    assert "--model.base.train {all,attention,lora,none}" in told
    assert "--checkpoint.save_top_k SAVE_TOP_K" in told
    assert "all models are saved" in told
    assert "(type: int, default: 0)" in told
    assert "--model.context CONTEXT the conditioning part" in told
    assert "(type: [class] ConditioningConfig, default: ContextConfig())" in told
    assert "--checkpoint.dirpath" not in told, "it follows from runs_dir and name"


def test_help_of_a_class_says_the_meaning_of_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--model.context.help", "lit_outpaint.models.context.ContextConfig"])
    assert "How two captions become one text feature" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--nam", "x"], "--nam is no setting of fit; name is"),
        (["--data.batchsize=3"], "data.batch_size is"),
        (["--model.emma.decay", "0.9"], "model.ema is"),
        (["--model.base.lora.rnk", "4"], "model.base.lora.rank is"),
        (["--return_predictions", "true"], "no setting of fit"),
        (["-c", "bad.yaml"], "bad.yaml: trainer.max_stepz is no setting of fit; trainer.max_steps is"),
        (["--config=broken.yaml"], "broken.yaml must be YAML"),
    ],
)
def test_settings_that_nothing_has_are_named(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text("trainer: {max_stepz: 3}\n")
    Path("broken.yaml").write_text("trainer: {max_steps\n")
    with pytest.raises(ValueError, match=r"setting|YAML") as refused:
        check_arguments("fit", words)
    assert told in str(refused.value)


@pytest.mark.parametrize("name", ["checkpoint.dirpath", "trainer.default_root_dir"])
def test_the_place_of_a_run_is_said_by_its_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"--{name} is where a run lies, which --runs_dir and --name say"):
        check_arguments("fit", [f"--{name}", "elsewhere"])


@pytest.mark.parametrize("words", [["-c", "absent.yaml"], ["--data.shards", "absent"], ["--ckpt_path=absent.ckpt"]])
def test_what_is_not_there_is_named(words: list[str]) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        check_arguments("fit", words)


@pytest.mark.parametrize(
    "words",
    [
        ["--data.shards", "https://example.org/set", "--ckpt_path", "last"],
        ["--trainer.callbacks+=lit_outpaint.callbacks.preemption.Preemption", "--trainer.callbacks.signals=[USR1]"],
        ["--trainer.callbacks.help", "Preemption"],
        ["--data.shards", "absent", "--print_memory", "true"],
        ["--data.shards", "absent", "--print_config"],
        ["--config", "{trainer: {callbacks+: [], max_steps: -1}}", "--trainer.max_steps", "-1"],
    ],
)
def test_what_may_be_right_is_left_to_the_parser(words: list[str]) -> None:
    check_arguments("fit", words)


def test_every_experiment_has_known_settings() -> None:
    for path in Path("experiments").rglob("*.yaml"):
        if "sweeps" not in path.parts:
            check_arguments("fit", ["-c", str(path), "--print_config"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_steps": 2, "val_check_interval": 650}, True),
        ({"max_steps": 2, "val_check_interval": 4, "accumulate_grad_batches": 2}, False),
        ({"max_steps": 2, "val_check_interval": 2}, False),
        ({"max_steps": -1, "val_check_interval": 650}, False),
        ({"max_steps": 2, "val_check_interval": 650, "limit_val_batches": 0}, False),
        ({"max_steps": 2, "val_check_interval": 1.0, "check_val_every_n_epoch": 1}, False),
    ],
)
def test_training_that_ends_before_its_first_validation_says_so(
    settings: dict[str, Any], said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rest = {"accelerator": "cpu", "devices": 1, "logger": False, "enable_checkpointing": False}
    trainer = Trainer(**({"check_val_every_n_epoch": None} | rest | settings))
    warn_without_validation(trainer)
    assert ("no validation takes place" in caplog.text) == said


@pytest.mark.parametrize("given", ["flag", "configuration"])
def test_a_model_that_the_hub_does_not_give_is_refused_at_once(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    path = tmp_path / "a.yaml"
    path.write_text("model: {base: {pretrained: nobody/nothing}}")
    words = ["--config", str(path)] if given == "configuration" else ["--model.base.pretrained", "nobody/nothing"]
    with pytest.raises(ValueError, match="nobody/nothing is no directory, and the hub does not give it"):
        check_arguments("fit", words)
    check_arguments("fit", [*words, "--print_config"])
