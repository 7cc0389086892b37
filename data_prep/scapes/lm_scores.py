"""How answers of a language model are scored against the captions it was given: pure functions over texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from data_prep.scapes.lm_corpus import SURFACE, read_local, things_in
from data_prep.scapes.lm_tasks import SUMMARY_WORDS, Task
from lit_outpaint.captions.answers import CaptionAnswer, CaptionsAnswer
from lit_outpaint.captions.scene import Scene, read_scene

ATTRIBUTES = ("time", "weather", "mountains")


@dataclass(frozen=True)
class Figure:
    """A measured number; shares lie in [0, 1]."""

    name: str
    value: float
    cases: int
    target: float | None = None
    """At least this much, where there is a target."""
    share: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.value >= self.target


def share(name: str, hits: Sequence[bool], target: float | None = None) -> Figure:
    """Share of hits; 0 of 0 is 0."""
    return Figure(name, sum(hits) / max(1, len(hits)), len(hits), target)


def mean(name: str, values: Sequence[float]) -> Figure:
    """Mean of numbers that are no shares."""
    return Figure(name, sum(values) / max(1, len(values)), len(values), share=False)


def read_answer(task: Task, text: str, n: int, fits: Callable[[str], bool]) -> list[str] | None:
    """The captions of an answer; None unless it is exactly the JSON asked for, with ``n`` distinct captions that fit.

    Args:
        task: what was asked.
        text: the whole answer.
        n: how many captions were asked for.
        fits: whether a text encoder reads a caption to its end.
    """
    try:
        if task == "imagine":
            captions = CaptionsAnswer.model_validate_json(text).captions
        else:
            captions = [CaptionAnswer.model_validate_json(text).caption]
    except ValidationError:
        return None
    return captions if len(set(captions)) == n == len(captions) and all(map(fits, captions)) else None


def named(captions: Sequence[str]) -> dict[str, str | bool | None]:
    """Global attributes of captions: the first value of each that is named, None without; mountains if any has some."""
    scenes = [read_scene(caption) for caption in captions]

    def first(name: str) -> str | bool | None:
        return next((value for scene in scenes if (value := _attribute(scene, name))), None)

    return {name: first(name) for name in ATTRIBUTES}


def attribute_figures(inputs: Sequence[Sequence[str]], summaries: Sequence[str | None], label: str) -> list[Figure]:
    """What of the attributes comes through; an invalid answer (None) carries nothing and makes nothing up."""
    carried: dict[str, list[bool]] = {name: [] for name in ATTRIBUTES}
    made_up: dict[str, list[bool]] = {name: [] for name in ATTRIBUTES}
    for captions, summary in zip(inputs, summaries, strict=True):
        told = named([summary] if summary else [])
        for name, value in named(captions).items():
            (carried if value else made_up)[name].append(told[name] == value if value else told[name] is not None)
    everything = [hit for hits in carried.values() for hit in hits]
    return [
        share(f"summarise, {label}: global attributes carried", everything, 0.98),
        *(share(f"summarise, {label}: {name} carried", hits) for name, hits in carried.items()),
        *(share(f"summarise, {label}: {name} made up where no caption names it", h) for name, h in made_up.items()),
    ]


def content_figures(inputs: Sequence[Sequence[str]], summaries: Sequence[str | None], label: str) -> list[Figure]:
    """Places and things of valid summaries beside those of their captions."""
    pairs = [(captions, summary) for captions, summary in zip(inputs, summaries, strict=True) if summary]
    own = [set(read_local(summary).places) for _, summary in pairs]
    given = [{place for caption in captions for place in read_local(caption).places} for captions, _ in pairs]
    return [
        share(
            f"summarise, {label}: at most {SUMMARY_WORDS} words", [len(s.split()) <= SUMMARY_WORDS for _, s in pairs]
        ),
        share(f"summarise, {label}: every place is of the captions", [o <= g for o, g in zip(own, given, strict=True)]),
        share(
            f"summarise, {label}: every thing is of the captions", [things_in([s]) <= things_in(c) for c, s in pairs]
        ),
        mean(f"summarise, {label}: places named", [len(o) for o in own]),
        mean(f"summarise, {label}: places named by the captions", [len(g) for g in given]),
    ]


def walk_figures(walks: Sequence[Sequence[str]], label: str) -> list[Figure]:
    """How a walk of local captions changes: distinct biomes, captions told again, things told again within the walk."""
    steps = [(walk[i - 1], walk[i], things_in(walk[:i])) for walk in walks for i in range(1, len(walk))]
    things = [(thing in seen) for _, caption, seen in steps for thing in things_in([caption])]
    return [
        mean(f"next_local, {label}: distinct biomes in a walk", [_biomes(walk) for walk in walks]),
        share(f"next_local, {label}: repeats the caption before", [before == caption for before, caption, _ in steps]),
        share(f"next_local, {label}: things named that were named before in the walk", things),
    ]


def _biomes(walk: Sequence[str]) -> int:
    return len({place for caption in walk for place in read_local(caption).places if place in SURFACE})


def _attribute(scene: Scene, name: str) -> str | bool | None:
    value: str | bool | None = getattr(scene, name)
    return value


def table(figures: Sequence[Figure]) -> str:
    """The figures in Markdown, and which targets are missed."""
    rows = ["| figure | value | target | met | cases |", "| --- | --- | --- | --- | --- |"]
    for figure in figures:
        value = f"{figure.value:.1%}".replace("%", " %") if figure.share else f"{figure.value:.2f}"
        target = "-" if figure.target is None else f">= {figure.target:.0%}".replace("%", " %")
        met = {None: "-", True: "yes", False: "MISSED"}[figure.met]
        rows.append(f"| {figure.name} | {value} | {target} | {met} | {figure.cases} |")
    missed = [figure.name for figure in figures if figure.met is False]
    judged = sum(figure.met is not None for figure in figures)
    verdict = f"{len(missed)} of {judged} targets are missed" + (f": {'; '.join(missed)}." if missed else ".")
    return "\n".join([*rows, "", verdict])
