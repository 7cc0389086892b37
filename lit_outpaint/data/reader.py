"""Random-access reading of shards: a sample by its place in the index, a view by (seed, epoch, key).

Nothing here depends on workers or batch size: what a sample is in an epoch follows from its key alone, so the same
seed trains on the same data however the loader is cut up.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from lit_outpaint.canvas.masks import HOLES, MaskKind, window_mask
from lit_outpaint.data.augment import Augment
from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.damaged import DamagedSample, Loaded, load_whole
from lit_outpaint.data.features import PICTURES, Features
from lit_outpaint.data.index import Index, IndexEntry
from lit_outpaint.data.order import SampleRef
from lit_outpaint.data.rows import PackedRows, RowReader
from lit_outpaint.data.schema import (
    IMAGE_SUFFIX,
    MAX_IMAGE_PX,
    MOMENTS,
    TENSOR_SUFFIX,
    ShardError,
    VisualView,
    masked_latents_key,
    parse_view,
    view_name,
    visual_key,
)
from lit_outpaint.data.shard_files import ShardFiles
from lit_outpaint.data.shard_set import LocalSet, RemoteSet
from lit_outpaint.data.slots import Slots
from lit_outpaint.data.tensors import Place

MASKED_IMAGE_LATENTS: Final = "masked_image_latents"
CAPTIONS: Final = "captions"
"""Local and global caption as text."""
DEFAULT_NEEDS: Final = ("text_local", "text_global", "visual", MASKED_IMAGE_LATENTS)
"""What batches hold unless a model asks for something else."""


class View(NamedTuple):
    """What of a window is new."""

    kind: MaskKind
    """Side, corner or hole."""
    ratio: float
    """Share of the window's side that is new."""
    place: int = 0
    """Seed of where a hole lies."""


@dataclass(frozen=True, kw_only=True)
class ViewChoice:
    """Which sides, corners, holes and shares of a window may be generated."""

    directions: tuple[MaskKind, ...]
    """Sides, corners and holes that may be new, drawn with equal chances; one that is named twice is drawn twice as
    often."""
    ratios: tuple[float, float]
    """Lowest and highest share of the window that is generated; equal for one fixed share."""
    precomputed: tuple[str, ...] | None
    """Names of the stored views to choose from; None when features are computed online, so that any share will do."""
    masked_latents: bool = True
    """Whether stored views hold masked latents; if not, the window comes along for them to be encoded online."""
    visual_view: VisualView = "window"
    """What the image encoder was shown in stored views."""

    def __post_init__(self) -> None:
        low, high = self.ratios
        if not 0 < low <= high < 1:
            raise ValueError(f"mask_ratio must lie between 0 and 1, low end first, got [{low}, {high}]")
        if not self.directions:
            raise ValueError("directions must name at least one side of left, right, up, down, got none")
        for direction in self.directions if self.precomputed is not None else ():
            if not self._stored(direction):
                raise ShardError(
                    f"no stored view grows {direction!r} with a mask ratio in [{low:g}, {high:g}]; the shards hold"
                    f" {', '.join(self.precomputed or ())}; change mask_ratio or directions, set views: online, or"
                    " prepare shards with these --directions and --ratios"
                )

    def draw(self, seed: int, epoch: int, key: str) -> View:
        """What is new of one sample in one epoch."""
        # sha256 rather than hash(): the latter differs between processes.
        digest = hashlib.sha256(f"view:{seed}:{epoch}:{key}".encode()).digest()
        first, second = int.from_bytes(digest[:8]), int.from_bytes(digest[8:16])
        direction = self.directions[first % len(self.directions)]
        if self.precomputed is None:
            low, high = self.ratios
            place = int.from_bytes(digest[16:20]) if direction in HOLES else 0
            return View(direction, low + (high - low) * (second / 2**64), place)
        stored = self._stored(direction)
        return View(direction, stored[second % len(stored)])

    def _stored(self, direction: str) -> list[float]:
        return _stored_ratios(self.precomputed or (), self.ratios, direction)


@cache
def _stored_ratios(names: tuple[str, ...], ratios: tuple[float, float], direction: str) -> list[float]:
    """Ratios of the stored views that grow one side, within a range."""
    views = (parse_view(name) for name in names)
    return [ratio for side, ratio in views if side == direction and ratios[0] <= ratio <= ratios[1]]


