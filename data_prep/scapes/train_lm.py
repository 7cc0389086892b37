"""Train ScapesLM, the language model of the embedded default, from captions alone.

    python -m data_prep.scapes.train_lm --work runs/family --out models/scapes

It learns to answer the prompts of ``lit_outpaint.captions.prompts``. Examples are made once by the rules of
``lm_tasks`` from the annotated captions of training windows; no picture, no fact of the world and no panorama is used.
One thread is enough: ``OMP_NUM_THREADS=1``.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator
from functools import lru_cache
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy, linear
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from data_prep.scapes.command import arguments, record
from data_prep.scapes.lm_corpus import annotated
from data_prep.scapes.lm_model import ASKED_AS, build_tokenizer, chat_text, fixed_phrases, new_model
from data_prep.scapes.lm_tasks import TASKS, Example, Task, Teacher
from data_prep.scapes.training import Budget, train
from lit_outpaint.captions.language_model import MODEL_SETTINGS_NAME

logger = logging.getLogger(__name__)

SHARES: dict[Task, float] = {"imagine": 0.4, "summarise": 0.35, "next_local": 0.25}
"""How often each task is drawn."""
SHORT_STEPS, SHORT_SHARE = 600, 0.3
"""For this many steps all examples are short ones, later this share: finding a word among few captions and counting to
three are learnt in minutes, and what has been learnt there carries over to long ones."""
TOKENS_PER_BATCH, POOL = 3072, 16
"""Tokens of a batch on average, and batches drawn at once, so that the examples of one are of similar length."""
LENGTH_JITTER = 32
"""By how many tokens the lengths in a batch may differ more than sorting makes them, so that it mixes tasks."""
PROMPT_WEIGHT, PROMPT_STRIDE = 0.5, 4
"""Weight of predicting every fourth token of a prompt (1 for an answer): prompts repeat words, and so teach to copy."""
HEAD_WEIGHT, MARK_WEIGHT = 16.0, 4.0
"""Weights of the few tokens of an answer that must not be guessed: the opening of a summary, which names the global
attributes, and quotation marks, which end captions and, after the last one that was asked for, the list."""
TOKENIZER_EXAMPLES = 4000


def examples(teacher: Teacher, seed: int) -> Iterator[Example]:
    """Training examples without end, tasks and lengths mixed."""
    for index in count():
        yield drawn(teacher, random.Random(f"{seed} {index}"), SHORT_SHARE)


def drawn(teacher: Teacher, rng: random.Random, short: float) -> Example:
    """An example of any task, a short one with a probability of ``short``."""
    task = rng.choices(list(SHARES), list(SHARES.values()))[0]
    return teacher.example(task, rng, short=rng.random() < short)


class Batches:
    """Padded batches without end; each follows from the seed and the step alone.

    Args:
        teacher: makes the examples.
        tokenizer: with the marks of the chat.
        seed: of the examples.
        tokens_per_batch: mean number of tokens in a batch, padding not counted.
    """

    def __init__(
        self, teacher: Teacher, tokenizer: PreTrainedTokenizerFast, seed: int, tokens_per_batch: int = TOKENS_PER_BATCH
    ) -> None:
        self.teacher, self.tokenizer, self.seed = teacher, tokenizer, seed
        self.tokens_per_batch = tokens_per_batch
        vocabulary = tokenizer.get_vocab()
        self.colon = vocabulary[":"]
        self.marks = np.array([number for token, number in vocabulary.items() if '"' in token])
        self._pool = lru_cache(maxsize=1)(self._new_pool)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Token numbers ``(B, L)`` and the weight of predicting each from those before it ``(B, L)``."""
        number, index = divmod(step, POOL)
        return self._pool(number)[index]

    def encoded(self, example: Example) -> tuple[np.ndarray, np.ndarray]:
        """Token numbers and weights of one example."""
        encode = self.tokenizer.backend_tokenizer.encode
        tokens = np.array(encode(chat_text(example.messages, example.answer)).ids)
        start = len(encode(chat_text(example.messages)).ids)
        answer = tokens[start:]
        weights = np.zeros(len(tokens), np.float32)
        weights[len(tokens) % PROMPT_STRIDE : start : PROMPT_STRIDE] = PROMPT_WEIGHT
        weights[start:] = np.where(np.isin(answer, self.marks), MARK_WEIGHT, 1.0)
        colons = np.flatnonzero(answer == self.colon)
        weights[start : start + (colons[0] if len(colons) else 0)] = HEAD_WEIGHT
        return tokens, weights

    def _new_pool(self, number: int) -> list[tuple[Tensor, Tensor]]:
        rng = random.Random(f"{self.seed} pool {number}")
        short = 1.0 if number * POOL < SHORT_STEPS else SHORT_SHARE
        rows, size = list[tuple[np.ndarray, np.ndarray]](), 0
        while size < POOL * self.tokens_per_batch:
            rows.append(self.encoded(drawn(self.teacher, rng, short)))
            size += len(rows[-1][0])
        rows.sort(key=lambda row: len(row[0]) + rng.uniform(0, LENGTH_JITTER))
        ends = np.cumsum([len(tokens) for tokens, _ in rows])
        batch_of = np.minimum(ends * POOL // ends[-1], POOL - 1)
        batches = [_padded([row for row, of in zip(rows, batch_of, strict=True) if of == i]) for i in range(POOL)]
        rng.shuffle(batches)
        return batches


def _padded(rows: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    length = max(len(tokens) for tokens, _ in rows)
    tokens, weights = np.zeros((len(rows), length), np.int64), np.zeros((len(rows), length), np.float32)
    for i, (row_tokens, row_weights) in enumerate(rows):
        tokens[i, : len(row_tokens)], weights[i, : len(row_weights)] = row_tokens, row_weights
    return torch.from_numpy(tokens), torch.from_numpy(weights)


def answer_loss(model: LlamaForCausalLM, tokens: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Weighted cross-entropy of the next token; beside it that of answers and the share of their tokens that are right.

    Args:
        model: a causal language model; rows are padded at the end, which a causal model does not see.
        tokens: ``(B, L)``.
        weights: of predicting each token ``(B, L)``; at least 1 in an answer.
    """
    target, weight = tokens[:, 1:].flatten(), weights[:, 1:].flatten()
    kept = weight > 0
    target, weight = target[kept], weight[kept]
    # Half-precision copies of the weights: autocast would also copy activations to and fro, which costs a sixth more.
    half = {name: parameter.bfloat16() for name, parameter in model.model.named_parameters()}
    inputs = {"input_ids": tokens[:, :-1], "use_cache": False}
    hidden = functional_call(model.model, half, kwargs=inputs).last_hidden_state
    logits = linear(hidden.flatten(0, 1)[kept], half["embed_tokens.weight"]).float()
    losses = cross_entropy(logits, target, reduction="none")
    answer = weight >= 1
    right = (logits.detach().argmax(dim=1) == target)[answer].float().mean()
    return {"loss": (losses * weight).sum() / weight.sum(), "answer": losses.detach()[answer].mean(), "right": right}


def load_tokenizer(folder: Path, teacher: Teacher, seed: int) -> PreTrainedTokenizerFast:
    """The tokenizer of the work folder, made if it is missing."""
    if not (folder / "tokenizer.json").exists():
        made = islice(examples(teacher, seed), TOKENIZER_EXAMPLES)
        texts = (text for example in made for text in (*(m.text for m in example.messages), example.answer))
        build_tokenizer(texts, fixed_phrases(f"{task}.v1" for task in TASKS)).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def main() -> None:
    """Command line."""
    args = arguments(__doc__, minutes=60, lr=3e-3, windows=12_000)
    work = args.work / "lm"
    work.mkdir(parents=True, exist_ok=True)
    teacher = Teacher(annotated(args.windows, seed=args.seed))
    tokenizer = load_tokenizer(work / "tokenizer", teacher, args.seed)
    batches = Batches(teacher, tokenizer, args.seed)
    model: LlamaForCausalLM = new_model(tokenizer)
    model.to(args.device)  # type: ignore[arg-type]
    # On short rows the plain form of attention is the faster one on a CPU.
    model.set_attn_implementation("eager")

    def loss(step: int) -> dict[str, Tensor]:
        tokens, weights = batches(step)
        return answer_loss(model, tokens.to(args.device), weights.to(args.device))

    spent = train(model, loss, Budget(minutes=args.minutes, lr=args.lr), work)
    model.half().save_pretrained(args.out / "lm")
    tokenizer.save_pretrained(args.out / "lm")
    (args.out / "lm" / MODEL_SETTINGS_NAME).write_text(json.dumps(ASKED_AS, indent=2) + "\n")
    record(args, "lm", spent, sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
