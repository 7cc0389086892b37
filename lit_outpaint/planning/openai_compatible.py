"""Plans by any server that speaks the OpenAI protocol: vLLM, Ollama, ``transformers serve``, OpenAI itself."""

from __future__ import annotations

from typing import Any

from lit_outpaint.chat.openai_chat import OpenAIChat
from lit_outpaint.planning.planner import LanguageModelPlanner, PlannerConfig


class OpenAICompatiblePlanner(LanguageModelPlanner):
    """A language model behind an address; its answers are treated as `LanguageModelPlanner` says.

    Args:
        model: name of the model, as the server knows it.
        base_url: address of the server, for example ``http://localhost:8000/v1``; OpenAI's own when absent.
        config: how the model is asked.
        chat: how the server is called, see `OpenAIChat`.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        config: PlannerConfig = PlannerConfig(),
        **chat: Any,
    ) -> None:
        super().__init__(OpenAIChat(model, base_url, **chat), config)
