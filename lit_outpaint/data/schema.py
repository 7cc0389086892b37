"""The contract between who writes shards and who reads them.

A shard set is a directory::

    train-00000.tar ... val-00000.tar   WebDataset shards, three members a sample
    index.jsonl                         where each member lies, for random access
    empty.safetensors                   text features of the empty caption
    evalset/                            held-out panoramas and windows (see ``evalset``)
    card.json                           what is in the set, with checksums; written last

One sample is three adjacent tar members with single-dot suffixes: ``KEY.webp`` (the window), ``KEY.json``
(a :class:`SampleRecord`) and ``KEY.safetensors`` (features, float16). This module is a leaf and knows no torch.
"""

import hashlib
import json
import re
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

SCHEMA_VERSION: Final = 1
"""Raised whenever a reader of the older layout would misread the newer one."""

IMAGE_SUFFIX: Final = "webp"
RECORD_SUFFIX: Final = "json"
TENSOR_SUFFIX: Final = "safetensors"
SUFFIXES: Final = (IMAGE_SUFFIX, RECORD_SUFFIX, TENSOR_SUFFIX)
"""The members of a sample, in the order in which they lie in the tar."""

CARD_NAME: Final = "card.json"
INDEX_NAME: Final = "index.jsonl"
EMPTY_NAME: Final = "empty.safetensors"
EVALSET_DIR: Final = "evalset"

MOMENTS: Final = "moments"
"""(8, h, w): mean and log-variance of the window's latents, not scaled."""
TEXT_LOCAL: Final = "text_local"
"""(L, D): text features of the local caption."""
TEXT_GLOBAL: Final = "text_global"
"""(L, D): text features of the global caption."""
TEXT_EMPTY: Final = "text_empty"
"""(L, D) in ``empty.safetensors``: text features of the empty caption."""
LANGUAGE_LOCAL: Final = "language_local"
"""(M, E): features that a language model gives of the local caption."""
LANGUAGE_GLOBAL: Final = "language_global"
"""(M, E): the same of the global caption."""
LANGUAGE_EMPTY: Final = "language_empty"
"""(M, E) in ``empty.safetensors``: the same of the empty caption, which guidance needs."""

MAX_IMAGE_PX: Final = 4096
"""Longest image side that a reader decodes; guards against decompression bombs."""

VisualView = Literal["window", "picture"]
"""What the image encoder was shown: the visible part of the window alone, or of the picture around it."""

Split = Literal["train", "val"]
SPLITS: Final[tuple[Split, ...]] = ("train", "val")

_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_VIEW = re.compile(r"(left|right|up|down|(?:up|down)\+(?:left|right))\.(0\.\d+)")


class ShardError(ValueError):
    """A shard set is partial, damaged, or of another schema or encoder; the message says which and how to mend it."""


def view_name(growth: str, ratio: float) -> str:
    """Name of a precomputed view: the side or corner that grows, and the share of the window's side that is generated.

    >>> view_name("right", 0.5), view_name("down+left", 0.5)
    ('right.0.5', 'down+left.0.5')
    """
    return f"{growth}.{ratio:g}"


def parse_view(name: str) -> tuple[str, float]:
    """Split a view name into what grows and the ratio.

    Raises:
        ValueError: the name is not of the form ``direction.ratio`` with a ratio between 0 and 1.
    """
    match = _VIEW.fullmatch(name)
    if match is None:
        raise ValueError(f"a view is named direction.ratio such as right.0.5, got {name!r}")
    return match[1], float(match[2])


def masked_latents_key(view: str) -> str:
    """Tensor name of the (4, h, w) scaled latents of the window with the part to generate blanked."""
    return f"masked_latents.{view}"


def visual_key(view: str, of: VisualView = "window") -> str:
    """Tensor name of the (K, D) image-encoder tokens of the visible part alone.

    A corner shows its model what the view of its first side shows, so both share one tensor.

    >>> visual_key("down+left.0.5"), visual_key("right.0.5", "picture")
    ('visual.down.0.5', 'visual_picture.right.0.5')
    """
    growth, ratio = parse_view(view)
    name = "visual" if of == "window" else f"visual_{of}"
    return f"{name}.{view_name(growth.partition('+')[0], ratio)}"


def shard_name(split: str, number: int) -> str:
    """File name of a shard.

    >>> shard_name("train", 3)
    'train-00003.tar'
    """
    return f"{split}-{number:05d}.tar"


def check_key(key: str) -> str:
    """Return ``key`` if it can be a sample key: letters, digits, ``_`` and ``-`` only, so it can leave no directory.

    Raises:
        ShardError: it holds anything else (a dot would split the suffix, a slash could escape).
    """
    if _KEY.fullmatch(key) is None:
        raise ShardError(f"sample keys hold only letters, digits, '_' and '-' (at most 128), got {key[:80]!r}")
    return key


