"""Cheap proof that a shard set is whole: card, sizes, index. Reading every byte is ``python -m data_prep verify``.

Training calls this before step 0, since going on after a failed preparation is the classic way to train on garbage.
"""

import json
from pathlib import Path

from pydantic import ValidationError

from lit_outpaint.data.fingerprint import file_sha256
from lit_outpaint.data.index import Index
from lit_outpaint.data.schema import (
    CARD_NAME,
    EMPTY_NAME,
    INDEX_NAME,
    SCHEMA_VERSION,
    SPLITS,
    Card,
    FileCard,
    ShardError,
)

_ANEW = "prepare it anew with `python -m data_prep all`"


def load_card(directory: Path) -> Card:
    """Read and check ``card.json``.

    Raises:
        ShardError: the directory or the card is missing, of another schema version, or was edited.
    """
    path = directory / CARD_NAME
    if not directory.is_dir():
        raise ShardError(
            f"{directory} is not a directory of shards; write one with `python -m data_prep all --out DIR`"
        )
    if not path.is_file():
        unfinished = any(directory.glob("*.tar")) or (directory / "work").exists()
        state = "preparation did not finish" if unfinished else "it is not a shard set"
        raise ShardError(f"{directory} holds no {CARD_NAME}: {state}; {_ANEW}")
    try:
        content = json.loads(path.read_bytes())
        version = content.get("schema_version")
    except (ValueError, AttributeError) as error:
        raise ShardError(f"{path} is not a card; {_ANEW}") from error
    if version != SCHEMA_VERSION:
        raise ShardError(f"{path} is of schema version {version}, this program reads {SCHEMA_VERSION}; {_ANEW}")
    try:
        card = Card.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ShardError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; {_ANEW}") from error
    if card.sha256 != card.digest():
        raise ShardError(f"{path} was edited after it was written (its checksum differs); {_ANEW}")
    return card


def check_shard_set(directory: Path) -> tuple[Card, Index]:
    """Check everything that costs little: the card, every file's size, the checksums of the small files, the index.

    Returns:
        The card and the index.

    Raises:
        ShardError: the set is partial, truncated, mismatched or of another schema; the message names the file.
    """
    card = load_card(directory)
    shards = [shard for split in SPLITS for shard in card.shards.get(split, [])]
    for file in shards:
        check_size(directory, file)
    files = {file.name: file for file in card.files}
    for name in (INDEX_NAME, EMPTY_NAME):
        if name not in files:
            raise ShardError(f"{directory / CARD_NAME} does not name {name}; {_ANEW}")
        check_size(directory, files[name])
        check_sha256(directory, files[name])
    index = Index.read(directory / INDEX_NAME, {shard.name: shard.size for shard in shards})
    counts = index.samples_by_shard()
    for shard in shards:
        if counts.get(shard.name, 0) != shard.samples:
            raise ShardError(
                f"{directory / shard.name} should hold {shard.samples} samples, the index has"
                f" {counts.get(shard.name, 0)}; {_ANEW}"
            )
    return card, index


def check_size(directory: Path, file: FileCard) -> None:
    """Refuse a missing file or one of another size.

    Raises:
        ShardError: it is so.
    """
    path = directory / file.name
    if not path.is_file():
        raise ShardError(f"{path} is missing; the card names it; {_ANEW}")
    if path.stat().st_size != file.size:
        raise ShardError(f"{path} has {path.stat().st_size} bytes, the card says {file.size}; {_ANEW}")


def check_sha256(directory: Path, file: FileCard) -> None:
    """Refuse a file whose bytes changed.

    Raises:
        ShardError: the checksum differs.
    """
    path = directory / file.name
    if file_sha256(path) != file.sha256:
        raise ShardError(f"{path} differs from its checksum in the card; {_ANEW}")
