"""Dense prompts: a language model makes 40 to 140 words of a short caption, as in LLM4GEN's DensePrompts.

An answer that cannot be used, that is too short or too long, or that says one clause again and again, is sent back once
with its fault.

Source: Liu, Ma et al. 2024, arXiv:2407.00737; their prompt is not published, and this one is our own.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from lit_outpaint.captions.answers import CaptionAnswer
from lit_outpaint.captions.checks import repeated_clause
from lit_outpaint.captions.prompts import load_prompt
from lit_outpaint.captions.reading import AnswerFault, read_texts
from lit_outpaint.chat.conversation import Conversation
from lit_outpaint.chat.ledger import Ledger
from lit_outpaint.chat.requests import ChatModel
from lit_outpaint.protocols import CaptionError

REPAIR = "That answer cannot be used: {fault}. Answer again with JSON only, in the form that was asked for."
_MANY = 3
"""A long text may say "in the background" twice."""


class ParagraphAnswer(CaptionAnswer):
    """Answer to a request for a description."""

    caption: Annotated[str, Field(min_length=1, max_length=2000)]


@dataclass(frozen=True, kw_only=True)
class DensePromptConfig:
    """What a dense prompt must be."""

    least_words: int = 40
    """Fewest words."""
    most_words: int = 140
    """Most words."""
    max_tokens: int = 400
    """Longest answer, in tokens of the language model."""
    prompt: str = "dense.v1"
    """Prompt, one of lit_outpaint/captions/prompts."""

    def __post_init__(self) -> None:
        if not 1 <= self.least_words <= self.most_words:
            raise ValueError(f"least_words must be 1 to most_words, got {self.least_words} and {self.most_words}")
        load_prompt(self.prompt)


def dense_prompt(
    chat: ChatModel,
    caption: str,
    config: DensePromptConfig = DensePromptConfig(),
    ledger: Ledger | None = None,
) -> str:
    """Have a caption described at length.

    Args:
        chat: is asked; inside a `CachedChat` each question is asked once.
        caption: what the picture shows.
        config: how long.
        ledger: counts turns, tokens, repairs and replies from a cache.

    Raises:
        CaptionError: the model gives no usable answer, asked twice.
        ChatError: it does not answer.
    """
    question = {"caption": caption, "least": config.least_words, "most": config.most_words}
    conversation = Conversation(
        chat,
        load_prompt(config.prompt).fill(**question),
        schema=ParagraphAnswer.model_json_schema(),
        max_tokens=config.max_tokens,
        ledger=ledger,
    )
    fault = ""
    for attempt in range(2):
        if attempt:
            conversation.ledger.add(repairs=1)
            conversation.say(REPAIR.format(fault=fault))
        try:
            return _checked(read_texts(conversation.ask(), ParagraphAnswer)[0], config)
        except AnswerFault as error:
            fault = str(error)
    raise CaptionError(
        f"{chat.name} was asked twice for a dense prompt, and its answer cannot be used: {fault}",
        conversation.cause("schema"),
    )


def _checked(text: str, config: DensePromptConfig) -> str:
    words = len(text.split())
    if not config.least_words <= words <= config.most_words:
        raise AnswerFault(f"it has {words} words, not {config.least_words} to {config.most_words}")
    if fault := repeated_clause(text, _MANY):
        raise AnswerFault(fault)
    return text
