"""The names of scores taken apart, and the scores of one metric put in order by them."""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, cast

Side = Literal["", "real", "beyond_real"]
"""Of what was drawn, of real panoramas, or of the first less the second."""

_COUNT = re.compile(r"(?:(real|beyond_real)-)?n(\d+)(?:-\d+)?")
_STEP, _SLOPE = re.compile(r"step(\d+)"), re.compile(r"slope(_low|_high)?")


class Name(NamedTuple):
    """The parts of a score's name, such as ``drift.lightness.window128-stride64-right.real-n16.step5``."""

    base: str
    """Without what the other fields say."""
    side: Side = ""
    num: int = 0
    """How many pictures or panoramas are in it."""
    step: int | None = None
    """Of a point of a curve."""
    slope: str = ""
    """``slope``, ``slope_low`` or ``slope_high``."""


class Value(NamedTuple):
    """A score with how many pictures or panoramas are in it."""

    value: float
    num: int


class Scores:
    """The scores of one metric.

    Args:
        values: by name.
        ceiling: the same of real panoramas in the place of drawn ones, from a metric that does not score both.
    """

    def __init__(self, values: Mapping[str, float], ceiling: Mapping[str, float]) -> None:
        self.names: dict[str, str] = {}
        """By base, the name of what was drawn without step and slope."""
        self._values: dict[tuple[str, Side, str], Value] = {}
        self._points: dict[tuple[str, Side], dict[int, float]] = {}
        for text, value in values.items():
            name = parse(text)
            self._add(name, value)
            if not name.side:
                self.names.setdefault(name.base, without_end(text))
        for text, value in ceiling.items():
            self._add(parse(text)._replace(side="real"), value)

    def value(self, base: str, side: Side, slope: str = "") -> Value | None:
        """A score that is no point of a curve; None where there is none."""
        return self._values.get((base, side, slope))

    def points(self, base: str, side: Side) -> dict[int, float]:
        """A curve, by step."""
        return self._points.get((base, side), {})

    def _add(self, name: Name, value: float) -> None:
        if name.step is None:
            self._values[name.base, name.side, name.slope] = Value(value, name.num)
        else:
            self._points.setdefault((name.base, name.side), {})[name.step] = value


def parse(text: str) -> Name:
    """Take a score's name apart."""
    name = Name("")
    base: list[str] = []
    for part in text.split("."):
        if found := _COUNT.fullmatch(part):
            name = name._replace(side=cast(Side, found[1] or ""), num=int(found[2]))
        elif found := _STEP.fullmatch(part):
            name = name._replace(step=int(found[1]))
        elif _SLOPE.fullmatch(part):
            name = name._replace(slope=part)
        else:
            base.append(part)
    return name._replace(base=".".join(base))


def without_end(text: str) -> str:
    """A name without the step or the slope in it."""
    return ".".join(part for part in text.split(".") if not (_STEP.fullmatch(part) or _SLOPE.fullmatch(part)))
