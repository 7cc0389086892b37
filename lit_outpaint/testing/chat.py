"""Toy chat models for tests: random weights, so their answers are nonsense, in the layout of real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

_START, _END, _PAD, _IMAGE = "<|start|>", "<|end|>", "<|pad|>", "<image>"
_TEXTS: Final = ('{"caption": "a red barn beside a still lake"}', '{"captions": ["tall pines", "a stone bridge"]}')
_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{% if message.role == 'system' and no_system %}{{ raise_exception('no system turn') }}{% endif %}"
    "<|start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
    "<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def toy_chat_tokenizer(texts: Sequence[str] = _TEXTS, *, system_turn: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with a chat template; any text goes through it unchanged.

    Args:
        texts: its few merges are learnt from them.
        system_turn: whether the template takes one; some models' templates refuse.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[_PAD, _START, _END, _IMAGE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=_PAD, eos_token=_END)
    fast.chat_template = _TEMPLATE.replace("no_system", "false" if system_turn else "true")
    return fast


def build_toy_chat(directory: Path, *, seed: int = 0, positions: int = 2048, system_turn: bool = True) -> Path:
    """Save a Llama of some thousand random weights and return its directory."""
    tokenizer = toy_chat_tokenizer(system_turn=system_turn)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LlamaForCausalLM(_llama(tokenizer, positions)).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def build_toy_vision_chat(directory: Path) -> Path:
    """Save a Llava of some thousand random weights, which sees pictures as four tokens, and return its directory."""
    tokenizer = toy_chat_tokenizer()
    vision = CLIPVisionConfig(
        image_size=28, patch_size=14, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=_llama(tokenizer, 2048),
        image_token_index=tokenizer.convert_tokens_to_ids(_IMAGE),
        image_seq_length=4,
    )
    side = {"height": 28, "width": 28}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size=side, crop_size=side),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=tokenizer.chat_template,
        num_additional_image_tokens=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlavaForConditionalGeneration(config).save_pretrained(directory)
    processor.save_pretrained(directory)
    return directory


def _llama(tokenizer: PreTrainedTokenizerFast, positions: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=positions,
        # A wide start: with the usual one the logits lie so close that rounding decides.
        initializer_range=0.5,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
