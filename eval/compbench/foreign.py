"""Prompt files of other benches, read where the user has them, and the names of pictures that their scripts write.

- **t2icompbench**: a prompt a line (T2I-CompBench, Huang et al. 2023, arXiv:2307.06350). Questions: the noun phrases
  of the prompt, each asked as its evaluation asks BLIP, ``a green bench?``; found by rules here, by spaCy there.
- **geneval**: ``evaluation_metadata.jsonl`` of GenEval (Ghosh et al. 2023, arXiv:2310.11513), whose questions are made
  from ``include``; or ``geneval2_data.jsonl`` of GenEval 2 (Kamath et al. 2025, arXiv:2512.16853) with its own.
- **dpg**: ``dpg_bench.csv`` of DPG-Bench (Hu et al. 2024, arXiv:2403.05135) with its questions and what they depend on.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from eval.compbench.items import Item, Question
from eval.compbench.noun_phrases import noun_phrases
from eval.files import pictures_in
from lit_outpaint.system.text_files import csv_rows, read_text, text_lines

ForeignFormat = Literal["t2icompbench", "geneval", "dpg"]

_NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DPG_COLUMNS: Final = ("item_id", "text", "proposition_id", "dependency", "category_broad", "question_natural_language")


def read_foreign(path: Path, format: ForeignFormat, num_noun_phrases: int) -> list[Item]:
    """Read a prompt file.

    Args:
        path: the file.
        format: whose.
        num_noun_phrases: at most this many noun phrases of a prompt are asked for; published scores of T2I-CompBench
            differ in it (2 at first, 8 later).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, or not of that format.
    """
    if not path.is_file():
        raise FileNotFoundError(f"--prompts must be a file of {format}, found no {path}")
    try:
        if format == "dpg":
            items = _dpg(path)
        else:
            lines = [line.strip() for _, line in text_lines(read_text(path, "--prompts"))]
            items = (
                [_t2icompbench(path.stem, number, line, num_noun_phrases) for number, line in enumerate(lines)]
                if format == "t2icompbench"
                else [_geneval(number, json.loads(line)) for number, line in enumerate(lines)]
            )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"--prompts must be a file of {format}, but {path} is not ({error!r})") from error
    if not items:
        raise ValueError(f"--prompts must hold at least one prompt, but {path} is empty")
    return items


def pictures_of(directory: Path, items: Sequence[Item], format: ForeignFormat) -> dict[str, list[Path]]:
    """Pictures of every prompt: ``ID.png``, ``ID_*.png``, or as the bench's own script names them.

    T2I-CompBench: ``PROMPT_000000.png``; GenEval: ``00000/samples/0000.png``.

    Raises:
        ValueError: a prompt has none.
    """
    by_stem: dict[str, list[Path]] = {}
    keys = {item.key for item in items}
    for path in pictures_in(directory):
        # "stanford_3.png" is of the prompt of that name, or else the fourth of "stanford".
        if path.stem not in keys:
            by_stem.setdefault(path.stem.rpartition("_")[0] or path.stem, []).append(path)
        if "_" in path.stem or path.stem in keys:
            by_stem.setdefault(path.stem, []).append(path)
    found: dict[str, list[Path]] = {}
    for item in items:
        samples = directory / item.key / "samples"
        names = [item.key, item.text] if format == "t2icompbench" else [item.key]
        mine = pictures_in(samples) if samples.is_dir() else [path for name in names for path in by_stem.get(name, ())]
        if not mine:
            raise ValueError(f"--images must hold a picture of every prompt, but {directory} has no {item.key}.png")
        found[item.key] = list(dict.fromkeys(mine))
    return found


def _t2icompbench(category: str, number: int, line: str, num_noun_phrases: int) -> Item:
    # Some of its files carry what is seen in training behind a tab.
    text = line.split("\t")[0].strip()
    phrases = noun_phrases(text)[:num_noun_phrases]
    return _item(f"{number:05d}", category, text, [Question(f"{phrase}?", "yes", "noun_phrase") for phrase in phrases])


def _geneval(number: int, row: Mapping[str, Any]) -> Item:
    if "vqa_list" in row:
        asked = zip(row["vqa_list"], row["skills"], strict=True)
        questions = [Question(text, answer, skill) for (text, answer), skill in asked]
        return _item(f"{number:05d}", f"atoms_{row['atom_count']}", row["prompt"], questions)
    questions = [question for thing in row["include"] for question in _geneval_thing(thing, row["include"])]
    return _item(f"{number:05d}", row["tag"], row["prompt"], questions)


def _geneval_thing(thing: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> list[Question]:
    name, count = thing["class"], thing.get("count", 1)
    questions = [Question(f"Is there a {name} in the image?", "yes", "object")]
    if count > 1:
        questions.append(Question(f"How many {name}s are in the image?", _NUMBERS[count], "count"))
    if "color" in thing:
        questions.append(Question(f"Is the {name} {thing['color']}?", "yes", "color"))
    if "position" in thing:
        where, target = thing["position"]
        questions.append(Question(f"Is the {name} {where} the {others[target]['class']}?", "yes", "position"))
    return questions


def _dpg(path: Path) -> list[Item]:
    rows: dict[str, list[dict[str, str]]] = {}
    for where, row in csv_rows(path, "--prompts"):
        missing = [name for name in _DPG_COLUMNS if name not in row]
        if missing:
            raise ValueError(f"{where}: no column {missing[0]}")
        rows.setdefault(row["item_id"], []).append(row)
    return [_dpg_item(key, own) for key, own in rows.items()]


def _dpg_item(key: str, rows: Sequence[Mapping[str, str]]) -> Item:
    index = {int(row["proposition_id"]): number for number, row in enumerate(rows)}
    questions = [
        Question(
            row["question_natural_language"],
            "yes",
            row["category_broad"].strip(),
            # 0 stands for none.
            tuple(index[int(parent)] for parent in row["dependency"].split(",") if int(parent)),
        )
        for row in rows
    ]
    return _item(key, "dpg", rows[0]["text"], questions)


def _item(key: str, category: str, text: str, questions: Sequence[Question]) -> Item:
    told = json.dumps([text, [question._asdict() for question in questions]])
    return Item(
        key=key,
        # Keys of figures are parted by dots.
        category=category.replace(".", "_"),
        text=text,
        skills=tuple(question.skill for question in questions),
        questions=tuple(questions),
        inputs=hashlib.sha256(told.encode()).hexdigest(),
    )
