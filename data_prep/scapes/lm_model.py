"""ScapesLM: a small decoder-only chat model in the stock Llama layout, and its byte-level tokenizer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lit_outpaint.captions.prompts import load_prompt
from lit_outpaint.chat.requests import Message

MERGED, MAX_LENGTH = 896, 2048
"""Tokens learnt from captions, and the longest conversation in tokens."""
PAD, END = "<|pad|>", "<|end|>"
ROLES = {role: f"<|{role}|>" for role in ("system", "user", "assistant")}

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message.role + '|>' }}"
    "{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %}{% endif %}"
    "{{ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""A mark of the role, the text, a mark of the end; servers may send a text as a list of parts."""

ASKED_AS = {
    "imagine_prompt": "imagine.v1",
    "summarise_prompt": "summarise.v1",
    "next_local_prompt": "next_local.v1",
    "max_similarity": 1.0,
    "seed_per_step": False,
}
"""How it is asked, written beside its weights (``captioner.json``): it knows these prompts alone, and its teacher lets
a place go on for several steps."""


def fixed_phrases(prompts: Iterable[str]) -> list[str]:
    """What conversations over these prompts repeat word for word: the instructions, and the frames of answers."""
    phrases = ['{"captions": ["', '{"caption": "', '", "', '"]}', '"}']
    for name in prompts:
        prompt = load_prompt(name)
        *before, question = (turn.text for turn in prompt.turns)
        phrases += [*before, *re.split(r"\{[a-z_]+\}", question)]
    return [phrase for phrase in dict.fromkeys(phrases) if phrase]


def build_tokenizer(texts: Iterable[str], phrases: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """Learn byte-pair merges from texts; deterministic for equal texts, and any text can be encoded.

    Args:
        texts: what the merges are learnt from.
        phrases: each becomes one token; a small model need not read instructions that never change word by word.
    """
    learner = Tokenizer(BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.decoder = decoders.ByteLevel()
    marks = [PAD, END, *ROLES.values()]
    trainer = BpeTrainer(
        vocab_size=MERGED,
        special_tokens=marks,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    between = re.compile("|".join(map(re.escape, sorted(phrases, key=len, reverse=True))) or "$^")
    learner.train_from_iterator((part for text in texts for part in between.split(text)), trainer)
    learner.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=learner,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=list(ROLES.values()),
        padding_side="left",
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """The untrained model."""
    marks = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=160,
        intermediate_size=432,
        num_hidden_layers=4,
        num_attention_heads=5,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        **marks,
    )
    model = LlamaForCausalLM(config)
    # A temperature below 1 keeps answers varied and sound; greedy decoding works too.
    sampling = {"do_sample": True, "temperature": 0.7, "top_p": 0.95}
    model.generation_config = GenerationConfig(max_new_tokens=256, **sampling, **marks)
    return model


def chat_text(messages: Sequence[Message], answer: str = "") -> str:
    """The text of a conversation as the chat template makes it, up to and with the answer."""
    turns = "".join(f"{ROLES[message.role]}{message.text}{END}" for message in messages)
    return turns + ROLES["assistant"] + (answer + END if answer else "")
