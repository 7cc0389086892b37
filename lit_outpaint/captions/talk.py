"""One question to a language model, asked at most twice, with every answer read and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lit_outpaint.captions.answers import MAX_CAPTIONS, CaptionAnswer, CaptionsAnswer
from lit_outpaint.captions.checks import Check, no_copy, no_repetition, unlike
from lit_outpaint.captions.prompts import Prompt
from lit_outpaint.captions.reading import AnswerFault, read_texts
from lit_outpaint.chat.conversation import Conversation
from lit_outpaint.chat.ledger import Ledger
from lit_outpaint.chat.requests import ChatError, ChatModel
from lit_outpaint.protocols import CaptionError, Written

if TYPE_CHECKING:
    from PIL.Image import Image

REPAIR: Final = "That answer cannot be used: {fault}. Answer again with JSON only, in the form that was asked for."
FOLLOW_UPS_SHA256: Final = hashlib.sha256(REPAIR.encode()).hexdigest()
TRIES: Final = 2
"""How often a question is asked."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, and what its captions must be."""

    prompt: Prompt
    arguments: dict[str, Any]
    """Of the prompt; of a list, ``n`` is how many are wanted."""
    checks: Sequence[Check] = ()
    """Beside these no caption may copy an example of the prompt, repeat itself, nor be like another of the list."""
    max_similarity: float = 1.0
    """Of two captions of a list, see ``unlike``."""
    count: int | None = None
    """How many captions are wanted, as a list; None wants a single one."""
    spare: int = 0
    """How many more than are wanted are asked for, of a list; the first that pass are taken."""
    image: Image | None = None
    draw: int = 0
    """Seed of the first try, added to that of the model; the second has the next."""


class Talk:
    """Asks a question.

    An answer that cannot be read goes back to the model with its fault. A caption that can be read and does not pass
    a check is left out, those that pass are kept, and what is missing is asked for anew: another draw finds other
    words, where a small model that is told of its fault repeats it.

    Args:
        chat: the model.
        ledger: counts everything.
        max_tokens: longest answer for one caption.
        question: is asked.
    """

    def __init__(self, chat: ChatModel, ledger: Ledger, max_tokens: int, question: Question) -> None:
        self.chat, self.ledger, self.max_tokens, self.question = chat, ledger, max_tokens, question
        self.found: list[str] = []
        self._checks = (
            *question.checks,
            no_copy(question.prompt.examples),
            no_repetition,
            unlike(self.found, question.max_similarity),
        )
        self._answer: type[CaptionAnswer | CaptionsAnswer] = CaptionAnswer if question.count is None else CaptionsAnswer

    @property
    def missing(self) -> int:
        """How many captions are still wanted."""
        return (self.question.count or 1) - len(self.found)

    def captions(self) -> list[str]:
        """As many captions as were asked for, none of which a check refuses.

        Raises:
            CaptionError: the model gives no answer, or none that can be used; those that can be are in ``kept``.
        """
        conversation, fault = self._asked(), ""
        for number in range(TRIES):
            conversation.draw = self.question.draw + number
            before = len(self.found)
            try:
                fault = self._take(read_texts(self._reply(conversation), self._answer))
                cause, again = "invalid_answer", self._asked()
            except AnswerFault as error:
                fault, cause, again = str(error), conversation.cause("invalid_answer"), conversation
                conversation.say(REPAIR.replace("{fault}", fault))
            new = len(self.found) - before
            self.ledger.add(**{"repaired" if number else "at_once": new})
            if not self.missing:
                return self.found
            conversation = again
            if number + 1 < TRIES:
                self.ledger.add(repairs=1)
        raise self._error(f"gave no usable answer: {fault}", cause)

    def _asked(self) -> Conversation:
        """A conversation that asks for what is missing."""
        arguments, schema, number = self.question.arguments, self._answer.model_json_schema(), 1
        if self.question.count is not None:
            number = min(self.missing + self.question.spare, MAX_CAPTIONS)
            arguments = arguments | {"n": number}
            schema["properties"]["captions"] |= {"minItems": number, "maxItems": number}
        return Conversation(
            self.chat,
            self.question.prompt.fill(**arguments),
            schema=schema,
            max_tokens=self.max_tokens * number,
            image=self.question.image,
            num_examples=len(self.question.prompt.examples),
            ledger=self.ledger,
        )

    def _take(self, texts: Sequence[str]) -> str:
        """Keep the texts that pass, as many as are missing; return the fault where that is not enough."""
        faults = []
        for text in texts:
            if not self.missing:
                break
            fault = next((fault for check in self._checks if (fault := check(text))), "")
            if fault:
                faults.append(fault)
            else:
                self.found.append(text)
        if not self.missing:
            return ""
        if self.question.count is None:
            return faults[0]
        why = f"; {faults[0]}" if faults else ""
        return f"{self.question.count} different new captions are needed, {len(self.found)} came{why}"

    def _reply(self, conversation: Conversation) -> str:
        try:
            return conversation.ask()
        except ChatError as error:
            raise self._error(str(error), error.cause) from error

    def _error(self, what: str, cause: str) -> CaptionError:
        kept = tuple(Written(text, self.chat.name) for text in self.found)
        return CaptionError(f"{self.chat.name}: {what}", cause, kept)
