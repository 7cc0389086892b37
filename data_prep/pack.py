"""The ``pack`` stage: shards, index and card. The card comes last, so a set that has one is complete."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from data_prep.atomic import write_atomic
from data_prep.caption import read_captions
from data_prep.config import EncodeConfig
from data_prep.engines import Engine
from data_prep.progress import say
from data_prep.published import replace_set
from data_prep.source import count_words
from data_prep.tars import TarWriter, read_samples
from data_prep.text import sum_text_cards
from data_prep.work import SHAPES_NAME, TEXT_SUFFIX, Work
from lit_outpaint.data.index import IndexEntry, write_index
from lit_outpaint.data.schema import (
    CARD_NAME,
    EMPTY_NAME,
    EVALSET_DIR,
    IMAGE_SUFFIX,
    INDEX_NAME,
    RECORD_SUFFIX,
    SPLITS,
    TENSOR_SUFFIX,
    Card,
    FileCard,
    SampleRecord,
    ShardCard,
    ShardError,
    Split,
    TextCard,
    shard_name,
)
from lit_outpaint.system.files import file_sha256

_PACKED_SUFFIX: Final = ".packed.json"
"""Beside the set, per shard that is whole: what the index and the card need of it."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What the stages before recorded about the set, for its card."""

    settings: dict[str, Any]
    """Everything the set depends on."""
    counts: dict[str, int]
    """What the source left out or mended, by cause."""
    encoders: dict[str, str]
    """Fingerprints of the encoders that made the features."""
    captioner: dict[str, str]
    """Who wrote the captions, see ``describe_captioner``."""


class Packed(BaseModel):
    """One shard of the set."""

    shard: ShardCard
    entries: list[IndexEntry]
    writers: list[tuple[str, str, int]]
    """Text, who wrote it, and of how many samples."""


def pack(work: Work, made: Made, engine: Engine) -> Card:
    """Join windows, records and features into shards and publish them.

    Args:
        work: gives the complete stages before.
        made: what they recorded.
        engine: works through the shards.

    Returns:
        The card that was written.
    """
    begun = work.begin("packed", {}, after="features")
    directory = _set_dir(work)
    names = shard_names(work)
    directory.mkdir(exist_ok=True)
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in names.values():
            path.unlink()
    whole = {stem: kept for stem in names if (kept := _kept(begun, directory, stem)) is not None}
    missing = [stem for stem in names if stem not in whole]
    whole |= dict(zip(missing, engine.map(partial(_write_shard, work, names), missing, "pack"), strict=True))
    packed = [whole[stem] for stem in names]
    shards: dict[Split, list[ShardCard]] = {"train": [], "val": []}
    for each in packed:
        shards["train" if each.shard.name.startswith("train-") else "val"].append(each.shard)
    write_index(directory / INDEX_NAME, (entry for each in packed for entry in each.entries))
    shutil.copyfile(work.stage("features") / EMPTY_NAME, directory / EMPTY_NAME)
    if work.stage("evalset").is_dir():
        ignored = shutil.ignore_patterns("settings.json", "done")
        shutil.copytree(work.stage("evalset"), directory / EVALSET_DIR, ignore=ignored)
    files = sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file() and p.suffix != ".tar")
    # A language model is spoken of even where there is none: what a card leaves out does not count in its checksum.
    shapes = {"language": {}, "language_shapes": {}} | json.loads((work.stage("features") / SHAPES_NAME).read_text())
    config = EncodeConfig(ratios=tuple(made.settings["ratios"]), directions=tuple(made.settings["directions"]))
    card = Card(
        source=str(made.settings["source"]),
        settings=made.settings,
        counts=made.counts,
        views=list(config.views),
        masked_latents=made.settings["masked_latents"],
        encoders=made.encoders,
        captioner=made.captioner,
        writers=writers_table(_sum_writers(packed)),
        text=_text(work),
        shards=shards,
        files=[_file_card(directory, name) for name in files],
        **shapes,
    )
    card = card.model_copy(update={"sha256": card.digest()})
    replace_set(work, directory, card)
    say(f"wrote {work.out / CARD_NAME}")
    return card


