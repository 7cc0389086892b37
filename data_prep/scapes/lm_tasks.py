"""The teacher of ScapesLM: for each task a prompt and the answer that rules over captions give.

Where many answers are right (what could lie around, what comes next) the rules draw one at random, so that the model
learns a distribution and sampling from it gives variety.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from data_prep.scapes.lm_corpus import SKY, SURFACE, UNDERGROUND, Local, Places, read_local, things_in
from data_prep.scapes.lm_wordings import attributes, elsewhere, listed, places_named, typed
from lit_outpaint.captions.objects import things_seen
from lit_outpaint.captions.prompts import load_prompt
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.captions.scene import Scene, read_scene
from lit_outpaint.chat.requests import Message

Task = Literal["imagine", "summarise", "next_local"]
TASKS: tuple[Task, ...] = get_args(Task)

SUMMARY_WORDS = 45
"""As the prompt asks."""
STRANGE_SIZE = 2
"""A word of another world counts as this many: the text encoder, which reads 77 tokens, spells it letter by letter."""
MAX_IMAGINED = 8
MAX_PREVIOUS = 8
"""Captions before that a prompt shows."""
STAY = (0.85, 0.25, 0.05)
"""Probability that a place continues after it has been captioned once, twice and so on."""
BARE_SHARE = {SKY: 0.6, UNDERGROUND: 0.25}
"""How often nothing comes next there. Annotators saw nothing in 38 % of 379 windows of sky and 7 % of 211 underground,
and what is new at a step is half a window: about the square root of that."""

_MANY = (1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, MAX_IMAGINED)
_STEPS = (0, 1, 1, 2, 2, 3, 4, 5, 6, 8, 10, 12)
_TRIES = 24
_STAR = "pair of stars"


@dataclass(frozen=True)
class Example:
    """What is asked and what is answered."""

    task: Task
    messages: tuple[Message, Message]
    answer: str
    """JSON."""


class Teacher:
    """Makes examples.

    Args:
        windows: annotated captions of single windows, some of each.
    """

    def __init__(self, windows: Sequence[Sequence[str]]) -> None:
        self.windows = windows
        self.places = Places(windows)

    def example(self, task: Task, rng: random.Random, *, short: bool = False) -> Example:
        """One example; equal generators make equal examples.

        Args:
            task: which prompt.
            rng: source of choice.
            short: few captions only, one of which names the weather: a small model learns to find and count in these.
        """
        makers = {"imagine": self._imagine, "summarise": self._summarise, "next_local": self._next_local}
        return makers[task](rng, short)

    def imagined(self, rng: random.Random, caption: str, n: int) -> list[str]:
        """Captions of ``n`` places, new ones as long as there are any, none like another and none with attributes.

        In turns the place comes first and the things in it do: a small model counts badly, but tells odd from even by
        the caption before.
        """
        named, texts = set(read_local(caption).places), {read_local(caption).text}
        found: list[str] = []
        while len(found) < n:
            tries = [rng.choice(self.places.opening[len(found) % 2 == 0]) for _ in range(_TRIES)]
            fresh = [local for local in tries if local.text not in texts]
            local = next((local for local in fresh if not named & set(local.places)), (fresh or tries)[0])
            named |= set(local.places)
            texts.add(local.text)
            found.append(local.text)
        return found

    def captions(self, rng: random.Random) -> list[str]:
        """Captions as ``summarise`` gets them: of one window, and of what was imagined around it."""
        if rng.random() < 0.06:
            own = [elsewhere(rng) for _ in range(rng.choice((1, 2, 5)))]
        else:
            own = list(rng.choice(self.windows))
            if rng.random() < 0.25:
                own = rng.sample(own, rng.randint(1, 4))
            if rng.random() < 0.25:
                own = _reworded(rng, own)
        around = self.imagined(rng, own[0], rng.choice((0, 1, 2, 3, 3, 3, 3, 3, 4, 5)))
        captions = [*own, *around]
        if rng.random() < 0.15:
            rng.shuffle(captions)
        return captions

    def whole(self, rng: random.Random) -> str:
        """A global caption, worded by this teacher, by rules, by the world's captions or by people."""
        style = rng.random()
        if style < 0.35:
            return summary(self.captions(rng))
        if style < 0.45:
            return RuleCaptioner().summarise(self.captions(rng)).text
        if style > 0.95:
            return elsewhere(rng)
        if rng.random() < 0.12:
            names = [rng.choice((SKY, UNDERGROUND))]
        else:
            names = rng.sample(SURFACE, rng.choice((1, 2, 3, 3, 4)))
        places = [rng.choice(self.places.single[name]) for name in names]
        return listed(rng, places) if style < 0.7 else typed(rng, places)

    def next_caption(
        self, rng: random.Random, direction: str, whole: Whole, previous: Sequence[str], seen: set[str]
    ) -> str:
        """A caption of the next place: bare at times off the surface, else with new things where there are any.

        Args:
            rng: source of choice.
            direction: the side that grows.
            whole: the scene.
            previous: captions before, newest last.
            seen: things that are there already.
        """
        name = next_place(rng, direction, whole, previous)
        everything = self.places.single[name]
        if rng.random() < BARE_SHARE.get(name, 0.0):
            return rng.choice([local for local in everything if not local.things] or everything).text
        choices = [local for local in everything if local.things and local.text not in previous] or everything
        if name == SKY and not whole.starry:
            choices = [local for local in choices if _STAR not in local.things] or everything
        choices = [local for local in choices if not seen.intersection(local.things)] or choices
        wanted = [local for local in choices if whole.things.intersection(local.things)]
        return rng.choice(wanted if wanted and rng.random() < 0.4 else choices).text

    def _imagine(self, rng: random.Random, short: bool) -> Example:
        caption = elsewhere(rng) if rng.random() < 0.06 else rng.choice(rng.choice(self.windows))
        n = rng.randint(1, 3) if short else rng.choice(_MANY)
        answer = {"captions": self.imagined(rng, caption, n)}
        return _example("imagine", answer, caption=caption, n=n)

    def _summarise(self, rng: random.Random, short: bool) -> Example:
        captions = self._few_captions(rng) if short else self.captions(rng)
        return _example("summarise", {"caption": summary(captions)}, captions=captions)

    def _few_captions(self, rng: random.Random) -> list[str]:
        """One to three captions of a window, among them the one that names weather, if any does."""
        own = rng.choice(self.windows)
        telling = [caption for caption in own if read_scene(caption).weather] or own
        first = rng.choice(telling)
        captions = [first, *rng.sample([caption for caption in own if caption != first], rng.randint(0, 2))]
        if rng.random() < 0.3:
            captions[0] = f"{read_local(captions[0]).text} {attributes(rng, 0.8)}".strip()
        rng.shuffle(captions)
        return captions

    def _next_local(self, rng: random.Random, short: bool) -> Example:
        text = self.whole(rng)
        whole = read_whole(text)
        direction = rng.choices(("right", "left", "up", "down"), (5, 3, 2, 2))[0]
        history = self._walk(rng, direction, whole, rng.choice((0, 1, 2) if short else _STEPS))
        previous = history[-rng.choice((4, MAX_PREVIOUS, MAX_PREVIOUS, MAX_PREVIOUS)) :]
        seen = things_seen(history) if rng.random() < 0.85 else []
        answer = self.next_caption(rng, direction, whole, previous, things_in([*previous, *seen]))
        arguments = {"global_caption": text, "direction": direction, "previous": previous, "seen": seen}
        return _example("next_local", {"caption": answer}, **arguments)

    def _walk(self, rng: random.Random, direction: str, whole: Whole, steps: int) -> list[str]:
        """Captions of the steps before, by this teacher or by others."""
        history: list[str] = []
        turns = rng.random() < 0.2
        others = rng.choice((0.0, 0.0, 0.3, 1.0))
        for _ in range(steps):
            side = rng.choice(("right", "left", "up", "down")) if turns else direction
            if rng.random() < others:
                history.append(rng.choice((rng.choice(rng.choice(self.windows)), rng.choice(self.places.every).text)))
            else:
                latest = history[-MAX_PREVIOUS:]
                history.append(self.next_caption(rng, side, whole, latest, things_in(latest)))
        return history


