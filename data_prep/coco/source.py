"""Windows and captions of MS-COCO as raw shards."""

import hashlib
import io
import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from data_prep.around import Around, add_around, around_writer
from data_prep.coco.config import CocoConfig
from data_prep.coco.crop import Window, cut_window, picture_around
from data_prep.coco.files import FileError, Files, check_sums, image_files, read_annotations, zips_read
from data_prep.coco.layout import CocoImage, parse_captions
from data_prep.config import settings_of
from data_prep.progress import progress, say
from data_prep.raw import RawRecord
from data_prep.source import LEFT_OUT, MENDED, USED, write_counts, write_left_out
from data_prep.tars import TarWriter
from data_prep.work import shard_plan
from lit_outpaint.canvas.decoding import POLICY, PictureError
from lit_outpaint.data.schema import IMAGE_SUFFIX, RECORD_SUFFIX

ANNOTATOR = "coco annotators"
"""Who wrote the local captions, as it stands in records."""


class Listed(NamedTuple):
    """What the captions file of a split says."""

    images: list[CocoImage]
    counts: Counter[str]
    left_out: list[str]
    """A line for each image that cannot be used, whatever its file holds."""
    sha256: str
    """Of the file."""


class CocoSource:
    """Windows cut from the images of MS-COCO.

    Args:
        config: which images, and how they are cut; a side of the windows that is left out becomes 512.
    """

    name = "coco"
    write_evalset: Callable[[Path], None] | None = None

    def __init__(self, config: CocoConfig) -> None:
        self.config = config.resolved()
        self.max_lost = config.max_lost
        self.root = Path(self.config.root)

    def settings(self) -> dict[str, Any]:
        """All settings but places, the checksums of the captions files, and how pictures are read.

        Raises:
            ValueError: files are missing or damaged, or check-sums differ.
        """
        # Files may have changed since another stage of this process read them.
        list_images.cache_clear()
        image_files.cache_clear()
        splits = list(self._splits())
        zips = zips_read(self.root, splits)
        for split in splits:
            image_files(self.root, split)
        if self.config.sums is not None:
            say(f"coco: checking the sums of {len(zips)} zips")
            check_sums(zips, Path(self.config.sums))
        sums = {f"captions_{split}_sha256": list_images(self.root, split).sha256 for split in splits}
        for split, flag in zip(splits, ("--split", "--val_split"), strict=False):
            if not self._images(split):
                raise ValueError(f"captions_{split}.json names no image with a caption; give another {flag}")
        return settings_of(self.config) | sums | {"pictures": POLICY}

    def stems(self) -> list[str]:
        """Shards of the training images, then of the held-out ones."""
        return [stem for split in self._splits() for stem in self._plan(split)]

    def write_shard(self, directory: Path, stem: str) -> None:
        """Cut the windows of one shard; images that cannot be used are counted by cause and named."""
        split = next(split for split in self._splits() if stem in self._plan(split))
        numbers = self._plan(split)[stem]
        images = self._images(split)[numbers.start : numbers.stop]
        files = image_files(self.root, split)
        # What the captions file alone tells belongs to no shard; it is counted with the first of its split.
        listed = list_images(self.root, split)
        counts = Counter(listed.counts if numbers.start == 0 else {})
        left_out = [*listed.left_out] if numbers.start == 0 else []
        with ExitStack() as tars:
            # The tar of the windows is what says that a shard is done: it is closed last.
            tar = tars.enter_context(TarWriter(directory / f"{stem}.tar"))
            around = tars.enter_context(around_writer(directory, stem)) if self.config.around else None
            for image in progress(images, len(images), f"coco {stem}"):
                try:
                    window = self._window(files, split, image, counts)
                except FileError as cause:
                    counts[f"{LEFT_OUT}{cause}"] += 1
                    left_out.append(f"the image {split}/{image.file_name} cannot be had: {cause}")
                    continue
                except PictureError as error:
                    counts[f"{LEFT_OUT}{error.cause}"] += 1
                    left_out.append(str(error))
                    continue
                key, record = f"{split}_{image.id:012d}", self._record(split, image).model_dump_json().encode()
                tar.add(key, {IMAGE_SUFFIX: webp(window.image, self.config.quality), RECORD_SUFFIX: record})
                if around is not None:
                    picture, place = picture_around(window)
                    add_around(around, key, Around(webp(picture, self.config.quality), place))
            write_counts(directory, stem, counts)
            write_left_out(directory, stem, left_out)

    def _window(self, files: Files, split: str, image: CocoImage, counts: Counter[str]) -> Window:
        """The window of an image.

        Raises:
            FileError: the file cannot be had.
            PictureError: the image cannot be used.
        """
        config = self.config
        assert config.window_px is not None
        data = files.read(image.file_name)
        name = f"{split}/{image.file_name}"
        window = cut_window(data, name, config.window_px, config.min_side_px, self._place(image))
        counts[USED] += 1
        counts.update(f"{MENDED}{what}" for what in window.mended)
        return window

    def _place(self, image: CocoImage) -> Callable[[int], int]:
        if self.config.crop == "centre":
            return lambda spare: spare // 2
        source = _random(self.config.seed, "crop", image.id)
        return lambda spare: source.randint(0, spare)

    def _record(self, split: str, image: CocoImage) -> RawRecord:
        return RawRecord(
            id=f"{split}/{image.id}",
            source=self.name,
            licence=image.licence,
            local_captions=list(image.captions),
            local_index=_random(self.config.seed, "local", image.id).randrange(len(image.captions)),
            annotator=ANNOTATOR,
        )

    def _splits(self) -> dict[str, str]:
        """Names in COCO, and the split of the shard set that each becomes."""
        return {self.config.split: "train"} | ({self.config.val_split: "val"} if self.config.val_split else {})

    def _images(self, split: str) -> list[CocoImage]:
        limit = self.config.limit if self._splits()[split] == "train" else self.config.val_limit
        return list_images(self.root, split).images[:limit]

    def _plan(self, split: str) -> dict[str, range]:
        return dict(shard_plan(len(self._images(split)), self.config.samples_per_shard, self._splits()[split]))


@lru_cache(maxsize=4)
def list_images(root: Path, split: str) -> Listed:
    """The images of a split; the file is read once in a process, since it takes seconds.

    Raises:
        ValueError: the captions file is missing or damaged.
    """
    data = read_annotations(root, split)
    images, counts, left_out = parse_captions(data, f"captions_{split}.json")
    return Listed(images, counts, left_out, hashlib.sha256(data).hexdigest())


def webp(image: Image.Image, quality: int) -> bytes:
    """A picture as WebP; without loss at quality 100."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=quality == 100, quality=quality, method=2)
    return buffer.getvalue()


def _random(seed: int, use: str, number: int) -> random.Random:
    """Random numbers that belong to one image and one use, on every machine and in any order."""
    return random.Random(hashlib.sha256(f"{use}:{seed}:{number}".encode()).digest())
