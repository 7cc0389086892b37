"""``python -m eval study``: a page of blinded pairs of pictures, and the key to it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from eval.files import check_out, write_text
from eval.study import pictures
from eval.study.design import Pixels, Trial, broken, make_trials, plan
from lit_outpaint.system.templates import template

STUDY_VERSION = 1
PAGE_NAME, KEY_NAME = "study.html", "key.json"


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Whose pictures are compared, and how many."""

    runs: list[Path] = field(
        metadata={
            "many": "--runs",
            "help": "Output directories of eval run, or folders of pictures with names in common.",
        }
    )
    out: Path
    """Directory for study.html, which raters get, and key.json, which they must not see."""
    captions: Path | None = None
    """.json, .jsonl or .csv with a caption for each picture; None takes those that eval run kept, if any."""
    question: str = "Which picture fits the text better and looks more like one scene?"
    """What raters are asked."""
    items: int = 24
    """At most this many names, evenly spread; each is shown once for every pair of methods."""
    raters: int = 20
    """How many numbers are given out; each has an order of its own."""
    checks: int = 4
    """Attention checks: a picture beside a scrambled copy of it."""
    ties: bool = True
    """Whether 0 for "no difference" is allowed."""
    max_side_px: int = 2048
    """Larger pictures are made smaller."""
    max_mb: float = 40.0
    """How large the page may become, in 10^6 bytes."""
    seed: int = 0
    """Of names, orders and places."""

    def __post_init__(self) -> None:
        if len(self.runs) < 2:
            raise ValueError(f"--runs needs at least two methods, got {len(self.runs)}")
        if len({run.resolve() for run in self.runs}) < len(self.runs):
            raise ValueError(f"--runs must name different methods, got one twice: {', '.join(map(str, self.runs))}")
        for name, least in (("items", 1), ("raters", 1), ("checks", 0), ("max_side_px", 16), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"--{name} must be at least {least}, got {getattr(self, name)}")
        if not self.max_mb > 0:
            raise ValueError(f"--max_mb must be above 0, got {self.max_mb}")


def study(config: StudyConfig, yaml: str = "") -> dict[str, Any]:
    """Write the page and its key.

    Args:
        config: what to do.
        yaml: not used; verbs share a signature.

    Returns:
        The key.

    Raises:
        ValueError: pictures or captions do not go together, the page would be too large, or the directory holds the
            key of another study.
    """
    methods = [pictures.pictures_of(run) for run in config.runs]
    items = pictures.common_items(methods, config.items)
    captions = _captions(config, items)
    trials = make_trials(len(methods), items, config.checks, config.seed)
    shown, wide = _encoded(config, methods, trials)
    # Else the first name of each pair would be of the first method, for whoever reads the page's source.
    turned = np.random.default_rng([config.seed, 4]).random(len(trials)) < 0.5
    pairs = [trial.pictures[:: -1 if turn else 1] for trial, turn in zip(trials, turned, strict=True)]
    plans = [
        [2 * view.trial + (view.swapped != bool(turned[view.trial])) for view in plan(trials, rater, config.seed)]
        for rater in range(1, config.raters + 1)
    ]
    # Pictures and captions make the name, so answers to another study cannot be taken for answers to this one.
    told = [config.question, config.ties, captions, plans, sorted(shown.items()), pairs]
    name = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]
    content = {
        "study": name,
        "question": config.question,
        "ties": config.ties,
        "wide": wide,
        "trials": [[t.name, *pair, captions.get(t.item, "")] for t, pair in zip(trials, pairs, strict=True)],
        "plans": plans,
        "pictures": dict(sorted(shown.items())),
    }
    page = render(content)
    if len(page) > config.max_mb * 1e6:
        raise ValueError(
            f"the page must stay below --max_mb {config.max_mb:g}, but would have {len(page) / 1e6:.1f}; lower --items "
            "or --max_side_px"
        )
    key = _key(config, name, trials)
    _check_no_other_key(config.out / KEY_NAME, name)
    check_out(config.out)
    write_text(config.out / PAGE_NAME, page)
    write_text(config.out / KEY_NAME, json.dumps(key, indent=1) + "\n")
    print(
        f"{len(trials)} pairs for each of {config.raters} raters, {config.checks} of them attention checks; give "
        f"raters {config.out / PAGE_NAME} ({len(page) / 1e6:.1f} MB) and a number each, and keep "
        f"{config.out / KEY_NAME} to yourself"
    )
    return key


def render(content: Mapping[str, Any]) -> str:
    """The page with its data, which no text in it can leave."""
    data = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    return template(__package__, "page.html").render(data=Markup(data))


def _captions(config: StudyConfig, items: Sequence[str]) -> dict[str, str]:
    if config.captions is None:
        return pictures.captions_of(config.runs, items)
    from eval.folder import read_captions  # Here, since it brings torch, which nothing else of a study needs.

    return {key: row.whole for key, row in read_captions(config.captions, items).items()}


def _encoded(
    config: StudyConfig, methods: Sequence[Mapping[str, Path]], trials: Sequence[Trial]
) -> tuple[dict[str, str], bool]:
    """Every picture of the trials by its opaque name, and whether they are wide."""
    shown: dict[str, str] = {}
    sizes: dict[str, tuple[int, ...]] = {}
    for number, trial in enumerate(trials):
        for method, name in zip(trial.methods, trial.pictures, strict=True):
            if name in shown:
                continue
            picture = pictures.load(methods[method][trial.item], config.max_side_px)
            _check_size(trial.item, picture, sizes)
            if trial.is_check and name == trial.pictures[1]:
                picture = broken(picture, config.seed + number)
            shown[name] = pictures.data_uri(picture)
    height, width = next(iter(sizes.values()))[:2]
    return shown, width > 1.5 * height


def _check_size(item: str, picture: Pixels, sizes: dict[str, tuple[int, ...]]) -> None:
    """Pictures of one item must not be told apart by their size."""
    if sizes.setdefault(item, picture.shape) != picture.shape:
        (height, width), (other_height, other_width) = sizes[item][:2], picture.shape[:2]
        raise ValueError(
            f"--runs: pictures of {item} must have one size, got {width} x {height} px and {other_width} x "
            f"{other_height} px; crop or resize them first"
        )


def _check_no_other_key(file: Path, name: str) -> None:
    """Without its key, what raters said of a study tells nothing."""
    if file.is_file():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))["study"]
        except (ValueError, KeyError, TypeError):
            found = "that cannot be told"
        if found != name:
            raise ValueError(f"--out: {file} is the key of another study ({found}); choose another directory")


def _key(config: StudyConfig, name: str, trials: Sequence[Trial]) -> dict[str, Any]:
    short = [run.resolve().name for run in config.runs]
    return {
        "schema": STUDY_VERSION,
        "study": name,
        "question": config.question,
        "ties": config.ties,
        "seed": config.seed,
        "raters": config.raters,
        "methods": short if len(set(short)) == len(short) else [str(run) for run in config.runs],
        "trials": {
            trial.name: {"item": trial.item, "methods": list(trial.methods), "pictures": list(trial.pictures)}
            for trial in trials
        },
    }
