"""Score ScapesLM on captions of held-out worlds.

    python -m data_prep.scapes.lm_eval --models models/scapes --out runs/lm_scores

Prompts are made from annotated captions of held-out windows (odd world seeds); the model answers through transformers'
``generate``, sampled as its generation config says and once more greedily. Writes ``metrics.json`` and ``metrics.md``.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from data_prep.scapes.captions import global_caption, local_caption
from data_prep.scapes.lm_corpus import SKY, UNDERGROUND, annotated, read_local, things_in
from data_prep.scapes.lm_scores import (
    Figure,
    attribute_figures,
    content_figures,
    read_answer,
    share,
    table,
    walk_figures,
)
from data_prep.scapes.lm_tasks import BARE_SHARE, MAX_PREVIOUS, Task, Teacher
from data_prep.scapes.lm_wordings import elsewhere
from data_prep.scapes.windows import random_place
from data_prep.scapes.world import WINDOW, World
from lit_outpaint.captions.length import CaptionLimit
from lit_outpaint.captions.objects import things_seen
from lit_outpaint.captions.prompts import load_prompt
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.captions.scene import read_scene
from lit_outpaint.chat.requests import Message

BATCH, STEPS, WALKS, STRIDE = 50, 20, 64, WINDOW // 2
HELD_OUT_SEED = 9

Ask = Callable[[Task, Sequence[dict[str, object]]], list[list[str] | None]]
"""Arguments of the prompt of each case -> the captions of each answer, None where it is not valid."""


class LanguageModel:
    """ScapesLM of a family folder, asked in batches.

    Args:
        models: family folder.
        greedy: take the likeliest answer instead of sampling.
    """

    def __init__(self, models: Path, *, greedy: bool) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(models / "lm", padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(models / "lm", dtype=torch.float32).eval()
        self.limit = CaptionLimit(str(models / "tokenizer"))
        self.greedy = greedy

    def ask(self, task: Task, cases: Sequence[dict[str, object]]) -> list[list[str] | None]:
        """Return an answer to each question."""
        prompts = [self._prompt(load_prompt(f"{task}.v1").fill(**case)) for case in cases]
        answers = [""] * len(cases)
        order = sorted(range(len(cases)), key=lambda i: len(prompts[i]))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            for i, answer in zip(batch, self._generate([prompts[i] for i in batch]), strict=True):
                answers[i] = answer
        counts = [int(str(case.get("n", 1))) for case in cases]
        return [read_answer(task, answer, n, self.limit.fits) for answer, n in zip(answers, counts, strict=True)]

    def _prompt(self, messages: Sequence[Message]) -> str:
        turns = [{"role": message.role, "content": message.text} for message in messages]
        return str(self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))

    @torch.inference_mode()
    def _generate(self, prompts: Sequence[str]) -> list[str]:
        inputs = self.tokenizer(list(prompts), padding=True, return_tensors="pt")
        options = {"do_sample": False, "temperature": None, "top_p": None} if self.greedy else {}
        tokens = self.model.generate(inputs.input_ids, attention_mask=inputs.attention_mask, **options)
        answers: list[str] = self.tokenizer.batch_decode(
            tokens[:, inputs.input_ids.shape[1] :], skip_special_tokens=True
        )
        return answers


def imagine_figures(ask: Ask, windows: Sequence[Sequence[str]], cases: int) -> tuple[list[Figure], list[list[str]]]:
    """Scores of imagine, and what was imagined around each window."""
    rng = random.Random(1)
    asked = [{"caption": rng.choice(captions), "n": rng.randint(1, 6)} for captions in windows[:cases]]
    answers = ask("imagine", asked)
    texts = [answer or [] for answer in answers]
    scenes = [read_scene(text) for answer in texts for text in answer]
    bare = [s.time is None and s.weather is None and s.mountains is None for s in scenes]
    new = []
    for case, answer in zip(asked, texts, strict=True):
        known = set(read_local(str(case["caption"])).places)
        new += [not known & set(read_local(text).places) for text in answer]
    figures = [
        share("imagine: valid answers", [answer is not None for answer in answers], 0.99),
        share("imagine: captions without time, weather and mountains", bare),
        share("imagine: captions of other places than the given one", new),
        share("imagine: captions unlike any before them", _firsts(text for answer in texts for text in answer)),
    ]
    return figures, texts


def summarise_figures(ask: Ask, windows: Sequence[Sequence[str]], around: Sequence[Sequence[str]]) -> list[Figure]:
    """Scores of summarise: on what data preparation gives it, and on other counts, orders and words."""
    asked = [[*captions, *imagined] for captions, imagined in zip(windows, around, strict=False)]
    teacher, rng = Teacher(windows), random.Random(2)
    other = [teacher.captions(rng) for _ in asked]
    figures = []
    for label, inputs in (("as in preparation", asked), ("other counts and words", other)):
        answers = ask("summarise", [{"captions": captions} for captions in inputs])
        summaries = [answer[0] if answer else None for answer in answers]
        figures.append(share(f"summarise, {label}: valid answers", [a is not None for a in answers], 0.99))
        figures += attribute_figures(inputs, summaries, label) + content_figures(inputs, summaries, label)
    return figures


def next_local_figures(
    ask: Ask, windows: Sequence[Sequence[str]], cases: int, seed: int = HELD_OUT_SEED, walks: int = WALKS
) -> list[Figure]:
    """Scores of next_local: walks beside the truth and beside rules, single steps up and down, other worlds."""
    wholes, firsts, truths = zip(*(_panorama(number, seed) for number in range(walks)), strict=True)
    paths, valid = [[first] for first in firsts], list[bool]()
    for _ in range(STEPS):
        answers = ask("next_local", [_step("right", g, walk) for g, walk in zip(wholes, paths, strict=True)])
        valid += [answer is not None for answer in answers]
        for walk, answer in zip(paths, answers, strict=True):
            walk += answer or []
    teacher, rng = Teacher(windows), random.Random(3)
    sides = [("up", SKY), ("down", UNDERGROUND)] * (cases // 2)
    asked = ask("next_local", [_step(side, teacher.whole(rng), rng.choice(windows)[:1]) for side, _ in sides])
    fitting = [bool(a and place in read_local(a[0]).places) for (_, place), a in zip(sides, asked, strict=True)]
    bare = {
        side: [not things_in(a) for (each, _), a in zip(sides, asked, strict=True) if a and each == side]
        for side in ("up", "down")
    }
    strange = ask("next_local", [_step("left", elsewhere(rng), [elsewhere(rng)]) for _ in range(cases)])
    return [
        share(f"next_local, walks of {STEPS} steps: valid answers", valid, 0.99),
        share("next_local, up and down: valid answers", [answer is not None for answer in asked], 0.99),
        share("next_local, up and down: names the sky or the underground", fitting),
        share(f"next_local, up: nothing in the sky (teacher {BARE_SHARE[SKY]:.0%})", bare["up"]),
        share(f"next_local, down: nothing underground (teacher {BARE_SHARE[UNDERGROUND]:.0%})", bare["down"]),
        share("next_local, captions of other worlds: valid answers", [answer is not None for answer in strange], 0.99),
        *walk_figures([walk[1:] for walk in paths], "ScapesLM"),
        *walk_figures([_rule_walk(g, first) for g, first in zip(wholes, firsts, strict=True)], "rules"),
        *walk_figures(truths, "ground truth"),
    ]


def _step(direction: str, whole: str, walk: Sequence[str]) -> dict[str, object]:
    previous = list(walk[-MAX_PREVIOUS:])
    return {"global_caption": whole, "direction": direction, "previous": previous, "seen": things_seen(walk)}


def _panorama(number: int, seed: int) -> tuple[str, str, list[str]]:
    """Global caption, first local caption and the true local captions of the steps to the right."""
    place = random_place(number, seed=seed, held_out=True, surface_share=1)
    world = World(place.world)
    steps = [local_caption(world.facts(place.x + step * STRIDE)) for step in range(STEPS + 1)]
    return global_caption(world.facts(place.x, 0, WINDOW + STRIDE * STEPS, WINDOW)), steps[0], steps[1:]


def _rule_walk(whole: str, first: str) -> list[str]:
    walk = [first]
    for step in range(STEPS):
        previous, seen = walk[-MAX_PREVIOUS:], things_seen(walk)
        written = RuleCaptioner().next_local(
            view=None, direction="right", global_caption=whole, previous=previous, seen=seen, step=step
        )
        walk.append(written.text)
    return walk[1:]


def _firsts(texts: Iterable[str]) -> list[bool]:
    seen, first = set[str](), list[bool]()
    for text in texts:
        first.append(text not in seen)
        seen.add(text)
    return first


def score(models: Path, cases: int, *, greedy: bool, seed: int = HELD_OUT_SEED) -> list[Figure]:
    """All figures of one way of decoding."""
    torch.manual_seed(0)
    model = LanguageModel(models, greedy=greedy)
    windows = annotated(cases, seed=seed, held_out=True)
    imagined, around = imagine_figures(model.ask, windows, cases)
    return (
        imagined + summarise_figures(model.ask, windows, around) + next_local_figures(model.ask, windows, cases, seed)
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="family folder with lm and tokenizer")
    parser.add_argument("--out", type=Path, required=True, help="folder for metrics.json and metrics.md")
    parser.add_argument("--cases", type=int, default=400, help="prompts of each kind")
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED, help="of the held-out worlds")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    text, rows = "", {}
    for label, greedy in (("Sampled", False), ("Greedy", True)):
        figures = score(args.models, args.cases, greedy=greedy, seed=args.seed)
        rows[label.lower()] = [asdict(figure) for figure in figures]
        text += f"### ScapesLM, {label.lower()}\n\n{table(figures)}\n\n"
    (args.out / "metrics.json").write_text(json.dumps(rows, indent=1) + "\n")
    (args.out / "metrics.md").write_text(text)


if __name__ == "__main__":
    main()
