"""How a language model answers the captioner's questions: valid at once, when asked again, or written by rules.

    python -m benchmarks.language_models --model smollm2 --base_url http://127.0.0.1:8080/v1

40 ordinary captions (``ordinary_captions.txt``), one question of each kind for each, and walks of 20 steps, held to a
schema and then by words alone. An echo is a first answer that repeats what it was told (more than 0.6 of the content
words in common): the caption of imagine, one caption of summarise, an earlier caption or the scene of next_local.
``llama_server.sh`` installs two small models; ``--path DIR`` asks a transformers model in this process instead.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.commands import at_least, refusing
from benchmarks.timing import write_report
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
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.protocols import Written

MODEL = "smollm2"
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
    together: int = 0
    """How many of the texts belong together, as those of a walk do; 0 for all."""

    def figures(self) -> dict[str, str | int]:
        """What the table and the report say; ``different`` is a mean where several texts belong together."""
        total = self.at_once + self.repaired + self.rules
        together = self.together or len(self.texts)
        groups = [self.texts[start : start + together] for start in range(0, len(self.texts), max(together, 1))]
        different = statistics.fmean(len({text.lower() for text in group}) for group in groups) if groups else 0
        return {
            "at_once": self.at_once,
            "asked_again": self.repaired,
            "rules": self.rules,
            "valid_at_first_try": f"{self.at_once / total:.1%}",
            "echoes": f"{self.echoes / total:.1%}",
            "different": f"{different:g} of {together}",
        }

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
    rows = {name: Row() for name in ("imagine", "summarise", "next_local")}
    if walks:
        rows["walk"] = Row(together=STEPS)
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
    lines += [f"| {name} | {' | '.join(map(str, row.figures().values()))} |" for name, row in rows.items()]
    return "\n".join(lines)


@refusing
def main() -> None:
    """Ask, print the tables and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", help=f"name of the model, as the server knows it; {MODEL} when absent")
    parser.add_argument("--path", default="", help="directory of a model that runs in this process, without a server")
    parser.add_argument("--base_url", default="http://127.0.0.1:8080/v1", help="address of the server")
    parser.add_argument(
        "--schema_mode",
        nargs="+",
        choices=("auto", "json_schema", "json_object", "none"),
        default=["auto", "none"],
        help="how the server is told the form of the answers, one table for each",
    )
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--prompts", default="", help="version of the prompts, such as v1; the default ones when absent"
    )
    parser.add_argument("--spare", type=at_least(0), default=0, help="captions more than needed that imagine asks for")
    parser.add_argument("--cases", type=at_least(1), default=len(CAPTIONS), help="captions")
    parser.add_argument("--walks", type=at_least(0), default=2, help=f"walks of {STEPS} steps")
    args = parser.parse_args()
    if args.path and args.model:
        parser.error(f"--path names the model by itself, so that --model {args.model} must be left out")
    # The report of a model in this process is filed under its own name, not that of a model behind a server.
    args.model = Path(args.path).absolute().name if args.path else args.model or MODEL
    named: dict[str, Any] = {
        f"{call}_prompt": f"{call}.{args.prompts}" for call in ("imagine", "summarise", "next_local")
    }
    config = LanguageModelConfig(spare=args.spare, **(named if args.prompts else {}))
    sampling: dict[str, Any] = {"temperature": args.temperature, "seed": args.seed}
    report: dict[str, dict[str, Any]] = {}
    for mode in ["none"] if args.path else args.schema_mode:
        chat: ChatModel
        if args.path:
            chat = LocalChat(args.path, batch_size=1, max_wait_ms=0, **sampling)
        else:
            server: dict[str, Any] = {"schema_mode": mode, "concurrency": 1, "timeout_s": 600.0}
            chat = OpenAIChat(args.model, args.base_url, **server, **sampling)
        captioner = LanguageModelCaptioner(chat, config)
        rows = measure(captioner, args.cases, args.walks)
        print(f"schema_mode {mode}", table(rows), captioner.ledger.text(), captioner.ledger.shares(), sep="\n")
        report |= {f"{name}, {mode}": row.figures() for name, row in rows.items()}
    left_out = ("base_url", "schema_mode")
    settings = {name: value for name, value in vars(args).items() if name not in left_out}
    write_report(f"language_models_{args.model}", settings, report)


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
