import pytest
from jsonargparse import ArgumentError, ArgumentParser

from lit_outpaint.protocols import Captioner
from lit_outpaint.system.one_line import one_line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--captioner", "lit_outpaint.captions.from_file.FileCaptioner", "--captioner.path", "absent.txt"],
            "the captions file must be a readable text file, got absent.txt: No such file or directory",
        ),
        (
            ["--captioner", "decimal.Decimal"],
            'Parser key "captioner": Import path does not implement protocol Captioner',
        ),
        (["--captioner", "no.such.Part"], "Problem with given class_path 'no.such.Part': No module named 'no'"),
    ],
)
def test_what_a_part_says_of_its_settings_is_the_message(arguments: list[str], said: str) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--captioner", type=Captioner | None, default=None)
    with pytest.raises((ValueError, ArgumentError)) as caught:
        parser.instantiate(parser.parse_args(arguments))
    assert one_line(caught.value).endswith(said)
    assert "Union" not in one_line(caught.value)


def test_a_long_message_is_cut() -> None:
    assert len(one_line(ValueError("much \n" * 400))) == 400
