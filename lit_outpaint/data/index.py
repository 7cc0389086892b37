"""The index of a shard set: where every member of every sample lies inside the tars.

With it a sample is read by one ``pread`` per member, in any order and from any position, which plain tar reading cannot
do. One JSON object a line, in the order of the shards.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lit_outpaint.data.schema import SUFFIXES, ShardError, check_key


@dataclass(frozen=True)
class IndexEntry:
    """One sample: its shard and the (offset, size) of each member's bytes, in the order of ``schema.SUFFIXES``."""

    key: str
    shard: str
    spans: tuple[tuple[int, int], ...]

    def span(self, suffix: str) -> tuple[int, int]:
        """Offset and size of one member."""
        return self.spans[SUFFIXES.index(suffix)]

    def to_json(self) -> str:
        """The line of this sample."""
        members = {suffix: list(span) for suffix, span in zip(SUFFIXES, self.spans, strict=True)}
        return json.dumps({"key": self.key, "shard": self.shard, "members": members}, separators=(",", ":"))


def write_index(path: Path, entries: Iterable[IndexEntry]) -> None:
    """Write one line a sample."""
    path.write_text("".join(entry.to_json() + "\n" for entry in entries), encoding="ascii")


def read_index(path: Path, shard_sizes: dict[str, int]) -> list[IndexEntry]:
    """Read an index and check that it points into the shards.

    Args:
        path: the index file.
        shard_sizes: bytes of every shard that the card names; no other file is ever opened.

    Raises:
        ShardError: a line is damaged, a key comes twice, or a member lies outside its shard.
    """
    entries: list[IndexEntry] = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                members = row["members"]
                spans = tuple((int(members[s][0]), int(members[s][1])) for s in SUFFIXES)
                entry = IndexEntry(check_key(row["key"]), row["shard"], spans)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise ShardError(f"{path}:{number} is not an index line; prepare the shard set anew") from error
            size = shard_sizes.get(entry.shard, -1)
            if not all(offset >= 0 and length > 0 and offset + length <= size for offset, length in spans):
                raise ShardError(f"{path}:{number} points outside the shards of the card; prepare the shard set anew")
            entries.append(entry)
    if len({entry.key for entry in entries}) != len(entries):
        raise ShardError(f"{path} names a sample twice; prepare the shard set anew")
    return entries
