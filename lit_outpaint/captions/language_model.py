"""Captions by a language model: a prompt is filled, the answer read and checked, asked for again once, and measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from lit_outpaint.captions.answers import MAX_CAPTIONS
from lit_outpaint.captions.checks import Check, about, unlike
from lit_outpaint.captions.length import CaptionLimit
from lit_outpaint.captions.prompts import Prompt, load_prompt
from lit_outpaint.captions.talk import FOLLOW_UPS_SHA256, TRIES, Question, Talk
from lit_outpaint.chat.ledger import Ledger
from lit_outpaint.chat.requests import ChatModel
from lit_outpaint.protocols import CaptionError, Written

if TYPE_CHECKING:
    from PIL.Image import Image

    from lit_outpaint.canvas.geometry import Direction

MODEL_SETTINGS_NAME: Final = "captioner.json"
"""A model that learnt to be asked in one way says so in this file beside its weights: settings of
``LanguageModelConfig``."""

Call = Literal["imagine", "summarise", "next_local", "describe"]

_FIELDS: Final[dict[Call, tuple[str, ...]]] = {
    "imagine": ("caption", "n"),
    "summarise": ("captions",),
    "next_local": ("direction", "global_caption", "previous", "seen"),
    "describe": (),
}
"""What a prompt can tell."""
_MAX_SIMILARITY: Final = 0.6


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
    spare: int = 0
    """How many captions more than needed imagine asks for, so that those that do not pass need not be asked for again;
    for models that repeat themselves within a list. Every answer is that much longer."""
    imagine_prompt: str | None = None
    """Prompt of imagine: one of lit_outpaint/captions/prompts, or the path of a .txt file of your own; imagine.v2 when
    absent, unless the model's directory says otherwise (captioner.json)."""
    summarise_prompt: str | None = None
    """Prompt of summarise, in the same way."""
    next_local_prompt: str | None = None
    """Prompt of next_local, in the same way."""
    describe_prompt: str | None = None
    """Prompt of describe, in the same way."""
    max_similarity: float | None = None
    """Largest share of content words that a caption of imagine or next_local may have in common with one that is there,
    in [0, 1]; one that has more is asked for again. 0.6 when absent; at 1 next_local may repeat itself."""
    seed_per_step: bool | None = None
    """Whether each step has a seed of its own, so that the same question has another answer later; true when absent."""

    def __post_init__(self) -> None:
        for name, least in (("max_tokens", 1), ("max_previous", 0), ("max_seen", 0), ("spare", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.max_similarity is not None and not 0 <= self.max_similarity <= 1:
            raise ValueError(f"max_similarity must lie in [0, 1], got {self.max_similarity}")
        for call in get_args(Call):
            self.prompt(call)

    def prompt(self, call: Call) -> Prompt:
        """The prompt of a call."""
        return load_prompt(getattr(self, f"{call}_prompt") or f"{call}.v2", known=_FIELDS[call])

    def for_model(self, directory: str = "") -> LanguageModelConfig:
        """The settings with those that are absent filled in: from the model's directory, else with the defaults.

        Args:
            directory: of the model; any other text has no say.

        Raises:
            ValueError: its ``captioner.json`` holds anything but settings of this class.
        """
        path = Path(directory) / MODEL_SETTINGS_NAME
        try:
            learnt = json.loads(path.read_text(encoding="utf-8")) if directory and path.is_file() else {}
            own = LanguageModelConfig(**{"max_similarity": _MAX_SIMILARITY, "seed_per_step": True, **learnt})
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{path} must hold settings of {type(self).__name__}: {error}") from error
        absent = {field.name for field in fields(self) if getattr(self, field.name) is None}
        return replace(self, **{name: getattr(own, name) for name in absent})


class LanguageModelCaptioner:
    """Asks a chat model and takes nothing from it unchecked.

    An answer that cannot be read is sent back once with its fault, captions that do not pass are asked for once more
    (see `Talk`), and a caption that the text encoder would cut is cut at a clause. Whatever else goes wrong is a
    ``CaptionError``.

    Args:
        chat: the model, by class_path: lit_outpaint.chat.openai_chat.OpenAIChat (any server that speaks the OpenAI
            protocol), lit_outpaint.chat.local_chat.LocalChat (in this process), or one of them inside
            lit_outpaint.chat.cache.CachedChat.
        config: how it is asked.

    Attributes:
        ledger: counts everything.
    """

    def __init__(self, chat: ChatModel, config: LanguageModelConfig = LanguageModelConfig()) -> None:
        self.chat, self.config = chat, config.for_model(getattr(chat, "directory", ""))
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
            "follow_ups_sha256": FOLLOW_UPS_SHA256,
            "max_tokens": self.config.max_tokens,
            "tokenizer_sha256": self.limit.sha256,
            "sees": self.chat.sees and call in ("next_local", "describe"),
        }
        if call in ("imagine", "next_local") or (call == "summarise" and self._max_similarity < 1):
            identity["max_similarity"] = self.config.max_similarity
        if call == "imagine" and self.config.spare:
            identity["spare"] = self.config.spare
        if call == "next_local":
            identity |= {name: getattr(self.config, name) for name in ("max_previous", "max_seen", "seed_per_step")}
        return identity

    def imagine(self, caption: str, n: int) -> list[Written]:
        """Return ``n`` distinct captions, none like ``caption``.

        Raises:
            CaptionError: the model does not give as many, asked twice; ``kept`` are those that it gives.
            ValueError: ``n`` is out of range.
        """
        if not 0 <= n <= MAX_CAPTIONS:
            raise ValueError(f"the number of imaginary captions must lie in [0, {MAX_CAPTIONS}], got {n}")
        if n == 0:
            return []
        most = self._max_similarity
        return self._ask("imagine", {"caption": caption}, [unlike([caption], most)], count=n)

    def summarise(self, captions: Sequence[str]) -> Written:
        """Return one caption of the whole scene, with a content word of the captions; of several, no copy of one."""
        checks = [about(captions)]
        if self._max_similarity < 1 and len(captions) > 1:
            checks.append(unlike(captions, 1.0))
        return self._ask("summarise", {"captions": list(captions)}, checks)[0]

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
        """Return the caption of the window that is drawn next, unlike the captions that it is told."""
        told = _latest(previous, self.config.max_previous)
        arguments = {
            "global_caption": global_caption,
            "direction": direction,
            "previous": told,
            "seen": _latest(seen, self.config.max_seen),
        }
        checks = [unlike([*told, global_caption], self._max_similarity)] if self._max_similarity < 1 else []
        draw = step * TRIES if self.config.seed_per_step else 0
        return self._ask("next_local", arguments, checks, image=view if self.chat.sees else None, draw=draw)[0]

    def describe(self, image: Image) -> Written:
        """Return one sentence that says what a picture shows."""
        if not self.chat.sees:
            raise CaptionError(f"{self.name} takes no pictures; to describe needs a model that sees", "blind")
        return self._ask("describe", {}, image=image)[0]

    @property
    def _max_similarity(self) -> float:
        most = self.config.max_similarity
        return 1.0 if most is None else most

    def _ask(
        self,
        call: Call,
        arguments: dict[str, Any],
        checks: Sequence[Check] = (),
        *,
        count: int | None = None,
        image: Image | None = None,
        draw: int = 0,
    ) -> list[Written]:
        question = Question(
            prompt=self.config.prompt(call),
            arguments=arguments,
            checks=checks,
            max_similarity=self._max_similarity,
            count=count,
            spare=self.config.spare,
            image=image,
            draw=draw,
        )
        talk = Talk(self.chat, self.ledger, self.config.max_tokens, question)
        try:
            return [self._written(text) for text in talk.captions()]
        except CaptionError as error:
            kept = tuple(self._written(written.text) for written in error.kept)
            raise CaptionError(str(error), error.cause, kept) from error

    def _written(self, text: str) -> Written:
        """The caption, cut to what the text encoder reads."""
        if not self.limit.fits(text):
            self.ledger.add(cut=1)
            try:
                text = self.limit.cut(text)
            except ValueError as error:
                raise CaptionError(f"{self.name}: {error}", "invalid_answer") from error
        return Written(text, self.name)


def _latest(items: Sequence[str], count: int) -> list[str]:
    return list(items[-count:]) if count else []