class PackedBatch(NamedTuple):
    """A batch as it leaves a worker; `ShardDataset.unpack` makes an ``OutpaintBatch`` of it."""

    keys: tuple[str, ...]
    views: tuple[View, ...]
    rows: PackedRows
    windows: Tensor | None
    """(B, 3, H, W), where something is to be encoded from them."""
    captions: tuple[tuple[str, str], ...] | None = None
    """Local and global caption of each sample, where they are asked for."""
    slot: tuple[int, int] | None = None
    """Worker and turn, where the rows lie in a slot."""
    counts: Tensor | None = None
    """Which samples count, as in ``OutpaintBatch``; None where all do."""


def counted(refs: Sequence[SampleRef]) -> Tensor | None:
    """What ``OutpaintBatch.counts`` is for these samples."""
    if not any(ref.fills for ref in refs):
        return None
    return torch.tensor([not ref.fills for ref in refs])


class ShardDataset(Dataset[Loaded]):
    """Samples of one split, addressed by lists of ``SampleRef``; each list becomes a batch."""

    def __init__(
        self,
        shards: Path | LocalSet | RemoteSet,
        entries: Index,
        window_px: int,
        choice: ViewChoice,
        seed: int,
        empty: Features,
        augment: Augment = Augment(),
    ) -> None:
        self.files = ShardFiles(shards)
        self.entries = entries
        self.window_px = window_px
        self.choice = choice
        self.seed = seed
        self.empty = empty
        self.augment = augment
        self.needs: tuple[str, ...] = DEFAULT_NEEDS
        """Names of the features and views that batches hold; set before the first batch is read."""
        self.slots: Slots | None = None
        """Where workers put batches; the loader gives them before it starts them."""
        self._turn = 0
        self._rows = RowReader()
        self._wanted: dict[View | None, dict[str, str]] = {}
        self._masks: dict[View, Tensor] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def __getitems__(self, refs: Sequence[SampleRef]) -> Loaded | ShardError:
        """Load samples, each with the view that its epoch gives it (torch asks for the samples of a batch at once)."""
        return load_whole(self._load, refs, self.seed, self.entries.shards, self._name)

    def _name(self, position: int) -> str:
        entry = self.entries[position]
        return f"sample {entry.key} in {entry.shard}"

    def _load(self, refs: Sequence[SampleRef]) -> PackedBatch:
        """Read a batch.

        Raises:
            DamagedSample: one of them cannot be read.
            ShardError: a shard vanished, or samples do not belong to one set.
        """
        self.files.tidy()
        entries = self.entries.at([ref.position for ref in refs])
        drawn = [self.choice.draw(self.seed, ref.epoch, entry.key) for ref, entry in zip(refs, entries, strict=True)]
        members = [self.files.member(entry, TENSOR_SUFFIX) for entry in entries]
        rows, slot = self._read(members, [self._fields(view) for view in drawn])
        needed = {name for name in self.needs if name in (*PICTURES, MASKED_IMAGE_LATENTS)}
        stored = needed <= rows.places.keys()
        windows = None if stored else torch.stack([self._window(*item) for item in enumerate(entries)])
        captions = None
        if CAPTIONS in self.needs:
            samples = enumerate(zip(refs, entries, strict=True))
            captions = tuple(self._captions(row, entry, ref.epoch) for row, (ref, entry) in samples)
        keys = tuple(entry.key for entry in entries)
        return PackedBatch(keys, tuple(drawn), rows, windows, captions, slot, counted(refs))

    def batch_bytes(self, batch_size: int) -> int:
        """Bytes of the stored tensors of a batch."""
        self.files.tidy()
        places = load_whole(
            lambda refs: self._places(refs[0].position, batch_size),
            [SampleRef(0, 0)],
            self.seed,
            self.entries.shards,
            self._name,
        )
        if isinstance(places, ShardError):
            raise places
        return int(places.batch[1])

    def _places(self, position: int, batch_size: int) -> tuple[dict[str, Place], int]:
        entry = self.entries[position]
        fields = self._fields(self.choice.draw(self.seed, 0, entry.key))
        return self._rows.places(self.files.member(entry, TENSOR_SUFFIX), fields, batch_size)

    def _read(
        self, members: Sequence[tuple[int, int, int]], wanted: Sequence[dict[str, str]]
    ) -> tuple[PackedRows, tuple[int, int] | None]:
        """The rows of a batch, in this worker's next slot where it has some, and which that is."""
        worker = get_worker_info()
        if self.slots is None or worker is None:
            return self._rows.read(members, wanted), None
        slot = (worker.id, self._turn)
        room = self.slots.take(*slot)

        def allocate(size: int) -> Tensor:
            return room if size <= len(room) else torch.empty(size, dtype=torch.uint8)

        rows = self._rows.read(members, wanted, allocate)
        if rows.buffer is not room:
            return rows, None
        self._turn += 1
        return rows._replace(buffer=None), slot

    def unpack(self, packed: PackedBatch, pinned: bool = False, slots: Slots | None = None) -> OutpaintBatch:
        """Make the batch of what came out of a worker, in pinned memory if it goes to a GPU.

        Args:
            packed: what a worker made.
            pinned: whether it goes to a GPU.
            slots: those that the worker was given.
        """
        if packed.slot is None:
            fields = packed.rows.unpack(pinned)
        else:
            assert slots is not None
            fields = packed.rows.unpack(pinned, slots.look(*packed.slot))
            slots.look(*packed.slot)
        return OutpaintBatch(
            keys=packed.keys,
            directions=tuple(view.kind for view in packed.views),
            mask=torch.stack([self._mask(view) for view in packed.views]),
            moments=fields["moments"],
            features=Features(**{name: fields.get(name) for name in Features._fields}),
            empty=self.empty,
            masked_image_latents=fields.get(MASKED_IMAGE_LATENTS),
            pixel_values=packed.windows,
            captions=packed.captions,
            counts=packed.counts,
        )

    def _fields(self, view: View) -> dict[str, str]:
        """Which stored tensor fills which field; the same object for the same view."""
        # Views that are encoded online take the same tensors, whatever they are.
        stored = view if self.choice.precomputed is not None else None
        if stored not in self._wanted:
            # Features of captions are stored under their own names, those of views under names that say which view.
            fields = {name: name for name in self.needs if name in Features._fields and name not in PICTURES}
            if self.choice.precomputed is not None:
                name = view_name(view.kind, view.ratio)
                if "visual" in self.needs:
                    fields["visual"] = visual_key(name, self.choice.visual_view)
                if MASKED_IMAGE_LATENTS in self.needs and self.choice.masked_latents:
                    fields[MASKED_IMAGE_LATENTS] = masked_latents_key(name)
            self._wanted[stored] = {"moments": MOMENTS, **fields}
        return self._wanted[stored]

    def _mask(self, view: View) -> Tensor:
        if self.choice.precomputed is None:
            return window_mask(view.kind, view.ratio, self.window_px, self.window_px, view.place)
        if view not in self._masks:
            self._masks[view] = window_mask(view.kind, view.ratio, self.window_px, self.window_px)
        return self._masks[view]

    def _captions(self, row: int, entry: IndexEntry, epoch: int) -> tuple[str, str]:
        try:
            record = self.files.record(entry)
        except ShardError as error:
            raise DamagedSample(row, str(error)) from error
        if not self.augment.captions:
            return record.local_caption, record.global_caption
        return self.augment.caption(record.local_captions, self.seed, epoch, entry.key), record.global_caption

    def _window(self, row: int, entry: IndexEntry) -> Tensor:
        try:
            return decode_window(self.files.read(entry, IMAGE_SUFFIX), self.window_px)
        except ShardError as error:
            raise DamagedSample(row, str(error)) from error


def decode_window(data: bytes | bytearray, window_px: int) -> Float[Tensor, "3 {window_px} {window_px}"]:
    """Decode a stored window to [-1, 1].

    Raises:
        ShardError: it is no image, too large to be decoded safely, or not of the card's size.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
            # The header is enough to refuse a decompression bomb before its pixels are made.
            if max(image.size) > MAX_IMAGE_PX or image.size != (window_px, window_px):
                raise ShardError(f"a stored window must be {window_px} x {window_px} px, got {image.size}")
            pixels = np.asarray(image.convert("RGB"))
    except ShardError:
        raise
    except Exception as error:  # Decoders raise errors of any class.
        raise ShardError(f"a stored window cannot be decoded: {error}; prepare the set again") from error
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float().div_(127.5).sub_(1.0)
