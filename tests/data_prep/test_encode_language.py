"""Language features in shards: what is stored, what the card says, and what is refused."""

from pathlib import Path

import pytest
import torch

from data_prep.verify import verify
from lit_outpaint.data.fingerprint import require_same_language
from lit_outpaint.data.integrity import check_shard_set
from lit_outpaint.data.schema import (
    EMPTY_NAME,
    LANGUAGE_EMPTY,
    LANGUAGE_GLOBAL,
    LANGUAGE_LOCAL,
    SampleRecord,
    ShardError,
)
from lit_outpaint.data.shard_files import ShardFiles
from lit_outpaint.data.tensors import unpack_tensors
from lit_outpaint.models.language import CausalLanguage

LANGUAGE = CausalLanguage(path="models/scapes/lm", length=24, prefix="pre ")


def test_features_are_those_of_the_captions_and_of_none(spoken_shards: Path) -> None:
    _, entries = check_shard_set(spoken_shards)
    files, encoder = ShardFiles(spoken_shards), LANGUAGE.build()
    for position in range(3):
        tensors = unpack_tensors(files.read(entries[position], "safetensors"), [LANGUAGE_LOCAL, LANGUAGE_GLOBAL])
        record = SampleRecord.model_validate_json(bytes(files.read(entries[position], "json")))
        expected = encoder.encode([record.local_caption, record.global_caption])
        stored = torch.stack([tensors[LANGUAGE_LOCAL], tensors[LANGUAGE_GLOBAL]])
        torch.testing.assert_close(stored, expected, atol=1e-2, rtol=1e-2)
    empty = unpack_tensors(bytearray((spoken_shards / EMPTY_NAME).read_bytes()), [LANGUAGE_EMPTY])[LANGUAGE_EMPTY]
    torch.testing.assert_close(empty, encoder.encode([""])[0], atol=1e-2, rtol=1e-2)


def test_the_card_names_the_encoder_and_the_set_verifies(spoken_shards: Path) -> None:
    card = verify(spoken_shards)
    assert card.language == LANGUAGE.card()
    assert card.features[LANGUAGE_LOCAL] == card.features[LANGUAGE_GLOBAL] == (24, 160)


def test_a_part_of_the_captions_is_dense(spoken_shards: Path) -> None:
    _, entries = check_shard_set(spoken_shards)
    files = ShardFiles(spoken_shards)
    records = [SampleRecord.model_validate_json(bytes(files.read(entry, "json"))) for entry in entries.at(range(17))]
    words = [len(record.local_caption.split()) for record in records]
    assert max(words) >= 40
    assert min(words) < 40


def test_another_encoder_or_another_way_to_read_it_is_refused(spoken_shards: Path, shards: Path) -> None:
    card, _ = check_shard_set(spoken_shards)
    require_same_language(card, LANGUAGE.card())
    with pytest.raises(ShardError, match="prefix 'pre '"):
        require_same_language(card, CausalLanguage(path="models/scapes/lm", length=24).card())
    silent, _ = check_shard_set(shards)
    with pytest.raises(ShardError, match="no language features"):
        require_same_language(silent, LANGUAGE.card())


def test_sets_without_language_say_nothing_of_it(shards: Path) -> None:
    card, _ = check_shard_set(shards)
    assert not card.language
    assert "language" not in card.settings
    assert "language_global" not in card.settings
