"""Train the language encoder of the family, which plays the part of T5-XL RankGen, from captions alone.

    python -m data_prep.scapes.train_language_encoder --work runs/family --out models/scapes

Stock ``T5EncoderModel`` layout. It learns the tasks of ``language_tasks`` together with a decoder of one layer, which
is thrown away. One thread is enough: ``OMP_NUM_THREADS=1``.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel, T5ForConditionalGeneration

from data_prep.scapes.command import arguments, record
from data_prep.scapes.language_tasks import PREFIX, SUFFIX, Captions, Pair, captions_of, corrupted, document, pair
from data_prep.scapes.training import Budget, train

BATCH, SPANS, MERGED, MAX_TOKENS = 16, 32, 1024, 256
"""Windows of a step, marks for spans, size of the vocabulary, and the longest text in tokens."""
PAD, END = "<pad>", "</s>"
RANKING_WEIGHT, SCALE = 1.0, 20.0
"""Weight of the ranking beside the denoising, and what cosines are multiplied by before the softmax."""


class LanguageTrainer(nn.Module):
    """Encoder, decoder and the projection that is ranked by; the encoder alone is kept."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        self.t5 = T5ForConditionalGeneration(new_config(tokenizer))
        self.projection = nn.Linear(self.t5.config.d_model, 128, bias=False)

    def denoising(self, input_ids: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the spans that were cut out; labels of -100 do not count."""
        mask = (input_ids != self.t5.config.pad_token_id).long()
        return self.t5(input_ids=input_ids, attention_mask=mask, labels=labels).loss

    def vectors(self, input_ids: Tensor) -> Float[Tensor, "b d"]:
        """Unit vectors of texts: the projected mean of their tokens."""
        mask = (input_ids != self.t5.config.pad_token_id).long()
        hidden = self.t5.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        weight = mask[..., None] / mask.sum(dim=1)[:, None, None]
        return normalize(self.projection((hidden * weight).sum(dim=1)).float(), dim=1)


def ranking(
    prefix: Float[Tensor, "b d"], suffix: Float[Tensor, "b d"], near_miss: Float[Tensor, "b d"]
) -> dict[str, Tensor]:
    """Symmetric cross-entropy of the right suffix among all suffixes and near misses of the batch.

    Returns:
        ``rank``, the loss, and ``near``, the share of near misses that are told from the right suffix.
    """
    target = torch.arange(len(prefix))
    candidates = torch.cat([suffix, near_miss])
    forward = cross_entropy(SCALE * prefix @ candidates.T, target)
    backward = cross_entropy(SCALE * suffix @ prefix.T, target)
    told = ((prefix * suffix).sum(dim=1) > (prefix * near_miss).sum(dim=1)).float().mean()
    return {"rank": (forward + backward) / 2, "near": told}


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Byte-level byte-pair encoding in T5's numbering: 0 pads, 1 ends, the last ``SPANS`` mark spans."""
    learner = Tokenizer(BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = BpeTrainer(
        vocab_size=MERGED - SPANS, special_tokens=[PAD, END], initial_alphabet=alphabet, show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    marks = [f"<extra_id_{i}>" for i in range(SPANS)]
    learner.add_special_tokens(marks)
    learner.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=learner,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=marks,
        model_max_length=MAX_TOKENS,
        clean_up_tokenization_spaces=False,
    )


def new_config(tokenizer: PreTrainedTokenizerFast) -> T5Config:
    """Sizes of the encoder (1.4 M parameters) and of the decoder that is thrown away."""
    return T5Config(
        vocab_size=len(tokenizer),
        d_model=160,
        d_kv=32,
        d_ff=432,
        num_heads=5,
        num_layers=4,
        num_decoder_layers=1,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )


class Batches:
    """What a step learns from; it follows from the seed and the step alone.

    Args:
        tokenizer: of the encoder.
        windows: how many training windows there are captions of.
        seed: of windows and batches.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, windows: int, seed: int) -> None:
        self.tokenizer, self.windows, self.seed = tokenizer, windows, seed
        self.sentinels = tokenizer.convert_tokens_to_ids([f"<extra_id_{i}>" for i in range(SPANS)])
        self.captions = lru_cache(maxsize=windows)(self._captions)

    def __call__(self, step: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
        """Documents with their labels; prefixes, suffixes and near misses."""
        rng = random.Random(f"{self.seed} language {step}")
        drawn = [self.captions(index) for index in rng.sample(range(self.windows), BATCH)]
        return self.documents([document(captions, rng) for captions in drawn], step), self.pairs(
            [pair(captions, rng) for captions in drawn]
        )

    def documents(self, texts: list[str], step: int) -> tuple[Tensor, Tensor]:
        """Token numbers with spans cut out, and the labels, -100 where padded."""
        rng = np.random.default_rng((self.seed, step))
        encoded = self.tokenizer(texts, add_special_tokens=False, truncation=True).input_ids
        cut = [corrupted(tokens, self.sentinels, rng) for tokens in encoded]
        end = self.tokenizer.eos_token_id
        return padded([[*source, end] for source, _ in cut], 0), padded([[*target, end] for _, target in cut], -100)

    def pairs(self, pairs: list[Pair]) -> tuple[Tensor, Tensor, Tensor]:
        """Token numbers of each column, padded."""
        columns = (list(texts) for texts in zip(*pairs, strict=True))
        prefix, suffix, near_miss = (padded(self.tokenizer(c, truncation=True).input_ids, 0) for c in columns)
        return prefix, suffix, near_miss

    def _captions(self, index: int) -> Captions:
        return captions_of(index, self.seed)


def padded(rows: list[list[int]], value: int) -> Tensor:
    """Rows of equal length, filled up at the end."""
    length = max(map(len, rows))
    return torch.tensor([row + [value] * (length - len(row)) for row in rows])


def main() -> None:
    """Command line."""
    args = arguments(__doc__, minutes=10, lr=3e-3, windows=12_000)
    known = (captions_of(index, args.seed) for index in range(2000))
    texts = (text for captions in known for text in (*captions.short, captions.dense, PREFIX, SUFFIX))
    tokenizer = build_tokenizer(texts)
    model = LanguageTrainer(tokenizer)
    batches = Batches(tokenizer, args.windows, args.seed)

    def loss(step: int) -> dict[str, Tensor]:
        (source, labels), pairs = batches(step)
        denoising = model.denoising(source, labels)  # float32: at this width bfloat16 takes twice the time on a CPU
        prefix, suffixes = model.vectors(pairs[0]), model.vectors(_stacked(pairs[1], pairs[2]))
        ranked = ranking(prefix, *suffixes.chunk(2))
        return {"loss": denoising + RANKING_WEIGHT * ranked["rank"], "denoise": denoising, **ranked}

    spent = train(model, loss, Budget(minutes=args.minutes, lr=args.lr), args.work / "language")
    encoder = T5EncoderModel(model.t5.config)
    encoder.load_state_dict({k: v for k, v in model.t5.state_dict().items() if k in encoder.state_dict()})
    encoder.half().save_pretrained(args.out / "language")
    tokenizer.save_pretrained(args.out / "language")
    record(args, "language", spent, sum(p.numel() for p in encoder.parameters()))


def _stacked(*parts: Tensor) -> Tensor:
    """Rows of several batches in one, padded to the longest."""
    return padded([row for part in parts for row in part.tolist()], 0)


if __name__ == "__main__":
    main()
