"""``verify``: read every byte of a shard set and recompute its card.

Training runs the cheap half before step 0 (``lit_outpaint.data.integrity``); this is the whole of it, for after a copy
or a download.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from data_prep.pack import writers_of, writers_table
from data_prep.progress import progress
from data_prep.source import USED
from data_prep.tars import read_samples
from data_prep.text import sum_text_cards, text_card
from lit_outpaint.canvas.decoding import upright_size
from lit_outpaint.canvas.geometry import HEADINGS
from lit_outpaint.data.fingerprint import require_same_encoders
from lit_outpaint.data.index import IndexEntry
from lit_outpaint.data.integrity import check_sha256, check_shard_set, check_size
from lit_outpaint.data.reader import decode_window
from lit_outpaint.data.schema import (
    CARD_NAME,
    EMPTY_NAME,
    EVALSET_DIR,
    IMAGE_SUFFIX,
    MOMENTS,
    RECORD_SUFFIX,
    SUFFIXES,
    TENSOR_SUFFIX,
    TEXT_GLOBAL,
    TEXT_LOCAL,
    Card,
    SampleRecord,
    ShardError,
    TextCard,
    masked_latents_key,
    visual_key,
)
from lit_outpaint.data.tensors import unpack_tensors
from lit_outpaint.heldout.evalset import PANORAMAS_NAME, WINDOWS_NAME, evalset_dir, read_panoramas, read_windows


def verify(directory: Path, models: str | Path | None = None, vision: str | Path | None = None) -> Card:
    """Check a shard set against its card, byte by byte.

    Args:
        directory: of the set.
        models: also check that the encoders of this family made the features, and recount the tokens of the captions.
        vision: with ``models``: the CLIP whose vision encoder was used instead.

    Returns:
        The card.

    Raises:
        ShardError: the first thing that is wrong, with the file it is in.
    """
    card, entries = check_shard_set(directory)
    if models is not None:
        require_same_encoders(card, models, vision)
    for file in card.files:
        check_size(directory, file)
        check_sha256(directory, file)
    by_shard: dict[str, list[IndexEntry]] = {}
    for entry in entries:
        by_shard.setdefault(entry.shard, []).append(entry)
    shards = [shard for split in card.shards.values() for shard in split]
    writers: Counter[tuple[str, str]] = Counter()
    texts: list[TextCard] = []
    tokenizer = _tokenizer(models) if models is not None else None
    for shard in progress(shards, len(shards), "verify"):
        check_sha256(directory, shard)
        records = _check_shard(directory / shard.name, by_shard.get(shard.name, []), card)
        writers += sum(map(writers_of, records), Counter())
        texts += [text_card(tokenizer, records)] if tokenizer is not None else []
    _check_counts(directory, card, len(entries), writers, sum_text_cards(texts) if texts else None)
    empty = bytearray((directory / EMPTY_NAME).read_bytes())
    _check_tensors(directory / EMPTY_NAME, "the empty caption", empty, card.empty)
    _check_evalset(directory, card)
    return card


def _tokenizer(models: str | Path) -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(models, subfolder="tokenizer")


def _check_counts(
    directory: Path, card: Card, samples: int, writers: Counter[tuple[str, str]], text: TextCard | None
) -> None:
    """What the card says in numbers, counted again."""
    found: dict[str, tuple[object, object]] = {"captions encoded": (card.text.captions, 2 * samples)}
    if "writers" in card.model_fields_set:
        found["writers of the texts"] = (card.writers, writers_table(writers))
    if card.counts:
        found["images used"] = (card.counts.get(USED, 0), samples)
    if text is not None:
        found["lengths of the captions"] = (card.text, text)
    for what, (said, counted) in found.items():
        if said != counted:
            raise ShardError(
                f"{directory / CARD_NAME} is wrong about {what}: it says {said}, counted are {counted}; prepare the set"
                " again"
            )


def _check_shard(path: Path, entries: list[IndexEntry], card: Card) -> list[SampleRecord]:
    """Every sample: place, picture, record and tensors; the records."""
    records: list[SampleRecord] = []
    shapes = expected_shapes(card)
    samples = list(read_samples(path, SUFFIXES))
    if [key for key, _ in samples] != [entry.key for entry in entries]:
        raise ShardError(f"{path} holds other samples than the index says; prepare the set again")
    for entry, (key, members) in zip(entries, samples, strict=True):
        if tuple(member.span for member in members.values()) != entry.spans:
            raise ShardError(f"{path}: the index points to the wrong place for {key}; prepare the set again")
        try:
            decode_window(members[IMAGE_SUFFIX].data, card.window_px)
            records.append(SampleRecord.model_validate_json(members[RECORD_SUFFIX].data))
        except ValidationError as error:
            raise ShardError(f"{path}: the record of {key} does not fit the schema") from error
        _check_tensors(path, key, bytearray(members[TENSOR_SUFFIX].data), shapes)
    return records


def expected_shapes(card: Card) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that a sample must have."""
    side = card.latent_px
    shapes: dict[str, tuple[int, ...]] = {
        MOMENTS: (2 * card.latent_channels, side, side),
        TEXT_LOCAL: card.text_shape,
        TEXT_GLOBAL: card.text_shape,
        **card.language_shapes,
    }
    for view in card.views:
        if card.masked_latents:
            shapes[masked_latents_key(view)] = (card.latent_channels, side, side)
        shapes |= {visual_key(view, of): card.visual_shape for of in card.visual_views}
    return shapes


def _check_tensors(path: Path, key: str, data: bytearray, shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name, tensor in unpack_tensors(data, shapes).items():
        if tuple(tensor.shape) != shapes[name]:
            raise ShardError(f"{path}: {name} of {key} has shape {tuple(tensor.shape)}, the card says {shapes[name]}")
        if not torch.isfinite(tensor).all():
            raise ShardError(f"{path}: {name} of {key} holds values that are not finite; prepare the set again")


def _check_evalset(directory: Path, card: Card) -> None:
    """Rows fit the schema, and every picture has the size that its row implies."""
    names = {file.name for file in card.files}
    filled = {file.name for file in card.files if file.size}  # A set may have no panoramas, or no windows to score.
    root = evalset_dir(directory)
    pictures: dict[str, tuple[int, int]] = {}
    if f"{EVALSET_DIR}/{WINDOWS_NAME}" in filled:
        pictures |= {row.image: (card.window_px, card.window_px) for row in read_windows(root)}
    if f"{EVALSET_DIR}/{PANORAMAS_NAME}" in filled:
        for row in read_panoramas(root):
            long = row.window_px + row.stride_px * len(row.steps)
            pictures[row.image] = (row.window_px, long) if HEADINGS[row.direction].axis else (long, row.window_px)
    for name, size in pictures.items():
        if f"{EVALSET_DIR}/{name}" not in names:
            raise ShardError(f"{root / name} is not in the card; prepare the set again")
        width, height = upright_size(root / name)
        if (width, height) != size:
            raise ShardError(f"{root / name} is {width} x {height} px, its row says {size[0]} x {size[1]}")
