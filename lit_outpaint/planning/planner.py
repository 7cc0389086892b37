"""Plans by a language model: recaption and chain-of-thought planning, checked, asked for again once, else one region.

Source: Yang et al. 2024, "Mastering Text-to-Image Diffusion: Recaptioning, Planning, and Generating with Multimodal
LLMs", arXiv:2401.11708.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lit_outpaint.captions.prompts import Prompt, load_prompt
from lit_outpaint.chat.conversation import Conversation
from lit_outpaint.chat.ledger import Ledger
from lit_outpaint.chat.requests import ChatError, ChatModel
from lit_outpaint.planning.answers import BoxesAnswer, GridAnswer, PlanFault, Proposal, read_plan_answer
from lit_outpaint.planning.boxes import WHOLE
from lit_outpaint.planning.overlaps import largest_free, resolved
from lit_outpaint.planning.prompts import FOLDER
from lit_outpaint.planning.regions import Region, RegionPlan, region_ids
from lit_outpaint.protocols import Planned

log = logging.getLogger(__name__)

ONE_REGION: Final = "one region"
"""Who planned, in records, where a model did not: the whole picture is one region with the prompt."""
REPAIR: Final = "That plan cannot be used: {fault}. Answer again in the form that was asked for."
_REPAIR_SHA256: Final = hashlib.sha256(REPAIR.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class PlannerConfig:
    """How a language model is asked for a plan."""

    max_tokens: int = 1024
    """Longest answer, in tokens of the language model; raise it for models that reason."""
    plan_prompt: str = "plan.v1"
    """Prompt, one of lit_outpaint/planning/prompts: plan.v1 describes each region in more detail than the prompt does
    (recaption), plan_terse.v1 keeps its words."""
    around_prompt: str = "plan_around.v1"
    """Prompt where some regions stand already."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}")
        for name in (self.plan_prompt, self.around_prompt):
            load_prompt(name, FOLDER)


class LanguageModelPlanner:
    """Asks a chat model for regions and takes nothing from it unchecked.

    A plan that cannot be used is sent back once with its fault. If that does not help, or no answer comes, the picture
    becomes one region with the prompt; ``Planned.instead_of`` and the ledger say why.

    Args:
        chat: the model, by class_path: lit_outpaint.chat.openai_chat.OpenAIChat (any server that speaks the OpenAI
            protocol), lit_outpaint.chat.local_chat.LocalChat (in this process), or one of them inside
            lit_outpaint.chat.cache.CachedChat.
        config: how it is asked.

    Attributes:
        ledger: counts everything.
    """

    def __init__(self, chat: ChatModel, config: PlannerConfig = PlannerConfig()) -> None:
        self.chat, self.config = chat, config
        self.name, self.concurrency = chat.name, chat.concurrency
        self.ledger = Ledger()

    def identity(self) -> dict[str, Any]:
        """Model, its parameters, checksums of the prompts, and every setting that counts."""
        prompts = [load_prompt(name, FOLDER) for name in (self.config.plan_prompt, self.config.around_prompt)]
        return {
            "model": self.chat.name,
            "parameters": self.chat.parameters,
            "prompts": {prompt.name: prompt.sha256 for prompt in prompts},
            "repair_sha256": _REPAIR_SHA256,
            "max_tokens": self.config.max_tokens,
        }

    def plan(self, prompt: str, locked: Sequence[Region] = ()) -> Planned:
        """Return a plan of one region at least; see ``Planner``.

        Overlapping boxes are resolved by the rule of ``overlaps``: the locked ones first, then in the model's order. A
        grid is laid into the largest part that the locked ones leave free.
        """
        RegionPlan(
            base_prompt=prompt, regions=tuple(locked)
        )  # Refuses what the user got wrong before anything is paid.
        talk = _Talk(self, prompt, locked)
        try:
            regions, reasoning = talk.regions()
        except ChatError as error:
            return self._one_region(prompt, locked, error.cause, str(error))
        except PlanFault as error:
            return self._one_region(prompt, locked, talk.conversation.cause(error.cause), str(error))
        plan = RegionPlan(base_prompt=prompt, regions=(*locked, *regions))
        return Planned(plan, self.name, reasoning=reasoning)

    def _one_region(self, prompt: str, locked: Sequence[Region], cause: str, why: str) -> Planned:
        """What is left of the picture as one region."""
        if self.ledger.add_fallback(cause) == 1:
            log.warning(
                "planner %s made no plan, the picture is one region instead: %s (others of this cause, %s, are only "
                "counted)",
                self.name,
                why,
                cause,
            )
        free = largest_free([region.box for region in locked])
        (name,) = region_ids([prompt], [region.id for region in locked])
        rest = () if free is None else (Region(id=name, prompt=prompt, box=free),)
        plan = RegionPlan(base_prompt=prompt, regions=(*locked, *rest))
        return Planned(plan, ONE_REGION, instead_of=f"{self.name}: {cause}")


class _Talk:
    """One question to the model, and at most one repair."""

    def __init__(self, planner: LanguageModelPlanner, prompt: str, locked: Sequence[Region]) -> None:
        self.planner, self.locked = planner, locked
        if locked:
            given = [{"prompt": region.prompt, "box": [*region.box.as_tuple()]} for region in locked]
            template, arguments = self._template(planner.config.around_prompt), {"prompt": prompt, "locked": given}
            schema = BoxesAnswer.model_json_schema()
        else:
            template, arguments = self._template(planner.config.plan_prompt), {"prompt": prompt}
            schema = GridAnswer.model_json_schema()
        # Strict servers want every field to be there.
        schema["required"] = list(schema["properties"])
        self.conversation = Conversation(
            planner.chat,
            template.fill(**arguments),
            schema=schema,
            max_tokens=planner.config.max_tokens,
            ledger=planner.ledger,
        )

    def regions(self) -> tuple[list[Region], str]:
        """The planned regions and what the model said on the way.

        Raises:
            ChatError: the model gives no answer.
            PlanFault: it gives none that can be used, asked twice.
        """
        try:
            return self._regions(read_plan_answer(self.conversation.ask()))
        except PlanFault as fault:
            self.planner.ledger.add(repairs=1)
            self.conversation.say(REPAIR.replace("{fault}", str(fault)))
        return self._regions(read_plan_answer(self.conversation.ask()))

    def _regions(self, proposal: Proposal) -> tuple[list[Region], str]:
        taken = [region.box for region in self.locked]
        free = largest_free(taken)
        if free is None:
            raise PlanFault("bad_boxes", "the regions that stand already leave no room")
        if proposal.grid is not None:
            boxes = [box if free == WHOLE else box.within(free) for box in proposal.boxes]
        else:
            boxes = []
            for number, box in enumerate(resolved(proposal.boxes, taken)):
                if box is None:
                    raise PlanFault("bad_boxes", f"regions.{number}.box is covered by the regions before it")
                boxes.append(box)
        names = region_ids(proposal.prompts, [region.id for region in self.locked])
        regions = [
            Region(id=name, prompt=prompt, box=box)
            for name, prompt, box in zip(names, proposal.prompts, boxes, strict=True)
        ]
        return regions, proposal.reasoning

    @staticmethod
    def _template(name: str) -> Prompt:
        return load_prompt(name, FOLDER)
