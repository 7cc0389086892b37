"""Captions by a transformers chat or vision model in this process."""

from __future__ import annotations

from typing import Any

from lit_outpaint.captions.language_model import LanguageModelCaptioner, LanguageModelConfig
from lit_outpaint.chat.local_chat import LocalChat


class LocalCaptioner(LanguageModelCaptioner):
    """A language model in this process, on the GPU if there is one; questions of many threads ride in one batch.

    Args:
        path: directory or hub name of the model, safetensors only.
        config: how the model is asked.
        chat: how the model is run, see `LocalChat`.
    """

    def __init__(self, path: str, config: LanguageModelConfig = LanguageModelConfig(), **chat: Any) -> None:
        super().__init__(LocalChat(path, **chat), config.for_model(path))