@dataclass(frozen=True)
class Whole:
    """What a global caption says that matters for what comes next."""

    places: tuple[str, ...]
    things: set[str]
    starry: bool
    """Stars are seen in a clear night only."""


def read_whole(text: str) -> Whole:
    """Take a global caption apart."""
    scene = read_scene(text)
    starry = scene.time == "at night" and scene.weather in (None, "under a clear sky")
    return Whole(places_named(text), things_in([text]), starry)


def next_place(rng: random.Random, direction: str, whole: Whole, previous: Sequence[str]) -> str:
    """The place that comes next: the sky upwards, the underground downwards, and sideways the scene's places in turn.

    A place continues for some steps. Then the scene's places that the captions before leave out are the most likely
    ones, and any other place is possible, so that a long walk keeps changing.
    """
    if direction in ("up", "down"):
        return SKY if direction == "up" else UNDERGROUND
    known = [place for place in whole.places if place in SURFACE]
    if whole.places and not known:
        return whole.places[0]
    order = known if direction == "right" else known[::-1]
    walked = [_facing(read_local(caption), direction) for caption in previous]
    here = walked[-1] if walked else None
    run = next((i for i, place in enumerate(reversed(walked)) if place != here), len(walked))
    if here in SURFACE and run <= len(STAY) and rng.random() < STAY[run - 1]:
        return here
    ahead = [place for place in order if place not in walked]
    weights = {place: (1.2 if place in known else 0.15) if place in walked else 0.6 for place in SURFACE}
    weights |= {place: 6.0 if i == 0 else 2.0 for i, place in enumerate(ahead)}
    weights.pop(here or "", None)
    return rng.choices(list(weights), list(weights.values()))[0]


