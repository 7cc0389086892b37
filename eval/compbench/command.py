"""``python -m eval compbench``: what of its prompt each picture shows, statement by statement."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from yaml import safe_load

from eval.compbench.config import CompbenchConfig
from eval.compbench.drawing import draw, model_directory, num_cut
from eval.compbench.foreign import read_foreign
from eval.compbench.items import Item, Scored
from eval.compbench.pages import shown_pictures
from eval.compbench.probing import PROBE_NAME, probe_scores, prompt_item
from eval.compbench.questioning import foreign_scores
from eval.compbench.scores import Ratio, figures, lowest_on_true, ratios
from eval.compbench.step_drawing import draw_steps
from eval.figures import Figure, missed_line, text_table
from eval.files import check_out, write_text
from eval.finished import EvaluationRecord, KeptPanorama
from eval.judge import judges_hash
from eval.outputs import PAGE_NAME, provenance, write_numbers, write_page
from eval.report.page import Page
from lit_outpaint.data.prompts import Prompt, known_pictures_dir, read_prompts, true_pictures_dir

ANSWERS_NAME: Final = "answers.jsonl"
"""What the judge says about every statement of every prompt."""


def compbench(config: CompbenchConfig, yaml: str = "") -> Page:
    """Draw what is missing, score, print the table and write the report.

    Args:
        config: what to do.
        yaml: the configuration as text.

    Raises:
        ValueError: something given does not fit.
        FileNotFoundError: prompts, pictures, a model or the judge are not there.
    """
    started = time.monotonic()
    items, prompts = _items(config)
    true_dir = _true_pictures(config)
    check_out(config.out)
    images, drawn = (config.images, {}) if config.images else _drawn(config, config.model, items, prompts)
    if config.format == "scapes":
        judge = PROBE_NAME
        scored = probe_scores(config, prompts, images, "--images")
        true = [] if true_dir is None else probe_scores(config, prompts, true_dir, "--true_pictures")
    else:
        judge = config.vqa.name if config.vqa else "none"
        scored, true = foreign_scores(config, config.format, items, images), []
    kept, real = ratios(scored), ratios(true)
    kind = "prompts, of the new strip of a step each" if _for_steps(prompts) else "prompts"
    page = Page(
        title=f"Prompts: {config.prompts.name}",
        subtitle=f"{len(items)} {kind}, pictures of {config.model or config.images}, judge: {judge}",
        figures=figures(kept, real, None if config.clip is None else Path(config.clip).name, judge),
        facts=provenance(
            prompts=config.prompts,
            pictures=images,
            true_pictures=true_dir or "none",
            **drawn,
            judges=judges_hash(config.models),
            seconds=f"{time.monotonic() - started:.1f}",
        ),
        config=yaml,
        pictures=shown_pictures(scored, images, true_dir, config.shown) if prompts else (),
    )
    _write(config, page, scored, kept, safe_load(yaml) or {})
    _tell(config, page, true_dir)
    return page


def _items(config: CompbenchConfig) -> tuple[list[Item], list[Prompt]]:
    """The prompts as they are scored, and those that the probe answers."""
    if config.format != "scapes":
        items = read_foreign(config.prompts, config.format, config.num_noun_phrases)
        return _first(items, config.per_category), []
    prompts = read_prompts(config.prompts)
    chosen = [prompt for prompt in prompts if config.categories is None or prompt.category in config.categories]
    if not chosen:
        raise ValueError(f"--prompts must hold prompts of --categories, but {config.prompts} has none of them")
    chosen = _first(chosen, config.per_category)
    return [prompt_item(prompt) for prompt in chosen], chosen


_Row = TypeVar("_Row", Prompt, Item)


def _first(rows: Sequence[_Row], count: int | None) -> list[_Row]:
    """The first ones, this many, of each category."""
    seen: Counter[str] = Counter()
    chosen = []
    for row in rows:
        seen[row.category] += 1
        if count is None or seen[row.category] <= count:
            chosen.append(row)
    return chosen


def _true_pictures(config: CompbenchConfig) -> Path | None:
    if config.format != "scapes":
        return None
    beside = true_pictures_dir(config.prompts)
    return config.true_pictures or (beside if beside.is_dir() else None)


def _for_steps(prompts: Sequence[Prompt]) -> bool:
    return any(prompt.step for prompt in prompts)


def _drawn(
    config: CompbenchConfig, model: Path | None, items: Sequence[Item], prompts: Sequence[Prompt]
) -> tuple[Path, dict[str, object]]:
    """The directory of the pictures, drawn where they are missing, and what the report tells of their drawing."""
    assert model is not None, "the configuration has either images or a model"
    weights = model_directory(model, config.out)
    if _for_steps(prompts):
        known = config.known or known_pictures_dir(config.prompts)
        directory, cut = draw_steps(config.out, prompts, known, weights, config.drawing)
    else:
        directory = draw(config.out, {item.key: item.text for item in items}, weights, config.drawing)
        cut = num_cut(weights, [item.text for item in items])
    return directory, {"model": model, "seed": config.drawing.seed, "prompts_cut_by_text_encoder": cut}


def _write(
    config: CompbenchConfig,
    page: Page,
    scored: Sequence[Scored],
    kept: Sequence[Mapping[str, Ratio]],
    settings: Mapping[str, Any],
) -> None:
    record = EvaluationRecord(
        subtitle=page.subtitle,
        settings=dict(settings),
        units="prompts",
        per_panorama=[
            KeptPanorama(key=row.item.key, inputs=row.item.inputs, ratios=dict(mine))
            for row, mine in zip(scored, kept, strict=True)
        ],
    )
    answers = (
        {"id": row.item.key, "prompt": row.item.text, "skills": row.item.skills, "scores": row.scores}
        | ({} if row.clip_sim is None else {"clip_sim": round(row.clip_sim, 6)})
        for row in scored
    )
    write_text(config.out / ANSWERS_NAME, "".join(f"{json.dumps(answer)}\n" for answer in answers))
    write_numbers(config.out, page.title, page.figures, page.facts, record.model_dump(mode="json"))
    write_page(config.out, page)


def _tell(config: CompbenchConfig, page: Page, true_dir: Path | None) -> None:
    print(text_table(page.figures))
    if config.format == "t2icompbench":
        print(f"noun phrases asked of a prompt: at most {config.num_noun_phrases}")
    elif config.format == "scapes":
        print(_judge_line(page.figures, true_dir))
    print(f"report: {config.out / PAGE_NAME}")


def _judge_line(made: Sequence[Figure], true_dir: Path | None) -> str:
    """How far the judge can be trusted here."""
    lowest = lowest_on_true(made)
    if lowest is None or lowest.real is None:
        return "no true pictures are beside the prompts, so that it is not known what the judge can read of them"
    where = f"lowest in {lowest.key.partition('.')[0]}, {lowest.format(lowest.real.value)}"
    return f"the judge on true pictures ({true_dir}): {missed_line(made)}; {where}"
