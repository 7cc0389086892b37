"""A second captioner for what the first cannot write, so that no answer of a language model can break a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lit_outpaint.captions.checks import plain
from lit_outpaint.captions.language_model import LanguageModelCaptioner
from lit_outpaint.captions.rules import RuleCaptioner
from lit_outpaint.chat.ledger import ledger_of
from lit_outpaint.chat.requests import ChatModel
from lit_outpaint.protocols import Captioner, CaptionError, Written
from lit_outpaint.system.text import clean

if TYPE_CHECKING:
    from PIL.Image import Image

    from lit_outpaint.canvas.geometry import Direction

log = logging.getLogger(__name__)


class WithFallback:
    """Asks one captioner, and another where the first raises ``CaptionError`` or writes no word.

    Of a list that the first wrote in part, the second writes what is missing. Every such text says so in
    ``Written.instead_of`` and is counted by cause in the ledger; the first of each cause is logged.

    Args:
        inner: asked first.
        fallback: asked then; rules when absent. Its own ``CaptionError`` goes to the caller.
    """

    def __init__(self, inner: Captioner, fallback: Captioner | None = None) -> None:
        self.inner, self.fallback = inner, fallback or RuleCaptioner()
        self.name, self.concurrency = inner.name, inner.concurrency
        self.ledger = ledger_of(inner)

    def identity(self, call: str) -> dict[str, Any]:
        """That of the captioner asked first, and of the one behind it."""
        return {**self.inner.identity(call), "fallback": {"name": self.fallback.name, **self.fallback.identity(call)}}

    def imagine(self, caption: str, n: int) -> list[Written]:
        """Return captions of what may lie around the frame."""
        return self._either(lambda writer: writer.imagine(caption, n))

    def summarise(self, captions: Sequence[str]) -> Written:
        """Return one caption of the whole scene."""
        return self._either(lambda writer: [writer.summarise(captions)])[0]

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

        def ask(writer: Captioner) -> list[Written]:
            text = writer.next_local(
                view=view, direction=direction, global_caption=global_caption, previous=previous, seen=seen, step=step
            )
            return [text]

        return self._either(ask)[0]

    def describe(self, image: Image) -> Written:
        """Return one sentence that says what a picture shows."""
        return self._either(lambda writer: [writer.describe(image)])[0]

    def _either(self, ask: Callable[[Captioner], list[Written]]) -> list[Written]:
        try:
            texts = _cleaned(ask(self.inner))
        except CaptionError as error:
            if self.ledger.add_fallback(error.cause) == 1:
                log.warning(
                    "captioner %s wrote no caption, %s writes instead: %s (others of this cause, %s, are only counted)",
                    self.name,
                    self.fallback.name,
                    error,
                    error.cause,
                )
            texts = _completed(error.kept, _cleaned(ask(self.fallback)), f"{self.name}: {error.cause}")
            self.ledger.add(by_fallback=len(texts) - len(error.kept))
        self.ledger.add_texts(written.text for written in texts)
        return texts


def _completed(kept: Sequence[Written], others: Sequence[Written], instead_of: str) -> list[Written]:
    """The texts that were kept, and as many of ``others`` as make up the number of these."""
    there = {plain(written.text) for written in kept}
    new = [written._replace(instead_of=instead_of) for written in others if plain(written.text) not in there]
    return [*_cleaned(list(kept)), *new][: len(others)]


def with_chat(captioner: Captioner, change: Callable[[ChatModel], ChatModel]) -> Captioner:
    """A captioner like this one that asks another chat model; the same captioner where it asks none.

    Args:
        captioner: a language model's, maybe with a fallback.
        change: gives the model to ask in place of the present one.
    """
    if isinstance(captioner, LanguageModelCaptioner):
        return LanguageModelCaptioner(change(captioner.chat), captioner.config)
    if isinstance(captioner, WithFallback):
        inner = with_chat(captioner.inner, change)
        return captioner if inner is captioner.inner else WithFallback(inner, captioner.fallback)
    return captioner


def _cleaned(texts: list[Written]) -> list[Written]:
    """The texts on one line each, without quotes and closing stops.

    Raises:
        CaptionError: one holds no word.
    """
    for written in texts:
        if not any(character.isalnum() for character in written.text):
            raise CaptionError(f"a caption must hold a word, {written.writer} wrote {written.text[:40]!r}", "no_word")
    return [written._replace(text=clean(written.text)) for written in texts]