def shard_names(work: Work) -> dict[str, str]:
    """File names in the set by shards of the stages: without gaps, since a shard without a usable image is left out."""
    names: dict[str, str] = {}
    for split in SPLITS:
        stems = [stem for stem in work.shards("features") if stem.startswith(f"{split}-")]
        filled = [stem for stem in stems if (work.stage("captions") / f"{stem}.jsonl").stat().st_size]
        names |= {stem: shard_name(split, number) for number, stem in enumerate(filled)}
    return names


def writers_of(record: SampleRecord) -> Counter[tuple[str, str]]:
    """Who wrote the texts of a sample."""
    return Counter(record.provenance.items())


def writers_table(writers: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Samples by text and by who wrote it, in a fixed order."""
    table: dict[str, dict[str, int]] = {}
    for (text, writer), samples in sorted(writers.items()):
        table.setdefault(text, {})[writer] = samples
    return table


def summary(card: Card) -> str:
    """What a set holds, in a few plain lines."""
    split = ", ".join(f"{card.samples(s)} {s} windows in {len(card.shards[s])} shards" for s in card.shards)
    held_out = [
        file.name for file in card.files if file.name.startswith(f"{EVALSET_DIR}/") and file.name.endswith(".png")
    ]
    panoramas = sum("panorama" in name for name in held_out)
    size = sum(f.size for f in card.files) + sum(f.size for shards in card.shards.values() for f in shards)
    lines = [
        f"{card.source}: {split}; {panoramas} panoramas and {len(held_out) - panoramas} windows to score with",
        f"views {', '.join(card.views)}; {size / 2**20:.1f} MiB",
        f"{card.text.captions} captions encoded, {card.text.truncated} of them truncated",
    ]
    return "\n".join(lines + ([count_words(card.counts)] if card.counts else []))


def _set_dir(work: Work) -> Path:
    """Where a set is put together."""
    return work.stage("packed") / "set"


def _kept(begun: Path, directory: Path, stem: str) -> Packed | None:
    """A shard that an interrupted call wrote."""
    path = begun / f"{stem}{_PACKED_SUFFIX}"
    if not path.is_file():
        return None
    packed = Packed.model_validate_json(path.read_bytes())
    return packed if (directory / packed.shard.name).is_file() else None


def _sum_writers(packed: Iterable[Packed]) -> Counter[tuple[str, str]]:
    total: Counter[tuple[str, str]] = Counter()
    for each in packed:
        for text, writer, count in each.writers:
            total[text, writer] += count
    return total


def _write_shard(work: Work, names: dict[str, str], stem: str) -> Packed:
    """Write one shard under its name in the set."""
    path = _set_dir(work) / names[stem]
    captions = read_captions(work.stage("captions") / f"{stem}.jsonl")
    raw = read_samples(work.stage("raw") / f"{stem}.tar", (IMAGE_SUFFIX, RECORD_SUFFIX))
    features = read_samples(work.stage("features") / f"{stem}.tar", (TENSOR_SUFFIX,))
    entries: list[IndexEntry] = []
    writers: Counter[tuple[str, str]] = Counter()
    with TarWriter(path) as tar:
        for (key, window), (feature_key, tensors) in zip(raw, features, strict=True):
            if feature_key != key or key not in captions:
                raise ShardError(
                    f"the stages of {stem} do not fit together at {key}; delete {work.root} and start over"
                )
            members = {
                IMAGE_SUFFIX: window[IMAGE_SUFFIX].data,
                RECORD_SUFFIX: captions[key].model_dump_json().encode(),
                TENSOR_SUFFIX: tensors[TENSOR_SUFFIX].data,
            }
            entries.append(IndexEntry(key, path.name, tar.add(key, members)))
            writers += writers_of(captions[key])
    card = ShardCard(samples=len(entries), **_file_card(path.parent, path.name).model_dump())
    packed = Packed(shard=card, entries=entries, writers=[(*key, count) for key, count in sorted(writers.items())])
    write_atomic(work.stage("packed") / f"{stem}{_PACKED_SUFFIX}", packed.model_dump_json().encode())
    return packed


def _text(work: Work) -> TextCard:
    """Sum the text counts of all shards."""
    paths = (work.stage("features") / f"{stem}.{TEXT_SUFFIX}" for stem in work.shards("features"))
    return sum_text_cards(TextCard.model_validate_json(path.read_bytes()) for path in paths)


def _file_card(directory: Path, name: str) -> FileCard:
    path = directory / name
    return FileCard(name=name, size=path.stat().st_size, sha256=file_sha256(path))
