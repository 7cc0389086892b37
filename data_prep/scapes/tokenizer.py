"""The tokenizer of the family: CLIP's byte-pair encoding with merges learnt from scapes captions.

Any text can be encoded (every byte is a token); words of the world are one token each. The end mark has the highest
number, which is where open_clip reads the text feature.
"""

import json
from collections.abc import Iterable

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTokenizer

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
TEXT_LENGTH = 77


def build_tokenizer(captions: Iterable[str], num_merges: int = 1024) -> CLIPTokenizer:
    """Learn merges from captions; deterministic for equal captions."""
    alphabet = sorted(ByteLevel.alphabet())
    reference = CLIPTokenizer().backend_tokenizer
    learner = Tokenizer(BPE(end_of_word_suffix=WORD_END))
    learner.normalizer, learner.pre_tokenizer = reference.normalizer, reference.pre_tokenizer
    size = 2 * len(alphabet) + num_merges
    trainer = BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, end_of_word_suffix=WORD_END, show_progress=False, min_frequency=2
    )
    learner.train_from_iterator(captions, trainer)
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    pieces = [*alphabet, *(letter + WORD_END for letter in alphabet), *("".join(pair) for pair in merges)]
    # A merge may spell a piece that is there already; numbers must stay dense.
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys([*pieces, BEGIN, END]))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TEXT_LENGTH)
