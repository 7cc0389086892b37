"""Cheap proof that a shard set is whole: card, sizes, index. Reading every byte is ``python -m data_prep verify``.

Training calls this before step 0, since training after a failed preparation is the classic way to train on garbage.
"""

from pathlib import Path

from lit_outpaint.data.index import Index
from lit_outpaint.data.schema import EMPTY_NAME, INDEX_NAME, SPLITS, Card, FileCard, ShardError
from lit_outpaint.data.shard_set import ANEW, LocalSet, RemoteSet
from lit_outpaint.system.files import file_sha256


def check_shard_set(shards: Path | LocalSet | RemoteSet) -> tuple[Card, Index]:
    """Check everything that costs little: the card, every file's size, the checksums of the small files, the index.

    Args:
        shards: the set, or its directory.

    Returns:
        The card and the index.

    Raises:
        ShardError: the set is partial, truncated, mismatched or of another schema; the message names the file.
    """
    held = LocalSet(shards) if isinstance(shards, Path) else shards
    card, place = held.card, held.place
    tars = [shard for split in SPLITS for shard in card.shards.get(split, [])]
    files = {file.name: file for file in card.files}
    small = [files[name] for name in (INDEX_NAME, EMPTY_NAME) if name in files]
    sizes = held.sizes([file.name for file in (*tars, *small)])
    for shard in tars:
        _require_size(f"{place}/{shard.name}", sizes.get(shard.name), shard)
    for name in (INDEX_NAME, EMPTY_NAME):
        if name not in files:
            raise ShardError(f"the card of {place} does not name {name}; {ANEW}")
        _require_size(f"{place}/{name}", sizes.get(name), files[name])
        _require_sha256(f"{place}/{name}", held.path(name), files[name])
    index = Index.read(held.path(INDEX_NAME), {shard.name: shard.size for shard in tars})
    counts = index.samples_by_shard()
    for shard in tars:
        if counts.get(shard.name, 0) != shard.samples:
            raise ShardError(
                f"{place}/{shard.name} should hold {shard.samples} samples, the index has"
                f" {counts.get(shard.name, 0)}; {ANEW}"
            )
    return card, index


def check_size(directory: Path, file: FileCard) -> None:
    """Refuse a missing file or one of another size.

    Raises:
        ShardError: it is so.
    """
    path = directory / file.name
    _require_size(str(path), path.stat().st_size if path.is_file() else None, file)


def check_sha256(directory: Path, file: FileCard) -> None:
    """Refuse a file whose bytes changed.

    Raises:
        ShardError: the checksum differs.
    """
    _require_sha256(str(directory / file.name), directory / file.name, file)


def _require_size(place: str, size: int | None, file: FileCard) -> None:
    if size is None:
        raise ShardError(f"{place} is missing; the card names it; {ANEW}")
    if size != file.size:
        raise ShardError(f"{place} has {size} bytes, the card says {file.size}; {ANEW}")


def _require_sha256(place: str, path: Path, file: FileCard) -> None:
    if file_sha256(path) != file.sha256:
        raise ShardError(f"{place} differs from its checksum in the card; {ANEW}")
