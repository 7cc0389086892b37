"""Plans by a transformers chat model in this process."""

from __future__ import annotations

from typing import Any

from lit_outpaint.chat.local_chat import LocalChat
from lit_outpaint.planning.planner import LanguageModelPlanner, PlannerConfig


class LocalPlanner(LanguageModelPlanner):
    """A language model in this process, on the GPU if there is one.

    Args:
        path: directory or hub name of the model, safetensors only.
        config: how the model is asked.
        chat: how the model is run, see `LocalChat`.
    """

    def __init__(self, path: str, config: PlannerConfig = PlannerConfig(), **chat: Any) -> None:
        super().__init__(LocalChat(path, **chat), config)
