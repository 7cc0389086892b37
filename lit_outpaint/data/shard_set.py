"""Where a shard set lies: in a directory, or behind a URL with copies on this machine."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from lit_outpaint.data.remote import RemoteFiles
from lit_outpaint.data.schema import CARD_NAME, SCHEMA_VERSION, Card, ShardError
from lit_outpaint.data.shard_cache import ShardCache

ANEW: Final = "prepare it again with `python -m data_prep all`"


class LocalSet:
    """A shard set in a directory."""

    def __init__(self, directory: Path) -> None:
        """Read the card.

        Raises:
            ShardError: see `load_card`.
        """
        self.place = str(directory)
        self.card = load_card(directory)
        self._directory = directory

    def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """Bytes of files; those that are missing are left out."""
        paths = {name: self._directory / name for name in names}
        return {name: path.stat().st_size for name, path in paths.items() if path.is_file()}

    def path(self, name: str) -> Path:
        """A file of the set."""
        return self._directory / name


class RemoteSet:
    """A shard set behind a URL; each file comes into the cache when it is first read."""

    def __init__(self, url: str, cache: ShardCache) -> None:
        """Fetch the card.

        Args:
            url: of the directory, as fsspec takes it.
            cache: where copies go.

        Raises:
            ShardError: there is no card, it does not fit, or the cache is too small for a shard.
        """
        self.place = url.rstrip("/")
        self.cache = cache
        self._files = RemoteFiles(url)
        self.card = read_card(self._files.read(CARD_NAME), f"{self.place}/{CARD_NAME}")
        shards = [shard for split in self.card.shards.values() for shard in split]
        self._cards = {file.name: file for file in [*shards, *self.card.files]}
        largest = max((file.size for file in self._cards.values()), default=0)
        if largest > cache.limit_bytes:
            raise ShardError(
                f"the cache of {self.place} must hold its largest file, {largest / 2**30:.2g} GiB; raise cache_gib"
            )

    def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """Bytes of files; those that are missing are left out."""
        return self._files.sizes(names)

    def path(self, name: str) -> Path:
        """A copy of a file of the set, which may give way to others at any time; its bytes are those of the card."""
        file = self._cards[name]
        return self.cache.get(file, lambda target: self._files.fetch(file, target))


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
        raise ShardError(f"{directory} holds no {CARD_NAME}: {state}; {ANEW}")
    return read_card(path.read_bytes(), str(path))


def read_card(data: bytes, place: str) -> Card:
    """Parse and check a card.

    Args:
        data: the file.
        place: where it is, for messages.

    Raises:
        ShardError: it is of another schema version, or was edited.
    """
    try:
        content = json.loads(data)
        version = content.get("schema_version")
    except (ValueError, AttributeError) as error:
        raise ShardError(f"{place} is not a card; {ANEW}") from error
    if version != SCHEMA_VERSION:
        raise ShardError(f"{place} is of schema version {version}, this program reads {SCHEMA_VERSION}; {ANEW}")
    try:
        card = Card.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ShardError(f"{place}: {'.'.join(map(str, first['loc']))}: {first['msg']}; {ANEW}") from error
    if card.sha256 != card.digest():
        raise ShardError(f"{place} was edited after it was written (its checksum differs); {ANEW}")
    return card
