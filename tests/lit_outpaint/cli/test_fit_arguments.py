from pathlib import Path

import pytest
import yaml

from lit_outpaint.__main__ import main
from lit_outpaint.cli.fit_arguments import GROUPS, OF_VERBS, OWN, check_arguments, names_of


@pytest.mark.parametrize("verb", ["fit", "predict"])
def test_settings_are_those_of_the_parser(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--print_config"])
    given = yaml.safe_load(capsys.readouterr().out)
    assert set(given) == {*OWN, *OF_VERBS[verb], *GROUPS}
    for group in ("trainer", "model", "data"):
        assert set(given[group]) == names_of(group)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--nam", "x"], "--nam is no setting of fit; name is"),
        (["--data.batchsize=3"], "data.batch_size is"),
        (["--model.emma.decay", "0.9"], "model.ema is"),
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


@pytest.mark.parametrize("words", [["-c", "absent.yaml"], ["--data.shards", "absent"], ["--ckpt_path=absent.ckpt"]])
def test_what_is_not_there_is_named(words: list[str]) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        check_arguments("fit", words)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
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