def check_inside(name: str) -> str:
    """Return ``name`` if it is a path that stays inside the directory it is relative to.

    Raises:
        ShardError: it is empty, absolute, or climbs out.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ShardError(f"a file of a shard set must lie inside it, got {name!r}")
    return name


InsidePath = Annotated[str, AfterValidator(check_inside)]
"""Relative path that cannot leave its directory."""


class Strict(BaseModel):
    """Unknown fields are refused: a misspelt field must not pass as absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SampleRecord(Strict):
    """``KEY.json``: where a window comes from and every text about it."""

    id: str
    """Identity in the source, such as a world seed with a position or a COCO image number."""
    source: str
    """Name of the data source."""
    licence: str
    """Licence of the image."""
    local_captions: list[str] = Field(min_length=1)
    """Annotated captions of this window."""
    local_index: int = Field(ge=0)
    """Which of them is the local caption whose features are stored."""
    imaginary_captions: list[str]
    """Captions of what may lie around the frame, written without seeing it."""
    global_caption: str
    """Summary of the annotated and the imaginary captions."""
    provenance: dict[str, str]
    """Who wrote each text: field name -> writer."""

    @model_validator(mode="after")
    def _index_in_range(self) -> "SampleRecord":
        if self.local_index >= len(self.local_captions):
            raise ValueError(f"local_index {self.local_index} needs more than {len(self.local_captions)} captions")
        return self

    @property
    def local_caption(self) -> str:
        """The caption whose features are stored as ``text_local``."""
        return self.local_captions[self.local_index]


class FileCard(Strict):
    """Size and checksum of one file, named relative to the set's directory."""

    name: InsidePath
    size: int
    sha256: str


class ShardCard(FileCard):
    """A tar and how many samples it must hold."""

    samples: int


class TextCard(Strict):
    """What the text encoder made of the captions."""

    captions: int
    """How many captions were encoded (local and global)."""
    truncated: int
    """How many of them lost their end to the encoder's length."""
    token_histogram: dict[str, int]
    """Captions by token count, begin and end marks included; keys are ranges such as ``10-14``."""


class Card(Strict):
    """``card.json``: what a shard set holds. Its presence says that the set is complete."""

    schema_version: int = SCHEMA_VERSION
    source: str
    settings: dict[str, str | int | float | bool | list[float] | list[str]]
    """Everything the set depends on besides code: counts, seed, ratios, captioner."""
    window_px: int
    latent_channels: int
    latent_px: int
    """Side of the latents; the VAE factor is ``window_px / latent_px``."""
    scaling_factor: float
    """Applied to ``masked_latents``, not to ``moments``."""
    text_shape: tuple[int, int]
    """(L, D) of a caption's features."""
    visual_shape: tuple[int, int]
    """(K, D) of the image encoder's tokens."""
    views: list[str]
    """Precomputed views, named by ``view_name``."""
    encoders: dict[str, str]
    """Frozen part -> sha256 over its weight and vocabulary files."""
    masked_latents: bool = True
    """Whether the masked latents of every view are stored; if not, training encodes them from the window."""
    captioner: dict[str, str]
    """Who was asked for the imaginary and global captions: name, and what its answers to each call depend on."""
    writers: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Samples by text and by who really wrote it."""
    counts: dict[str, int] = Field(default_factory=dict)
    """Images that were used, left out or mended, by cause."""
    language: dict[str, str] = Field(default_factory=dict)
    """Which language model gave features of the captions: encoder, revision, layers, length, prefix; empty for none."""
    language_shapes: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """(M, E) of the language features by name."""
    text: TextCard
    shards: dict[Split, list[ShardCard]]
    files: list[FileCard]
    """The other files: index, empty caption, evaluation set."""
    sha256: str = ""
    """Checksum of this card without this field."""

    @property
    def features(self) -> dict[str, tuple[int, int]]:
        """Features that samples hold, by name (`lit_outpaint.data.features`), with their shapes."""
        shapes = {TEXT_LOCAL: self.text_shape, TEXT_GLOBAL: self.text_shape, "visual": self.visual_shape}
        return shapes | self.language_shapes

    @property
    def visual_views(self) -> tuple[VisualView, ...]:
        """What the image encoder was shown, for each of which the views hold tokens."""
        return ("window", "picture") if self.settings.get("around") else ("window",)

    @property
    def empty(self) -> dict[str, tuple[int, int]]:
        """What ``empty.safetensors`` holds, with shapes."""
        language = next(iter(self.language_shapes.values()), None)
        return {TEXT_EMPTY: self.text_shape} | ({LANGUAGE_EMPTY: language} if language is not None else {})

    def samples(self, split: Split) -> int:
        """Number of samples of a split."""
        return sum(shard.samples for shard in self.shards.get(split, []))

    def digest(self) -> str:
        """Checksum that ``sha256`` must equal: of the canonical JSON of every other field."""
        # A set that was written before a field was added stays whole: what its card does not say does not count.
        unsaid = {"masked_latents", "writers", "counts", "language", "language_shapes"} - self.model_fields_set
        content = self.model_dump(mode="json", exclude={"sha256"} | unsaid)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
