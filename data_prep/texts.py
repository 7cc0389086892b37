"""``texts``: the captions of a shard set, one a line: to be read, or to be given to another captioner."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_prep.tars import read_samples
from lit_outpaint.data.schema import RECORD_SUFFIX, SUFFIXES, SampleRecord, Split
from lit_outpaint.data.shard_set import load_card

TextKind = Literal["local", "imaginary", "global"]


def texts(directory: Path, kind: TextKind, split: Split = "train") -> Iterator[str]:
    """Captions of one kind, sample by sample in the order of the shards, as they were written.

    Args:
        directory: of the shard set.
        kind: ``local``: the annotated caption that training reads. ``imaginary``: those of the surroundings, several a
            sample. ``global``: the summary.
        split: of the set.

    Raises:
        ShardError: the set is partial or damaged.
    """
    for shard in load_card(directory).shards.get(split, []):
        for _, members in read_samples(directory / shard.name, SUFFIXES):
            record = SampleRecord.model_validate_json(members[RECORD_SUFFIX].data)
            yield from _of_kind(record, kind)


def _of_kind(record: SampleRecord, kind: TextKind) -> list[str]:
    if kind == "imaginary":
        return record.imaginary_captions
    return [record.local_captions[record.local_index] if kind == "local" else record.global_caption]
