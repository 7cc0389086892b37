"""Reading the key of a study and the files that raters send back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from eval.study.design import Trial


class Key(NamedTuple):
    """What the opaque names of a study stand for."""

    study: str
    question: str
    methods: tuple[str, ...]
    trials: Mapping[str, Trial]
    num_raters: int


class Answer(NamedTuple):
    """One pair, judged."""

    trial: Trial
    score: float
    """1: the first of the trial's pictures, 0: the second, 0.5: a tie."""
    chose_place: str
    """``first``, ``second`` or ``tie``."""
    ms: int
    """How long the pair was looked at."""


class Rater(NamedTuple):
    """One person."""

    number: int
    answers: Sequence[Answer]

    @property
    def checks(self) -> list[Answer]:
        """Answers to attention checks."""
        return [answer for answer in self.answers if answer.trial.is_check]

    def passed(self, min_checks: float) -> bool:
        """Whether the share of attention checks that were answered rightly is large enough."""
        return not self.checks or sum(answer.score == 1 for answer in self.checks) >= min_checks * len(self.checks)


def read_key(file: Path) -> Key:
    """Read ``key.json``.

    Raises:
        ValueError: it is missing or no key.
    """
    content = _json(file, "--key")
    try:
        trials = {
            str(name): Trial(str(name), str(row["item"]), _two(row["methods"]), _two(row["pictures"]))
            for name, row in content["trials"].items()
        }
        methods = tuple(str(name) for name in content["methods"])
        return Key(str(content["study"]), str(content["question"]), methods, trials, int(content["raters"]))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"--key must be the key.json that eval study wrote, got {file} ({error!r})") from error


def read_raters(files: Sequence[Path], key: Key) -> list[Rater]:
    """Read what raters sent.

    Raises:
        ValueError: a file is damaged, of another study, or of a rater who is there already.
    """
    raters: dict[int, tuple[Path, Rater]] = {}
    for file in files:
        rater = _rater(file, key)
        if rater.number in raters:
            raise ValueError(
                f"every rater may answer once, but {raters[rater.number][0]} and {file} are both of rater "
                f"{rater.number}; leave one out"
            )
        raters[rater.number] = (file, rater)
    return [rater for _, (_, rater) in sorted(raters.items())]


def _rater(file: Path, key: Key) -> Rater:
    content = _json(file, "results")
    if content.get("study") != key.study:
        raise ValueError(f"results must be of study {key.study}, but {file} is of {content.get('study')}")
    try:
        number = int(content["rater"])
        answers = [_answer(row, key) for row in content["answers"]]
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError(f"{file} must be as the page of the study saves it ({error!r}); ask for it again") from error
    if not 1 <= number <= key.num_raters:
        raise ValueError(f"{file} must be of a rater from 1 to {key.num_raters}, got {number}")
    if len({answer.trial.name for answer in answers}) < len(answers):
        raise ValueError(f"{file} must answer every pair at most once; ask for it again")
    return Rater(number, answers)


def _answer(row: Mapping[str, Any], key: Key) -> Answer:
    trial = key.trials[row["trial"]]
    first, second, choice = row["first"], row["second"], row["choice"]
    if (first, second) not in (trial.pictures, trial.pictures[::-1]) or choice not in ("first", "second", "tie"):
        raise ValueError(f"unknown pictures or choice in {row['trial']}")
    score = 0.5 if choice == "tie" else float(row[choice] == trial.pictures[0])
    return Answer(trial, score, choice, int(row["ms"]))


def _json(file: Path, flag: str) -> dict[str, Any]:
    if not file.is_file():
        raise ValueError(f"{flag} must be a file, found no {file}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{flag} must be JSON, but {file} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{flag} must be a JSON object, got another value in {file}")
    return content


def _two(values: Sequence[Any]) -> tuple[Any, Any]:
    one, other = values
    return one, other
