"""``python -m data_prep dense_prompts``: long prompts of short captions, in the manner of LLM4GEN's DensePrompts."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from data_prep.config import CallConfig, at_least
from data_prep.progress import progress
from lit_outpaint.captions.dense_prompts import DensePromptConfig, dense_prompt
from lit_outpaint.captions.dense_rules import RULES, dense_by_rules
from lit_outpaint.chat.cache import CachedChat
from lit_outpaint.chat.ledger import Ledger
from lit_outpaint.chat.requests import ChatError, ChatModel
from lit_outpaint.protocols import CaptionError
from lit_outpaint.runs.pictures import read_prompts
from lit_outpaint.system.files import written_whole


@dataclass(frozen=True, kw_only=True)
class DensePromptsConfig:
    """Which captions become dense prompts, and who writes."""

    captions: Path
    """Short captions: a text file with one a line, as `data_prep texts` prints them, or .jsonl with prompt and, if the
    prompts are to have names, id."""
    out: Path
    """Prompts to write, .jsonl with id, prompt, caption and writer: `generate --prompts` draws them."""
    chat: ChatModel | None = None
    """Who writes, by class_path: lit_outpaint.chat.openai_chat.OpenAIChat, lit_outpaint.chat.local_chat.LocalChat, or
    lit_outpaint.chat.cache.ReplayChat for the replies of an earlier run; rules when absent."""
    length: DensePromptConfig = field(default_factory=DensePromptConfig)
    """How long they are, and how the model is asked."""
    seed: int = 0
    """Of the rules, which also write where the model gives no usable answer."""

    def __post_init__(self) -> None:
        at_least(self, 0, "seed")
        if self.out.suffix != ".jsonl":
            raise ValueError(f"out must end in .jsonl, got {self.out}")


class _Dense(NamedTuple):
    text: str
    writer: str
    instead_of: str = ""


def write_dense_prompts(config: DensePromptsConfig, call: CallConfig) -> tuple[int, Ledger]:
    """Write the prompts, all or none; with a cache a second run asks nothing again.

    Returns:
        How many there are, and what they cost.

    Raises:
        ValueError: the captions cannot be read, a cache is named where no model is asked, or the rules cannot write so
            many words.
    """
    captions = read_prompts(config.captions, "--captions")
    if call.cache and config.chat is None:
        raise ValueError("cache keeps what language models reply; rules ask none, leave it out or name --chat")
    chat = CachedChat(config.chat, call.cache) if call.cache and config.chat is not None else config.chat
    ledger = Ledger()

    def write(text: str) -> _Dense:
        return _written(chat, text, config, ledger)

    with ThreadPoolExecutor(max_workers=chat.concurrency if chat else 1) as pool:
        written: Sequence[_Dense] = list(
            progress(pool.map(write, [caption.text for caption in captions]), len(captions), "dense prompts")
        )
    config.out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(config.out) as draft, draft.open("w", encoding="utf-8") as file:
        for caption, dense in zip(captions, written, strict=True):
            told = {"id": caption.id, "prompt": dense.text, "caption": caption.text, "writer": dense.writer}
            told |= {"instead_of": dense.instead_of} if dense.instead_of else {}
            file.write(json.dumps(told, ensure_ascii=False) + "\n")
    return len(captions), ledger


def _written(chat: ChatModel | None, caption: str, config: DensePromptsConfig, ledger: Ledger) -> _Dense:
    reason = ""
    if chat is not None:
        try:
            return _Dense(dense_prompt(chat, caption, config.length, ledger), chat.name)
        except (CaptionError, ChatError) as error:
            ledger.add_fallback(error.cause)
            reason = f"{chat.name}: {error.cause}"
    length = config.length
    text = dense_by_rules(caption, seed=config.seed, least_words=length.least_words, most_words=length.most_words)
    return _Dense(text, RULES, reason)
