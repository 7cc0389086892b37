"""How a language model answers the captioner's questions: valid at once, when asked again, or written by rules.

    python -m benchmarks.language_models --model smollm2 --base_url http://127.0.0.1:8080/v1 --schema_mode none

40 ordinary captions (``ordinary_captions.txt``), one question of each kind for each, and walks of 20 steps. An echo is
a first answer that repeats what it was told (more than 0.6 of the content words in common): the caption of imagine,
one caption of summarise, an earlier caption or the scene of next_local. ``llama_server.sh`` installs two small models;
``--path DIR`` asks a transformers model in this process instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lit_outpaint.captions.answers import CaptionAnswer, CaptionsAnswer
from lit_outpaint.captions.checks import unlike
from lit_outpaint.captions.fallback import WithFallback
from lit_outpaint.captions.language_model import LanguageModelCaptioner, LanguageModelConfig
from lit_outpaint.captions.objects import things_seen
from lit_outpaint.captions.reading import AnswerFault, read_texts
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.chat.local_chat import LocalChat
from lit_outpaint.chat.openai_chat import OpenAIChat
from lit_outpaint.chat.requests import ChatModel, ChatReply, ChatRequest
from lit_outpaint.protocols import Written

CAPTIONS = Path(__file__).with_name("ordinary_captions.txt").read_text(encoding="utf-8").splitlines()
MAX_SIMILARITY, IMAGINED, STEPS = 0.6, 3, 20


class Listening:
    """A chat model that keeps what it answered."""

    def __init__(self, chat: ChatModel) -> None:
        self.chat, self.texts = chat, list[str]()
        self.name, self.concurrency, self.sees, self.parameters = (
            chat.name,
            chat.concurrency,
            chat.sees,
            chat.parameters,
        )

    def reply(self, request: ChatRequest) -> ChatReply:
        """Pass it on."""
        reply = self.chat.reply(request)
        self.texts.append(reply.text)
        return reply


@dataclass
class Row:
    """What came of one kind of question."""

    at_once: int = 0
    repaired: int = 0
    rules: int = 0
    echoes: int = 0
    texts: list[str] = field(default_factory=list)

    def count(self, chat: Listening, ask: Callable[[], Sequence[Written]], told: Sequence[str]) -> list[str]:
        """Ask, and note how the answer came about."""
        chat.texts.clear()
        written = ask()
        if any(text.instead_of for text in written):
            self.rules += 1
        elif len(chat.texts) == 1:
            self.at_once += 1
        else:
            self.repaired += 1
        self.echoes += _echoes(chat.texts[:1], told)
        self.texts += [text.text for text in written]
        return [text.text for text in written]


def measure(captioner: LanguageModelCaptioner, cases: int, walks: int) -> dict[str, Row]:
    """Ask ``cases`` questions of each kind, and walk ``walks`` times."""
    chat = Listening(captioner.chat)
    captioner.chat = chat
    writer = WithFallback(captioner)
    rows = {name: Row() for name in ("imagine", "summarise", "next_local", *(["walk"] if walks else []))}
    for number in range(cases):
        caption, *others = (CAPTIONS[(number + place) % len(CAPTIONS)] for place in range(3))
        rows["imagine"].count(chat, partial(writer.imagine, caption, IMAGINED), [caption])
        together = [caption, *others]
        rows["summarise"].count(chat, partial(_summary, writer, together), together)
        _step(rows["next_local"], writer, chat, RuleCaptioner().summarise(together).text, [caption], number)
    for number in range(walks):
        scene = RuleCaptioner().summarise([CAPTIONS[(5 * number + place) % len(CAPTIONS)] for place in range(3)]).text
        previous: list[str] = []
        for step in range(STEPS):
            previous += _step(rows["walk"], writer, chat, scene, previous, step)
    return rows


def table(rows: dict[str, Row]) -> str:
    """The figures as Markdown."""
    lines = [
        "| question | at once | asked again | rules | valid at first try | echoes | different captions |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in rows.items():
        total = row.at_once + row.repaired + row.rules
        different = f"{len({text.lower() for text in row.texts})} of {len(row.texts)}"
        shares = f"{row.at_once / total:.1%} | {row.echoes / total:.1%}"
        lines.append(f"| {name} | {row.at_once} | {row.repaired} | {row.rules} | {shares} | {different} |")
    return "\n".join(lines)


def main() -> None:
    """Ask, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="smollm2", help="name of the model, as the server knows it")
    parser.add_argument("--path", default="", help="directory of a model that runs in this process, without a server")
    parser.add_argument("--base_url", default="http://127.0.0.1:8080/v1", help="address of the server")
    parser.add_argument("--schema_mode", choices=("auto", "json_schema", "json_object", "none"), default="auto")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--prompts", default="", help="version of the prompts, such as v1; the default ones when absent"
    )
    parser.add_argument("--cases", type=int, default=len(CAPTIONS), help="captions")
    parser.add_argument("--walks", type=int, default=2, help=f"walks of {STEPS} steps")
    args = parser.parse_args()
    named: dict[str, Any] = {
        f"{call}_prompt": f"{call}.{args.prompts}" for call in ("imagine", "summarise", "next_local")
    }
    config = LanguageModelConfig(**named) if args.prompts else LanguageModelConfig()
    sampling: dict[str, Any] = {"temperature": args.temperature, "seed": args.seed}
    if args.path:
        captioner = LanguageModelCaptioner(LocalChat(args.path, batch_size=1, max_wait_ms=0, **sampling), config)
    else:
        server: dict[str, Any] = {"schema_mode": args.schema_mode, "concurrency": 1, "timeout_s": 600.0}
        captioner = LanguageModelCaptioner(OpenAIChat(args.model, args.base_url, **server, **sampling), config)
    print(table(measure(captioner, args.cases, args.walks)))
    print(captioner.ledger.text(), captioner.ledger.shares(), sep="\n")


def _summary(writer: WithFallback, captions: Sequence[str]) -> list[Written]:
    return [writer.summarise(captions)]


def _step(row: Row, writer: WithFallback, chat: Listening, scene: str, previous: Sequence[str], step: int) -> list[str]:
    def ask() -> list[Written]:
        return [
            writer.next_local(
                view=None,
                direction="left" if step % 4 == 3 else "right",
                global_caption=scene,
                previous=previous,
                seen=things_seen(previous),
                step=step,
            )
        ]

    return row.count(chat, ask, [*previous, scene])


def _echoes(answers: Sequence[str], told: Sequence[str]) -> bool:
    check = unlike(told, MAX_SIMILARITY)
    for answer in answers:
        for form in (CaptionAnswer, CaptionsAnswer):
            try:
                return any(map(check, read_texts(answer, form)))
            except AnswerFault:
                continue
    return False


if __name__ == "__main__":
    main()