def summary(captions: Sequence[str]) -> str:
    """One caption of the whole: time, weather and mountains of the first caption to name each, then distinct places.

    A place that was named is not named again, and what would make the text longer than ``SUMMARY_WORDS``, words of
    other worlds counted `STRANGE_SIZE` times, is left out.
    """
    scenes = [read_scene(caption) for caption in captions]
    time = next((scene.time for scene in scenes if scene.time), None)
    weather = next((scene.weather for scene in scenes if scene.weather), None)
    mountains = any(scene.mountains for scene in scenes)
    head = " ".join(part for part in ("a wide view", time, weather, "with mountains" if mountains else "") if part)
    texts, num_words = list[str](), len(head.split())
    named, strange = set[str](), list[Scene]()
    for caption, scene in zip(captions, scenes, strict=True):
        local = read_local(caption)
        known = set(local.places) <= named if local.places else any(map(scene.same_place, strange))
        text = local.text if local.places else scene.place
        size = (1 if local.places else STRANGE_SIZE) * len(text.split()) + 1
        if known or (texts and num_words + size > SUMMARY_WORDS):
            continue
        texts.append(text)
        num_words += size
        named |= set(local.places)
        strange += [] if local.places else [scene]
    listing = ", and ".join(texts) if len(texts) < 3 else ", ".join(texts[:-1]) + ", and " + texts[-1]
    return f"{head}: {listing}"


def _facing(local: Local, direction: str) -> str | None:
    """The place of a caption that lies at the growing side."""
    if not local.places:
        return None
    return local.places[-1 if direction == "right" else 0]


def _reworded(rng: random.Random, captions: Sequence[str]) -> list[str]:
    """The captions with attributes in other words, in one caption or spread over several."""
    bare = [read_local(caption).text for caption in captions]
    for _ in range(rng.randint(0, 2)):
        index = rng.randrange(len(bare))
        bare[index] = " ".join([bare[index], attributes(rng, 0.5)]).strip()
    return bare


def _example(task: Task, answer: dict[str, str] | dict[str, list[str]], **arguments: object) -> Example:
    system, user = load_prompt(f"{task}.v1").fill(**arguments)
    return Example(task, (system, user), json.dumps(answer, ensure_ascii=False))
