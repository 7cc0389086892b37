import pytest
from jsonargparse import ArgumentParser

from eval.cli import main as evaluate
from lit_outpaint.system.flags import with_nearest


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--num_inference_steps", "--sampling.num_inference_steps"),
        ("--checkpiont", "--checkpoint"),
        ("--sampling.sede", "--sampling.seed"),
        ("--nonsense", None),
    ],
)
def test_an_unknown_flag_brings_the_nearest_one(typed: str, meant: str | None) -> None:
    parser = ArgumentParser()
    for flag in ("--sampling.num_inference_steps", "--sampling.seed", "--checkpoint", "--out"):
        parser.add_argument(flag)
    message = f"unrecognized arguments: {typed} 3"
    assert with_nearest(message, parser) == (message if meant is None else f"{message}; there is {meant}")
    assert with_nearest("something else", parser) == "something else"


def test_eval_names_the_flag_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(["run", "--num_inference_steps", "3"]) == 2
    assert capsys.readouterr().err.endswith("--num_inference_steps 3; there is --sampling.num_inference_steps\n")
    assert evaluate([]) == 2
    assert "eval needs a verb, one of run, family" in capsys.readouterr().err
