"""The ``pack`` stage: shards, index and card. The card comes last, so a set that has one is complete."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_prep.caption import describe_captioner, read_captions
from data_prep.progress import say
from data_prep.tars import TarWriter, read_samples
from data_prep.work import SHAPES_NAME, TEXT_SUFFIX, Work, write_atomic
from lit_outpaint.data.fingerprint import file_sha256
from lit_outpaint.data.index import IndexEntry, write_index
from lit_outpaint.data.schema import (
    CARD_NAME,
    EMPTY_NAME,
    EVALSET_DIR,
    IMAGE_SUFFIX,
    INDEX_NAME,
    RECORD_SUFFIX,
    TENSOR_SUFFIX,
    Card,
    FileCard,
    ShardCard,
    ShardError,
    Split,
    TextCard,
)

_OURS: Final = ("train-[0-9]*.tar", "val-[0-9]*.tar", INDEX_NAME, EMPTY_NAME)


def pack(work: Work, settings: dict[str, Any], views: tuple[str, ...], encoders: dict[str, str]) -> Card:
    """Join windows, records and features into shards and publish them.

    Args:
        work: gives the complete stages before.
        settings: everything the set depends on, for the card.
        views: names of the stored views.
        encoders: fingerprints of the encoders that made the features.

    Returns:
        The card that was written.
    """
    packed = work.stage("packed")
    shutil.rmtree(packed, ignore_errors=True)
    packed.mkdir(parents=True)
    shards: dict[Split, list[ShardCard]] = {"train": [], "val": []}
    entries: list[IndexEntry] = []
    for stem in work.shards("features"):
        rows = list(_write_shard(packed / f"{stem}.tar", work, stem))
        entries += rows
        split: Split = "train" if stem.startswith("train-") else "val"
        shards[split].append(ShardCard(samples=len(rows), **_file_card(packed, f"{stem}.tar").model_dump()))
    write_index(packed / INDEX_NAME, entries)
    shutil.copyfile(work.stage("features") / EMPTY_NAME, packed / EMPTY_NAME)
    if work.stage("evalset").is_dir():
        shutil.copytree(
            work.stage("evalset"), packed / EVALSET_DIR, ignore=shutil.ignore_patterns("settings.json", "done")
        )
    files = sorted(str(p.relative_to(packed)) for p in packed.rglob("*") if p.is_file() and p.suffix != ".tar")
    card = Card(
        source=str(settings["source"]),
        settings=settings,
        views=list(views),
        encoders=encoders,
        captioner=describe_captioner(str(settings["captioner"])),
        text=_text(work),
        shards=shards,
        files=[_file_card(packed, name) for name in files],
        **json.loads((work.stage("features") / SHAPES_NAME).read_text()),
    )
    card = card.model_copy(update={"sha256": card.digest()})
    _publish(packed, work.out, card)
    return card


def summary(card: Card) -> str:
    """What a set holds, in a few plain lines."""
    split = ", ".join(f"{card.samples(s)} {s} windows in {len(card.shards[s])} shards" for s in card.shards)
    held_out = [
        file.name for file in card.files if file.name.startswith(f"{EVALSET_DIR}/") and file.name.endswith(".png")
    ]
    panoramas = sum("panorama" in name for name in held_out)
    size = sum(f.size for f in card.files) + sum(f.size for shards in card.shards.values() for f in shards)
    return "\n".join(
        [
            f"{card.source}: {split}; {panoramas} panoramas and {len(held_out) - panoramas} windows to score with",
            f"views {', '.join(card.views)}; {size / 2**20:.1f} MiB",
            f"{card.text.captions} captions encoded, {card.text.truncated} of them truncated",
        ]
    )


def _write_shard(path: Path, work: Work, stem: str) -> Iterator[IndexEntry]:
    captions = read_captions(work.stage("captions") / f"{stem}.jsonl")
    raw = read_samples(work.stage("raw") / f"{stem}.tar", (IMAGE_SUFFIX, RECORD_SUFFIX))
    features = read_samples(work.stage("features") / f"{stem}.tar", (TENSOR_SUFFIX,))
    with TarWriter(path) as tar:
        for (key, window), (feature_key, tensors) in zip(raw, features, strict=True):
            if feature_key != key or key not in captions:
                raise ShardError(
                    f"the stages of {stem} do not fit together at {key}; delete {work.root} and start anew"
                )
            spans = tar.add(
                key,
                {
                    IMAGE_SUFFIX: window[IMAGE_SUFFIX].data,
                    RECORD_SUFFIX: captions[key].model_dump_json().encode(),
                    TENSOR_SUFFIX: tensors[TENSOR_SUFFIX].data,
                },
            )
            yield IndexEntry(key, path.name, spans)


def _publish(packed: Path, out: Path, card: Card) -> None:
    """Move the files into place. From the first line until the card is written the set counts as unfinished."""
    (out / CARD_NAME).unlink(missing_ok=True)
    for pattern in _OURS:
        for stale in out.glob(pattern):
            stale.unlink()
    shutil.rmtree(out / EVALSET_DIR, ignore_errors=True)
    for path in sorted(packed.iterdir()):
        os.replace(path, out / path.name)
    write_atomic(out / CARD_NAME, (card.model_dump_json(indent=1) + "\n").encode())
    say(f"wrote {out / CARD_NAME}")


def _text(work: Work) -> TextCard:
    """Sum the text counts of all shards."""
    cards = [
        TextCard.model_validate_json((work.stage("features") / f"{stem}.{TEXT_SUFFIX}").read_bytes())
        for stem in work.shards("features")
    ]
    bars = {bar for card in cards for bar in card.token_histogram}
    return TextCard(
        captions=sum(card.captions for card in cards),
        truncated=sum(card.truncated for card in cards),
        token_histogram={
            bar: sum(card.token_histogram.get(bar, 0) for card in cards)
            for bar in sorted(bars, key=lambda bar: int(bar.split("-")[0]))
        },
    )


def _file_card(directory: Path, name: str) -> FileCard:
    path = directory / name
    return FileCard(name=name, size=path.stat().st_size, sha256=file_sha256(path))
