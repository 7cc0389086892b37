"""A judge that asks a vision-language model what a picture shows."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lit_outpaint.captions.prompts import load_prompt
from lit_outpaint.captions.reading import AnswerFault, json_values
from lit_outpaint.chat.conversation import Conversation
from lit_outpaint.chat.ledger import Ledger
from lit_outpaint.chat.requests import ChatError, ChatModel
from lit_outpaint.drawing.edit_operations import Seen, Wanted
from lit_outpaint.drawing.judging import Look, Pictures, Wish
from lit_outpaint.drawing.prompts import FOLDER
from lit_outpaint.planning.inflection import singular_word
from lit_outpaint.planning.phrases import COLOUR, head
from lit_outpaint.planning.placement import FREE, Placement
from lit_outpaint.planning.reading import read_mentions
from lit_outpaint.planning.regions import RegionPlan

log = logging.getLogger(__name__)

PROMPT: Final = "look.v1"
REPAIR: Final = "That answer cannot be read: {fault}. Answer again in the form that was asked for."
_MAX_THINGS: Final = 64


class _Thing(BaseModel):
    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    kind: Annotated[str, Field(min_length=1, max_length=60)]
    colour: Annotated[str, Field(max_length=30)] = ""
    box: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=4, max_length=4)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    things: Annotated[list[_Thing], Field(max_length=_MAX_THINGS)]
    scenery: Annotated[list[Annotated[str, Field(max_length=30)]], Field(max_length=_MAX_THINGS)]


class ModelJudge:
    """Takes what a chat model sees, checked and asked for again once.

    Where no answer can be used, nothing is seen and `Look.fault` says why: the picture then agrees with nothing, and
    the record tells.

    Args:
        chat: a model that takes pictures, by class_path; lit_outpaint.chat.openai_chat.OpenAIChat wants sees: true.
        max_tokens: longest answer.

    Attributes:
        ledger: counts everything.

    Raises:
        ValueError: the model takes no pictures.
    """

    def __init__(self, chat: ChatModel, max_tokens: int = 512) -> None:
        if not chat.sees:
            raise ValueError(
                f"a judge needs a model that takes pictures, {chat.name} does not; set sees: true if it does"
            )
        self.chat, self.max_tokens, self.name = chat, max_tokens, chat.name
        self.ledger = Ledger()

    def identity(self) -> dict[str, Any]:
        """What its verdicts depend on."""
        return {"prompt": PROMPT, "model": self.chat.name, **self.chat.parameters, "max_tokens": self.max_tokens}

    def wish(self, plan: RegionPlan, placed: Mapping[str, Placement]) -> Wish:
        """Each region's thing by its noun and colour, and the nouns of sky and ground in the prompt."""
        things = []
        for region in plan.regions:
            mentions = read_mentions(region.thing or region.prompt).all
            # The first thing is what the region is of: "a rustic barn under a red sky".
            named = next((mention.rest for mention in mentions if not mention.scenery), None)
            if named is None:
                continue
            box, bound = region.box.as_tuple(), placed.get(region.id, FREE)
            kind = singular_word(head(named))
            things.append(Wanted(id=region.id, kind=kind, colour=_colour_of(named), box=box, placed=bound))
        scenery = {
            singular_word(head(mention.phrase)) for mention in read_mentions(plan.base_prompt).all if mention.scenery
        }
        return Wish(tuple(things), frozenset(scenery))

    def look(self, pictures: Pictures) -> list[Look]:
        """One question a picture."""
        return [self._look(Image.fromarray(picture)) for picture in pictures]

    def _look(self, picture: Image.Image) -> Look:
        conversation = Conversation(
            self.chat,
            load_prompt(PROMPT, FOLDER).fill(),
            schema=_Answer.model_json_schema(),
            max_tokens=self.max_tokens,
            image=picture,
            ledger=self.ledger,
        )
        fault = ""
        try:
            for last_try in (False, True):
                try:
                    return _read(conversation.ask())
                except AnswerFault as error:
                    fault = f"{conversation.cause('invalid_answer')}: {error}"
                    if not last_try:
                        self.ledger.add(repairs=1)
                        conversation.say(REPAIR.format(fault=error))
        except ChatError as error:
            fault = f"{error.cause}: {error}"
        log.warning("judge %s said nothing that can be used of a picture: %s", self.name, fault)
        return Look(fault=fault)


def _colour_of(phrase: str) -> str | None:
    """The colour of the thing that a phrase is about, not of what it has: "a man with a red hat" is of none."""
    words = re.findall(r"[\w'-]+", phrase.lower())
    noun = head(phrase)
    before = " ".join(words[: words.index(noun)]) if noun in words else ""
    colours = COLOUR.findall(before)
    return _named(colours[-1]) if colours else None


def _named(colour: str) -> str:
    """One name for each colour, however it is written."""
    return {"gray": "grey", "gold": "golden"}.get(colour, colour)


def _read(text: str) -> Look:
    """What an answer says is to be seen.

    Raises:
        AnswerFault: it says nothing that can be used.
    """
    fault = "it holds no JSON object with things and scenery"
    try:
        for value in json_values(text):
            try:
                answer = _Answer.model_validate(value)
            except ValidationError as error:
                problem = error.errors()[0]
                fault = f"{'.'.join(map(str, problem['loc'])) or 'it'}: {problem['msg']}"
                continue
            return Look(tuple(map(_seen, answer.things)), frozenset(singular_word(w.lower()) for w in answer.scenery))
    except RecursionError:
        fault = "it is nested too deeply"
    raise AnswerFault(fault)


def _seen(thing: _Thing) -> Seen:
    left, top, right, bottom = thing.box
    left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
    kind = singular_word(thing.kind.lower().split()[-1])
    share = (right - left) * (bottom - top)
    return Seen(kind=kind, colour=_named(thing.colour.lower()) or None, box=(left, top, right, bottom), share=share)
