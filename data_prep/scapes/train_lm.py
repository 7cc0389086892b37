"""Train ScapesLM, the language model of the embedded default, from captions alone.

    python -m data_prep.scapes.train_lm --work runs/family --out models/scapes

It learns to answer the prompts of ``lit_outpaint.captions.prompts``. Examples are made once by the rules of
``lm_tasks`` from the annotated captions of training windows; no picture, no fact of the world and no panorama is used.
One thread is enough: ``OMP_NUM_THREADS=1``.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy, linear
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from data_prep.scapes.command import arguments, record
from data_prep.scapes.lm_corpus import annotated
from data_prep.scapes.lm_model import build_tokenizer, chat_text, new_model
from data_prep.scapes.lm_tasks import Example, Task, Teacher
from data_prep.scapes.training import Budget, train

logger = logging.getLogger(__name__)

EXAMPLES: dict[Task, int] = {"imagine": 26_000, "summarise": 20_000, "next_local": 18_000}
"""How many examples of each task are made; those of imagine are short, and counting to n takes many."""
TOKENS_PER_BATCH = 4096
PROMPT_WEIGHT, PROMPT_STRIDE = 0.5, 8
"""Weight of predicting every eighth token of a prompt (1 for an answer): prompts repeat words, and so teach to copy."""
HEAD_WEIGHT, MARK_WEIGHT = 16.0, 4.0
"""Weights of the few tokens of an answer that must not be guessed: the opening of a summary, which names the global
attributes, and quotation marks, which end captions and, after the last one that was asked for, the list."""
TOKENIZER_EXAMPLES = 4000


def examples(windows: int, seed: int) -> Iterator[Example]:
    """All training examples, in an order that mixes the tasks."""
    teacher = Teacher(annotated(windows, seed=seed))
    order = np.random.default_rng((seed, 6)).permutation(np.repeat(list(EXAMPLES), list(EXAMPLES.values())))
    for index, task in enumerate(order.tolist()):
        yield teacher.example(task, random.Random(f"{seed} {index}"))


class TokenArrays:
    """Examples as token numbers, made once and kept in a file.

    Attributes:
        tokens: of all examples, one after the other, int16.
        starts: where each begins, and the end of the last.
        colon: number of the token that ends the opening of a summary.
        marks: numbers of the tokens with a quotation mark.
        prompts: how many tokens of each are the prompt.
    """

    def __init__(self, path: Path, tokenizer: PreTrainedTokenizerFast, made: Iterator[Example]) -> None:
        if not path.exists():
            _write_arrays(path, tokenizer, made)
        with np.load(path) as file:
            self.tokens, self.starts, self.prompts = file["tokens"], file["starts"], file["prompts"]
        vocabulary = tokenizer.get_vocab()
        self.colon = vocabulary[":"]
        self.marks = np.array([number for token, number in vocabulary.items() if '"' in token])

    def batches(self, epoch: int, seed: int) -> list[np.ndarray]:
        """Numbers of examples of similar length, each batch at most ``TOKENS_PER_BATCH`` tokens with its padding."""
        rng = np.random.default_rng((seed, 7, epoch))
        lengths = np.diff(self.starts)
        batches, batch = [], list[int]()
        for index in np.argsort(lengths + rng.uniform(0, 8, len(lengths))):
            if batch and (len(batch) + 1) * max(lengths[index], lengths[batch].max()) > TOKENS_PER_BATCH:
                batches.append(np.array(batch))
                batch = []
            batch.append(int(index))
        batches.append(np.array(batch))
        return [batches[i] for i in rng.permutation(len(batches))]

    def padded(self, batch: np.ndarray) -> tuple[Tensor, Tensor]:
        """Token numbers ``(B, L)`` and the weight of predicting each from those before it ``(B, L)``."""
        lengths = np.diff(self.starts)[batch]
        tokens, weights = (
            np.zeros((len(batch), lengths.max()), np.int64),
            np.zeros((len(batch), lengths.max()), np.float32),
        )
        for row, (index, length) in enumerate(zip(batch, lengths, strict=True)):
            tokens[row, :length] = self.tokens[self.starts[index] : self.starts[index + 1]]
            weights[row, index % PROMPT_STRIDE : length : PROMPT_STRIDE] = PROMPT_WEIGHT
            weights[row, self.prompts[index] : length] = self._answer_weights(tokens[row, self.prompts[index] : length])
        return torch.from_numpy(tokens), torch.from_numpy(weights)

    def _answer_weights(self, answer: np.ndarray) -> np.ndarray:
        weights = np.where(np.isin(answer, self.marks), MARK_WEIGHT, 1.0)
        colons = np.flatnonzero(answer == self.colon)
        weights[: colons[0] if len(colons) else 0] = HEAD_WEIGHT
        return weights


def _write_arrays(path: Path, tokenizer: PreTrainedTokenizerFast, made: Iterator[Example]) -> None:
    tokens, starts, prompts = list[np.ndarray](), [0], list[int]()
    for example in made:
        prompt = tokenizer.backend_tokenizer.encode(chat_text(example.messages)).ids
        both = tokenizer.backend_tokenizer.encode(chat_text(example.messages, example.answer)).ids
        tokens.append(np.array(both, np.int16))
        starts.append(starts[-1] + len(both))
        prompts.append(len(prompt))
        if len(prompts) % 10_000 == 0:
            logger.info("%d examples, %.0f tokens each", len(prompts), starts[-1] / len(prompts))
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, tokens=np.concatenate(tokens), starts=np.array(starts), prompts=np.array(prompts))
    partial.rename(path)


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


def load_tokenizer(folder: Path, windows: int, seed: int) -> PreTrainedTokenizerFast:
    """The tokenizer of the work folder, made if it is missing."""
    if not (folder / "tokenizer.json").exists():
        made = islice(examples(windows, seed), TOKENIZER_EXAMPLES)
        texts = (text for example in made for text in (*(m.text for m in example.messages), example.answer))
        build_tokenizer(texts).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def main() -> None:
    """Command line."""
    args = arguments(__doc__, minutes=28, lr=3e-3, windows=12_000)
    work = args.work / "lm"
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(work / "tokenizer", args.windows, args.seed)
    arrays = TokenArrays(work / "examples.npz", tokenizer, examples(args.windows, args.seed))
    model: LlamaForCausalLM = new_model(tokenizer)
    batches = lru_cache(maxsize=2)(partial(arrays.batches, seed=args.seed))

    def loss(step: int) -> dict[str, Tensor]:
        # All epochs have nearly as many batches; the first one's count tells which epoch a step belongs to.
        epoch, index = divmod(step, len(batches(0)))
        shuffled = batches(epoch)
        return answer_loss(model, *arrays.padded(shuffled[index % len(shuffled)]))

    spent = train(model, loss, Budget(minutes=args.minutes, lr=args.lr), work)
    model.half().save_pretrained(args.out / "lm")
    tokenizer.save_pretrained(args.out / "lm")
    record(args, "lm", spent, sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
