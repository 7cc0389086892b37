"""Turns with a chat model, one after the other, every one of them counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from lit_outpaint.chat.ledger import Ledger
from lit_outpaint.chat.requests import ChatError, ChatModel, ChatRequest, Ended, Message
from lit_outpaint.chat.thoughts import final_answer

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_QUOTED_CHARS: Final = 2000
"""Of an answer, when it is sent back with its fault."""


class Conversation:
    """One question and what follows it.

    Args:
        chat: is asked.
        turns: the conversation so far; the last turn is the user's.
        schema: JSON schema of every answer.
        max_tokens: longest answer, in tokens of the model.
        image: shown with the question.
        num_examples: how many turns before the question are examples.
        draw: added to the seed of the model; it may be changed between two questions.
        ledger: counts turns, tokens, retries and hits of the cache.
    """

    def __init__(
        self,
        chat: ChatModel,
        turns: tuple[Message, ...],
        *,
        schema: dict[str, Any],
        max_tokens: int,
        image: Image | None = None,
        num_examples: int = 0,
        draw: int = 0,
        ledger: Ledger | None = None,
    ) -> None:
        self.chat, self.turns, self.image, self.ledger = chat, turns, image, ledger or Ledger()
        self.schema, self.max_tokens = schema, max_tokens
        self.num_examples, self.draw = num_examples, draw
        self._ended: Ended | Literal["empty"] = "stop"

    def ask(self) -> str:
        """The model's answer to the turns so far, without its thoughts; it becomes one of them.

        Raises:
            ChatError: there is none.
        """
        request = ChatRequest(
            messages=self.turns,
            schema=self.schema,
            image=self.image,
            max_tokens=self.max_tokens,
            num_examples=self.num_examples,
            draw=self.draw,
        )
        try:
            reply = self.chat.reply(request)
        except ChatError as error:
            self.ledger.add(turns=1, retries=error.retries)
            raise
        if reply.from_cache:
            self.ledger.add(hits=1)
        else:
            self.ledger.add(
                turns=1,
                retries=reply.retries,
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=reply.completion_tokens,
            )
        answer = final_answer(reply.text).strip()
        self._ended = "empty" if reply.ended == "stop" and not answer else reply.ended
        # Many chat templates refuse an empty turn, and a huge one would only cost.
        self.turns += (Message("assistant", answer[:MAX_QUOTED_CHARS] or "{}"),)
        return answer

    def cause(self, otherwise: str) -> str:
        """Why the last answer cannot be used, in one word to count by.

        Args:
            otherwise: what is wrong with it, if it is whole.
        """
        return otherwise if self._ended == "stop" else self._ended

    def say(self, text: str) -> None:
        """Add a turn of the user."""
        self.turns += (Message("user", text),)
