"""The Lightning data module over a shard set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import torch
from lightning import LightningDataModule

from lit_outpaint.canvas.geometry import DIRECTIONS
from lit_outpaint.canvas.masks import MaskKind, check_mask_kind
from lit_outpaint.data.augment import Augment
from lit_outpaint.data.features import Features
from lit_outpaint.data.index import Index
from lit_outpaint.data.integrity import check_shard_set
from lit_outpaint.data.loading import Batches, EpochSampler, ShardLoader, check_step_is_filled
from lit_outpaint.data.plain import PlainDataset, plain_shards
from lit_outpaint.data.plain_index import PlainIndex
from lit_outpaint.data.reader import CAPTIONS, DEFAULT_NEEDS, MASKED_IMAGE_LATENTS, ShardDataset, ViewChoice
from lit_outpaint.data.remote import is_url
from lit_outpaint.data.schema import (
    EMPTY_NAME,
    LANGUAGE_EMPTY,
    LANGUAGE_LOCAL,
    SPLITS,
    TEXT_EMPTY,
    TEXT_LOCAL,
    Card,
    ShardError,
    Split,
    VisualView,
)
from lit_outpaint.data.shard_cache import ShardCache, cache_home
from lit_outpaint.data.shard_set import LocalSet, RemoteSet
from lit_outpaint.data.shared_memory import workers_that_fit
from lit_outpaint.data.tensors import unpack_tensors
from lit_outpaint.system.threads import loader_workers, ranks_sharing, threads_told, usable_cores

MOST_AHEAD: Final = 8
"""Shards that are fetched before they are needed, at most."""


class OutpaintDataModule(LightningDataModule):
    """Windows with one side to generate, read from shards that ``python -m data_prep`` wrote."""

    def __init__(
        self,
        shards: str,
        batch_size: int = 32,
        directions: Sequence[MaskKind] = DIRECTIONS,
        mask_ratio: float | tuple[float, float] | list[float] = 0.5,
        views: Literal["precomputed", "online"] = "precomputed",
        visual_view: VisualView = "window",
        num_workers: int | None = None,
        seed: int = 0,
        shuffle_buffer: int | None = None,
        cache_dir: str | None = None,
        cache_gib: float = 50.0,
        plain_px: int | None = None,
        captions: Literal["stored", "all"] = "stored",
        crops: Literal["middle", "random"] = "middle",
        flips: bool = False,
        allow_other_shards: bool = False,
        max_damaged: float = 0.01,
    ) -> None:
        """Configure; nothing is read before ``setup``.

        Args:
            shards: directory of the shard set, or its URL: s3, gs, https, whatever fsspec knows.
            batch_size: windows per process and step.
            directions: sides that may grow, drawn with equal chances; one that is named twice is drawn twice as often.
                Corners such as ``down+left`` grow between two known sides, as most windows of a rectangle do. Holes
                (``gap``, ``box``, ``shape``, ``all``, see `lit_outpaint.canvas.masks`) lie anywhere and are for views
                that are encoded online.
            mask_ratio: share of the window that is generated; a pair is a range that is sampled per window. With
                precomputed views the stored ratios that fall into the range are used.
            views: where masked latents and visual features come from: the shards, or encoded in every step.
            visual_view: what the image encoder was shown: the visible part of the window alone, or of the picture
                around it, as far back as drawing looks; shards hold the latter where they were made with ``--around``.
            num_workers: loader processes of each rank, with one thread each; 0 loads in the main process. By default as
                many as there are cores for beside the threads of the ranks (`loader_workers`): on CPUs at most two.
            seed: of sample order and views.
            shuffle_buffer: samples that training mixes at a time, reading the shards, in random order, from front to
                back; a null mixes all samples of the set, which reads everywhere at once.
            cache_dir: where copies of shards behind a URL are kept, on a disk of this machine, shared by all processes
                and runs there; by default below ~/.cache.
            cache_gib: what these copies may take together. A set that does not fit needs a shuffle_buffer.
            plain_px: the directory holds plain WebDataset shards, pictures with captions (KEY.jpg, KEY.txt) and no
                features; their squares are resized to windows of this side, and all is encoded in every step.
            captions: stored trains on one caption of each window, whose features the shards hold; all takes its
                captions in turn, another one each epoch, and encodes them in every step. Plain shards name several as
                ``captions`` in KEY.json.
            crops: of plain shards, the middle square of each picture, or in each epoch one anywhere along it.
            flips: of plain shards, mirror half of the pictures, by chance in each epoch; those whose captions say left
                or right stay as they are.
            allow_other_shards: let a run continue with another shard set than the one it was begun with.
            max_damaged: the share of the samples that may turn out to be damaged, at least one unless it is 0. Each is
                named, and another sample takes its place; one more ends the run.

        Raises:
            ValueError: a value is out of range.
        """
        super().__init__()
        if batch_size < 1 or (num_workers is not None and num_workers < 0):
            raise ValueError(
                f"batch_size must be at least 1 and num_workers at least 0, got {batch_size} and {num_workers}"
            )
        if cache_gib <= 0 or (shuffle_buffer is not None and shuffle_buffer < 1):
            raise ValueError(
                "cache_gib must be above 0 and shuffle_buffer at least 1 or null, got"
                f" {cache_gib:g} and {shuffle_buffer}"
            )
        for direction in directions:
            check_mask_kind(direction)
        if plain_px is not None and (plain_px < 16 or plain_px % 8 or is_url(shards)):
            raise ValueError(
                "plain_px must be the side of a window, a multiple of 8 and at least 16, and plain shards lie in a "
                f"directory; got {plain_px}, {shards}"
            )
        if plain_px is None and (flips or crops != "middle"):
            raise ValueError(
                "data.flips and data.crops need plain shards (data.plain_px): prepared ones hold the latents of windows"
                f" as they are; got flips {flips} and crops {crops}"
            )
        if visual_view == "picture" and (views == "online" or plain_px is not None):
            raise ValueError(
                "data.visual_view picture takes stored views: nothing around a window comes along to be encoded; leave"
                " data.views and data.plain_px as they are by default"
            )
        self.augment = Augment(captions=captions == "all", crops=crops == "random", flips=flips)
        self.place, self.allow_other_shards = shards, allow_other_shards
        if not 0 <= max_damaged <= 1:
            raise ValueError(f"max_damaged must be a share, between 0 and 1, got {max_damaged:g}")
        self.max_damaged = max_damaged
        self.plain_px = plain_px
        self.shuffle_buffer = shuffle_buffer
        self.cache = ShardCache(
            directory=Path(cache_dir).expanduser() if cache_dir is not None else cache_home() / "shards",
            limit_bytes=int(cache_gib * 2**30),
        )
        self.batch_size = batch_size
        self.directions = tuple(directions)
        ratios = (mask_ratio, mask_ratio) if isinstance(mask_ratio, float | int) else tuple(mask_ratio)
        if len(ratios) != 2:
            raise ValueError(f"mask_ratio must be one share or a pair, low end first, got {list(ratios)}")
        low, high = ratios
        self.ratios = (float(low), float(high))
        self.views, self.visual_view = views, visual_view
        self.num_workers = num_workers
        self.seed = seed
        # Refuses an impossible ratio before anything is loaded.
        ViewChoice(directions=self.directions, ratios=self.ratios, precomputed=None)
        self._card: Card | None = None
        self._remote: dict[str, Any] = {}
        self._datasets: dict[Split, ShardDataset | PlainDataset] = {}

    @property
    def shards(self) -> Path | None:
        """Directory of the set; None where it lies behind a URL."""
        return None if is_url(self.place) else Path(self.place)

    @property
    def card(self) -> Card | None:
        """The card of the set, None for plain shards; checks the set on first use."""
        self._load()
        return self._card

    def state_dict(self) -> dict[str, str]:
        """Which set a run trains on, by the checksum of its card; of plain shards by that of their training samples."""
        if self.card is not None:
            return {"shards": self.card.sha256}
        index = self._datasets["train"].entries
        return {"shards": index.checksum()} if isinstance(index, PlainIndex) else {}

    def check_same_shards(self, begun_with: Mapping[str, str]) -> None:
        """Refuse to continue with another set than a run was begun with.

        Args:
            begun_with: `state_dict` of then.

        Raises:
            ValueError: it was another one, and nobody said that this may be.
        """
        before, now = begun_with.get("shards"), self.state_dict().get("shards")
        if before is None or now is None or before == now or self.allow_other_shards:
            return
        raise ValueError(
            f"the run was begun with the shard set {before[:12]}, and {self.place} is {now[:12]} (checksum of its"
            f" {'card' if self._card is not None else 'samples'});"
            " give the set it was begun with, or --data.allow_other_shards true to continue with this one"
        )

    def setup(self, stage: str | None = None) -> None:
        """Check the whole set before step 0.

        Raises:
            ShardError: it is partial, truncated, mismatched, of another schema version, or lacks what the stage reads.
            ValueError: it holds too few windows for one training step.
        """
        self._load()
        if stage == "fit":
            samples, ranks = len(self._datasets["train"]), self.trainer.world_size if self.trainer is not None else 1
            if samples == 0:
                raise ShardError(f"{self.place} holds no training windows; prepare it with some")
            check_step_is_filled(samples, self.batch_size, ranks)
        elif stage in ("validate", "test", "predict") and len(self._datasets["val"]) == 0:
            how = "prepare it with --val_windows, or COCO's --val_split" if self.plain_px is None else "add val-*.tar"
            raise ShardError(f"{self.place} holds no held-out windows to {stage} on; {how}")

    @property
    def has_validation(self) -> bool:
        """Whether the set holds windows to validate on."""
        self._load()
        return len(self._datasets["val"]) > 0

    def train_dataloader(self) -> ShardLoader | Batches:
        """Training windows, shuffled by (seed, epoch); with ``trainer.overfit_batches`` the first ones, always."""
        loader = self._loader("train")
        return Batches(loader) if self._overfits else loader

    def val_dataloader(self) -> ShardLoader | Batches | list[ShardLoader]:
        """Held-out windows in fixed order with fixed views; none when the set has no validation shard."""
        if not len(self._datasets["val"]):
            return []
        loader = self._loader("val")
        return Batches(loader) if self._overfits else loader

    def test_dataloader(self) -> ShardLoader | Batches | list[ShardLoader]:
        """The same as for validation."""
        return self.val_dataloader()

    def predict_dataloader(self) -> Batches:
        """The same as for validation."""
        return Batches(self._loader("val"))

    @property
    def _overfits(self) -> bool:
        """Whether the trainer wants the same few batches again and again.

        It would build a loader with an order of its own then, unless it is given something that is no loader.
        """
        return getattr(self.trainer, "overfit_batches", 0) > 0

    def _load(self) -> None:
        if self._datasets:
            return
        if self.plain_px is not None:
            self._load_plain(Path(self.place), self.plain_px)
            return
        held = LocalSet(self.shards) if self.shards is not None else RemoteSet(self.place, self.cache)
        card, index = check_shard_set(held)
        if isinstance(held, RemoteSet):
            names = index.names
            self._remote = {"fetch": lambda number: held.path(names[number]), "ahead": self._shards_ahead(card)}
        if self.visual_view not in card.visual_views:
            raise ShardError(
                "data.visual_view picture needs features of the pictures around windows; prepare the shards with"
                " --around true"
            )
        choice = ViewChoice(
            directions=self.directions,
            ratios=self.ratios,
            precomputed=tuple(card.views) if self.views == "precomputed" else None,
            masked_latents=card.masked_latents,
            visual_view=self.visual_view,
        )
        stored = unpack_tensors(bytearray(held.path(EMPTY_NAME).read_bytes()), card.empty)
        text, language = stored[TEXT_EMPTY], stored.get(LANGUAGE_EMPTY)
        empty = Features(text_local=text, text_global=text, language_local=language, language_global=language)
        self._datasets = {
            split: ShardDataset(
                held,
                index.part({shard.name for shard in card.shards.get(split, [])}),
                card.window_px,
                choice,
                self.seed,
                empty,
                self.augment if split == "train" else Augment(),
            )
            for split in SPLITS
        }
        self._card = card

    def _load_plain(self, directory: Path, window_px: int) -> None:
        choice = ViewChoice(directions=self.directions, ratios=self.ratios, precomputed=None)
        self._datasets = {
            split: PlainDataset(
                PlainIndex.of(paths), window_px, choice, self.seed, self.augment if split == "train" else Augment()
            )
            for split, paths in plain_shards(directory).items()
        }

    def _shards_ahead(self, card: Card) -> int:
        """How many training shards can be fetched ahead without any that is read giving way to them.

        Raises:
            ShardError: the cache does not hold what is read at a time, so that shards would be fetched over and over.
        """
        shards = card.shards.get("train", [])
        if not shards:
            return 0
        needed = total = sum(shard.size for shard in shards)
        largest = max(shard.size for shard in shards)
        if self.shuffle_buffer is not None:
            # A sample comes up to one buffer early or late; workers are some batches ahead.
            share = 2 * self.shuffle_buffer / max(card.samples("train"), 1)
            needed = min(total, int(total * share) + 2 * largest)
        if needed > self.cache.limit_bytes:
            raise ShardError(
                f"the cache must hold what is mixed at a time, {needed / 2**30:.2g} GiB of {self.place}, and may take"
                f" {self.cache.limit_bytes / 2**30:.2g} GiB; raise cache_gib, or set a smaller shuffle_buffer"
            )
        return (
            MOST_AHEAD
            if total <= self.cache.limit_bytes
            else min(MOST_AHEAD, (self.cache.limit_bytes - needed) // largest)
        )

    def _needs(self, module: Any, augment: Augment) -> tuple[str, ...]:
        """What batches must hold for a module.

        Raises:
            ShardError: the set holds no such features, or those of one caption where all are to be trained on.
        """
        needs: tuple[str, ...] = getattr(module, "needs", DEFAULT_NEEDS)
        assert self._card is not None
        for name in needs:
            if name not in (MASKED_IMAGE_LATENTS, CAPTIONS) and name not in self._card.features:
                raise ShardError(
                    f"the model reads {name}, which {self.place} does not hold (it has"
                    f" {', '.join(self._card.features)}); encode the set again with what makes it"
                )
        if not augment.captions:
            return needs
        if LANGUAGE_LOCAL in needs:
            raise ShardError(
                f"the shards hold {LANGUAGE_LOCAL} of one caption a window; set model.language_online true for"
                " data.captions all"
            )
        return (*(name for name in needs if name not in (TEXT_LOCAL, CAPTIONS)), CAPTIONS)

    def _loader(self, split: Split) -> ShardLoader:
        dataset = self._datasets[split]
        assert isinstance(dataset.entries, Index | PlainIndex)
        trainer = self.trainer
        if isinstance(dataset, ShardDataset) and trainer is not None:
            dataset.needs = self._needs(trainer.lightning_module, dataset.augment)
        sampler = EpochSampler(
            len(dataset),
            self.batch_size,
            shuffle=split == "train",
            seed=self.seed,
            buffer=self.shuffle_buffer,
            shards=dataset.entries.shards,
            rank=trainer.global_rank if trainer is not None else 0,
            world_size=trainer.world_size if trainer is not None else 1,
        )
        ranks = ranks_sharing(1 if trainer is None else trainer.num_devices)
        workers = workers_that_fit(self._workers(), self._pixel_bytes(dataset), ranks=ranks)
        return ShardLoader(
            dataset,
            sampler,
            num_workers=workers,
            pinned=torch.cuda.is_available(),
            max_damaged=self.max_damaged,
            **(self._remote if split == "train" else {}),
            persistent_workers=workers > 0,
        )

    def _workers(self) -> int:
        """Loader processes as they were asked for, or as many as there are cores for."""
        if self.num_workers is not None:
            return self.num_workers
        trainer = self.trainer
        on_cpu = trainer is None or trainer.strategy.root_device.type == "cpu"
        cores = max(1, usable_cores() // ranks_sharing(1 if trainer is None else trainer.num_devices))
        return loader_workers(cores, threads_told(), on_cpu=on_cpu)

    def _pixel_bytes(self, dataset: ShardDataset | PlainDataset) -> int:
        """Bytes of the windows that workers hand over with a batch; 0 where everything about them is stored."""
        stored = isinstance(dataset, ShardDataset) and self.views == "precomputed" and dataset.choice.masked_latents
        return 0 if stored else 4 * 3 * dataset.window_px**2 * self.batch_size
