"""Captions by any server that speaks the OpenAI protocol: vLLM, Ollama, ``transformers serve``, OpenAI itself."""

from __future__ import annotations

from typing import Any

from lit_outpaint.captions.language_model import LanguageModelCaptioner, LanguageModelConfig
from lit_outpaint.chat.openai_chat import OpenAIChat


class OpenAICompatibleCaptioner(LanguageModelCaptioner):
    """A language model behind an address; see `LanguageModelCaptioner` for what is done with its answers.

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
        config: LanguageModelConfig = LanguageModelConfig(),
        **chat: Any,
    ) -> None:
        super().__init__(OpenAIChat(model, base_url, **chat), config.for_model(model))
