"""Captions by a language model: a prompt is filled, the answer read and checked, asked for again once, and measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from lit_outpaint.captions.answers import CaptionAnswer, CaptionsAnswer
from lit_outpaint.captions.length import CaptionLimit
from lit_outpaint.captions.prompts import Prompt, load_prompt
from lit_outpaint.captions.reading import AnswerFault, read_texts
from lit_outpaint.chat.ledger import Ledger
from lit_outpaint.chat.requests import ChatError, ChatModel, ChatRequest, Message
from lit_outpaint.protocols import CaptionError, Written

if TYPE_CHECKING:
    from PIL.Image import Image

    from lit_outpaint.canvas.geometry import Direction

MAX_IMAGINED: Final = 64
"""Captions that one answer may hold."""

REPAIR: Final = "That answer cannot be used: {fault}. Answer again with JSON only, in the form that was asked for."
SHORTEN: Final = "That is too long. Answer again in the same form, with at most 30 words in each caption."
_FOLLOW_UPS_SHA256: Final = hashlib.sha256(f"{REPAIR}\n{SHORTEN}".encode()).hexdigest()
_MAX_QUOTED_CHARS: Final = 1000

Call = Literal["imagine", "summarise", "next_local", "describe"]


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """How a language model is asked."""

    tokenizer: str = "models/scapes/tokenizer"
    """Directory or hub name of the CLIP tokenizer of the text encoder that reads the captions; none may be longer."""
    max_tokens: int = 128
    """Longest answer, in tokens of the language model, for each caption asked for; raise it for models that reason."""
    max_previous: int = 8
    """How many of the latest captions next_local is told."""
    max_seen: int = 16
    """How many of the latest things next_local is told."""
    imagine_prompt: str = "imagine.v1"
    """Prompt of imagine, one of lit_outpaint/captions/prompts."""
    summarise_prompt: str = "summarise.v1"
    """Prompt of summarise."""
    next_local_prompt: str = "next_local.v1"
    """Prompt of next_local."""
    describe_prompt: str = "describe.v1"
    """Prompt of describe."""

    def __post_init__(self) -> None:
        for name, least in (("max_tokens", 1), ("max_previous", 0), ("max_seen", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for call in get_args(Call):
            self.prompt(call)

    def prompt(self, call: Call) -> Prompt:
        """The prompt of a call."""
        return load_prompt(getattr(self, f"{call}_prompt"))


class LanguageModelCaptioner:
    """Asks a chat model and takes nothing from it unchecked.

    An answer that cannot be used is sent back once with its fault; a caption that the text encoder would cut is asked
    for again once, shorter, and then cut at a word. Whatever else goes wrong is a ``CaptionError``.

    Args:
        chat: the model.
        config: how it is asked.

    Attributes:
        ledger: counts everything.
    """

    def __init__(self, chat: ChatModel, config: LanguageModelConfig = LanguageModelConfig()) -> None:
        self.chat, self.config = chat, config
        self.name, self.concurrency = chat.name, chat.concurrency
        self.ledger = Ledger()
        self.limit = CaptionLimit(config.tokenizer)

    def identity(self, call: str) -> dict[str, Any]:
        """Model, its parameters, checksums of the prompt and of the tokenizer, and every setting that counts."""
        prompt = self.config.prompt(call)  # type: ignore[arg-type]
        identity: dict[str, Any] = {
            "model": self.chat.name,
            "parameters": self.chat.parameters,
            "prompt": prompt.name,
            "prompt_sha256": prompt.sha256,
            "follow_ups_sha256": _FOLLOW_UPS_SHA256,
            "max_tokens": self.config.max_tokens,
            "tokenizer_sha256": self.limit.sha256,
            "sees": self.chat.sees and call in ("next_local", "describe"),
        }
        if call == "next_local":
            identity |= {"max_previous": self.config.max_previous, "max_seen": self.config.max_seen}
        return identity

    def imagine(self, caption: str, n: int) -> list[Written]:
        """Return ``n`` distinct captions, none of them ``caption``.

        Raises:
            CaptionError: the model does not give as many, asked twice.
            ValueError: ``n`` is out of range.
        """
        if not 0 <= n <= MAX_IMAGINED:
            raise ValueError(f"the number of imaginary captions must lie in [0, {MAX_IMAGINED}], got {n}")
        if n == 0:
            return []
        question = {"caption": caption, "n": n}
        return self._written(_Talk(self, "imagine", question, count=n).captions(unlike=caption))

    def summarise(self, captions: Sequence[str]) -> Written:
        """Return one caption of the whole scene."""
        return self._one(_Talk(self, "summarise", {"captions": list(captions)}))

    def next_local(
        self,
        *,
        view: Image | None,
        direction: Direction,
        global_caption: str,
        previous: Sequence[str],
        seen: Sequence[str],
        step: int,
    ) -> Written:
        """Return the caption of the window that is drawn next."""
        del step  # What matters of it is in the captions before.
        question = {
            "global_caption": global_caption,
            "direction": direction,
            "previous": _latest(previous, self.config.max_previous),
            "seen": _latest(seen, self.config.max_seen),
        }
        return self._one(_Talk(self, "next_local", question, image=view if self.chat.sees else None))

    def describe(self, image: Image) -> Written:
        """Return one sentence that says what a picture shows."""
        if not self.chat.sees:
            raise CaptionError(f"{self.name} takes no pictures; to describe needs a model that sees", "blind")
        return self._one(_Talk(self, "describe", {}, image=image))

    def _one(self, talk: _Talk) -> Written:
        return self._written(talk.captions())[0]

    def _written(self, texts: Sequence[str]) -> list[Written]:
        return [Written(text, self.name) for text in texts]


class _Talk:
    """One question to the model with what follows it: at most one repair and one request to be shorter."""

    def __init__(
        self,
        captioner: LanguageModelCaptioner,
        call: Call,
        question: dict[str, Any],
        *,
        count: int = 1,
        image: Image | None = None,
    ) -> None:
        self.captioner, self.count, self.image = captioner, count, image
        self.turns: tuple[Message, ...] = captioner.config.prompt(call).fill(**question)
        self.answer: type[CaptionAnswer | CaptionsAnswer] = CaptionsAnswer if call == "imagine" else CaptionAnswer
        self.schema = self.answer.model_json_schema()
        if call == "imagine":
            self.schema["properties"]["captions"] |= {"minItems": count, "maxItems": count}

    def captions(self, unlike: str = "") -> list[str]:
        """As many distinct captions as were asked for, none like ``unlike``, each within the text encoder's length.

        Raises:
            CaptionError: the model gives no answer, or none that can be used.
        """
        found: list[str] = []
        for last_try in (False, True):
            reply = self._ask()
            try:
                found = _distinct([*read_texts(reply, self.answer), *found], unlike)[: self.count]
                if len(found) == self.count:
                    return self._fitting(found, unlike)
                fault = f"{self.count} different new captions are needed, {len(found)} came"
            except AnswerFault as error:
                fault = str(error)
            if not last_try:
                self.captioner.ledger.add(repairs=1)
                self._say(REPAIR.replace("{fault}", fault))
        raise CaptionError(f"{self.captioner.name} gave no usable answer: {fault}", "invalid_answer")

    def _fitting(self, texts: list[str], unlike: str) -> list[str]:
        """The captions, within the length of the text encoder."""
        limit, ledger = self.captioner.limit, self.captioner.ledger
        if all(map(limit.fits, texts)):
            return texts
        ledger.add(shortened=sum(not limit.fits(text) for text in texts))
        self._say(SHORTEN)
        try:
            shorter = _distinct(read_texts(self._ask(), self.answer), unlike)
        except (AnswerFault, CaptionError):
            shorter = []  # What came before is an answer, only too long.
        texts = shorter[: self.count] if len(shorter) >= self.count else texts
        ledger.add(cut=sum(not limit.fits(text) for text in texts))
        try:
            return [text if limit.fits(text) else limit.cut(text) for text in texts]
        except ValueError as error:
            raise CaptionError(f"{self.captioner.name}: {error}", "invalid_answer") from error

    def _ask(self) -> str:
        """The model's reply to the turns so far; it becomes one of them."""
        request = ChatRequest(
            messages=self.turns,
            schema=self.schema,
            image=self.image,
            max_tokens=self.captioner.config.max_tokens * self.count,
        )
        try:
            reply = self.captioner.chat.reply(request)
        except ChatError as error:
            self.captioner.ledger.add(turns=1, retries=error.retries)
            raise CaptionError(f"{self.captioner.name}: {error}", error.cause) from error
        self.captioner.ledger.add(
            turns=1,
            retries=reply.retries,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )
        # Many chat templates refuse an empty turn, and a huge one would only cost.
        self.turns += (Message("assistant", reply.text.strip()[:_MAX_QUOTED_CHARS] or "{}"),)
        return reply.text

    def _say(self, text: str) -> None:
        self.turns += (Message("user", text),)


def _distinct(texts: Sequence[str], unlike: str) -> list[str]:
    """The texts that differ from each other and from ``unlike`` by more than case, in order."""
    seen = {" ".join(unlike.split()).strip(" .").lower()}
    kept = []
    for text in texts:
        if text.lower() not in seen:
            seen.add(text.lower())
            kept.append(text)
    return kept


def _latest(items: Sequence[str], count: int) -> list[str]:
    return list(items[-count:]) if count else []
