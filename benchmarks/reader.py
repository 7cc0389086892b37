"""Reading training batches: ours against the usual webdataset pipeline and against reading the tars raw.

    python -m benchmarks.reader

Shards of random features in the sizes of the scapes family (four views) are written to a temporary directory and read
from the page cache, batch by batch, by two worker processes. Both pipelines hand over the same tensors: moments, the
two captions, and one view's visual features and masked latents, as float32. The usual pipeline is
``WebDataset | shuffle | decode | batched``; it decodes no picture. ``raw`` is tarfile walking the tars in two
processes and reading every member, ``bytes`` is reading them as files, in pieces of 1 MiB, which parses nothing.
"""

import os
import random
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import webdataset
from safetensors.torch import load

from benchmarks.commands import at_least, refusing
from benchmarks.timing import interleave, write_report
from data_prep.tars import TarWriter
from lit_outpaint.canvas.geometry import DIRECTIONS
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.data.features import Features
from lit_outpaint.data.index import Index, IndexEntry, write_index
from lit_outpaint.data.loading import EpochSampler, ShardLoader
from lit_outpaint.data.reader import ShardDataset, ViewChoice
from lit_outpaint.data.schema import (
    MOMENTS,
    TEXT_GLOBAL,
    TEXT_LOCAL,
    masked_latents_key,
    shard_name,
    view_name,
    visual_key,
)
from lit_outpaint.data.tensors import pack_tensors

VIEWS = tuple(view_name(direction, 0.5) for direction in DIRECTIONS)
WORKERS = 2


@refusing
def main() -> None:
    """Time all four in turns, then a resume in a large index, and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=at_least(1), default=4096, help="samples to read")
    parser.add_argument("--batch_size", type=at_least(1), default=32, help="samples per batch")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="timed passes of each")
    parser.add_argument(
        "--index_samples", type=at_least(1_000_032), default=1_200_000, help="samples of the synthetic index"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        os.environ["XDG_CACHE_HOME"] = scratch
        index = write_shards(directory, args.samples)
        tars = sorted(map(str, directory.glob("*.tar")))
        contenders: dict[str, Callable[[], object]] = {
            "ours": Passes(our_loader(directory, index, args.batch_size)),
            "webdataset": Passes(usual_loader(tars, args.batch_size)),
            "raw": lambda: in_processes(read_members, tars),
            "bytes": lambda: in_processes(read_bytes, tars),
        }
        seconds = {name: min(times) for name, times in interleave(contenders, args.rounds).items()}
        speeds = {name: round(args.samples / time_s) for name, time_s in seconds.items()}
        rows: dict[str, dict[str, Any]] = {name: {"samples_per_s": speed} for name, speed in speeds.items()}
        rows["ours over"] = {name: round(speeds["ours"] / speeds[name], 2) for name in ("webdataset", "raw", "bytes")}
        rows["resume"] = time_resume(directory, args.index_samples)
    write_report("reader", vars(args), rows)


def write_shards(directory: Path, samples: int, per_shard: int = 512) -> Index:
    """Shards of random features; pictures and records are bytes of a usual length that nobody decodes."""
    source = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=source)

    entries = []
    for first in range(0, samples, per_shard):
        name = shard_name("train", first // per_shard)
        with TarWriter(directory / name) as tar:
            for number in range(first, min(first + per_shard, samples)):
                tensors = {MOMENTS: draw(8, 16, 16), TEXT_LOCAL: draw(77, 128), TEXT_GLOBAL: draw(77, 128)}
                tensors |= {visual_key(view): draw(49, 128) for view in VIEWS}
                tensors |= {masked_latents_key(view): draw(4, 16, 16) for view in VIEWS}
                members = {"webp": bytes(4000), "json": b"{}" + b" " * 1500, "safetensors": pack_tensors(tensors)}
                entries.append(IndexEntry(f"train_{number:07d}", name, tar.add(f"train_{number:07d}", members)))
    write_index(directory / "index", entries)
    return Index.read(directory / "index", {path.name: path.stat().st_size for path in directory.glob("*.tar")})


class Passes:
    """One pass over a loader at each call; it keeps its workers."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __call__(self) -> None:
        """Read everything once."""
        for _ in self.loader:
            pass


def our_loader(directory: Path, index: Index, batch_size: int) -> ShardLoader:
    """The training loader of ``OutpaintDataModule``."""
    choice = ViewChoice(directions=DIRECTIONS, ratios=(0.5, 0.5), precomputed=VIEWS)
    data = ShardDataset(directory, index, 128, choice, 0, Features(*2 * [torch.zeros(77, 128)]))
    sampler = EpochSampler(len(index), batch_size, shuffle=True, seed=0)
    return ShardLoader(data, sampler, num_workers=WORKERS, persistent_workers=True)


def usual_loader(tars: list[str], batch_size: int) -> Any:
    """The pipeline of webdataset's documentation, with a decoder for safetensors."""
    views = random.Random(0)

    def decode(key: str, data: bytes) -> Any:
        return load(data) if key.endswith("safetensors") else None

    def pick(sample: dict[str, Any]) -> tuple[torch.Tensor, ...]:
        view = views.choice(VIEWS)
        names = (MOMENTS, TEXT_LOCAL, TEXT_GLOBAL, visual_key(view), masked_latents_key(view))
        return tuple(sample["safetensors"][name].float() for name in names)

    only = webdataset.WebDataset(tars, shardshuffle=100, empty_check=False, select_files=_is_features)
    batches = only.shuffle(1000).decode(decode).map(pick).batched(batch_size)
    return webdataset.WebLoader(batches, batch_size=None, num_workers=WORKERS, persistent_workers=True)


def _is_features(name: str) -> bool:
    return name.endswith(".safetensors")


def read_members(path: str) -> int:
    """Walk a tar and read every member."""
    with tarfile.open(path, "r:") as tar:
        return sum(len(tar.extractfile(info).read()) for info in tar)  # type: ignore[union-attr,misc]


def read_bytes(path: str) -> int:
    """Read a file without looking at it."""
    count, piece = 0, bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        while size := file.readinto(piece):
            count += size
    return count


def in_processes(work: Callable[[str], int], tars: list[str]) -> None:
    """Share the tars between as many processes as the loaders have workers."""
    if not _POOL:
        _POOL.append(get_context("fork").Pool(WORKERS))
    _POOL[0].map(work, tars, chunksize=1)


_POOL: list[Any] = []


def time_resume(directory: Path, samples: int) -> dict[str, Any]:
    """Seconds from nothing to the order at sample 1,000,000: read the index, permute, skip."""
    path = directory / "large.jsonl"
    write_index(path, synthetic_entries(samples))
    sizes = {shard_name("train", number): 10**12 for number in range(samples // 1000 + 1)}
    start = time.perf_counter()
    Index.read(path, sizes)
    first = time.perf_counter() - start
    start = time.perf_counter()
    index = Index.read(path, sizes)
    sampler = EpochSampler(len(index), 32, shuffle=True, seed=0)
    sampler.first_batch = 1_000_000 // 32
    place = next(iter(sampler)).position
    assert index[place].key
    return {"samples": samples, "first_read_s": round(first, 2), "resume_s": round(time.perf_counter() - start, 3)}


def synthetic_entries(samples: int) -> Iterator[IndexEntry]:
    """An index of shards of a thousand samples each."""
    for number in range(samples):
        start = 512 + number % 1000 * 120_000
        spans = ((start, 4000), (start + 4608, 1500), (start + 7168, 110_000))
        yield IndexEntry(f"train_{number:07d}", shard_name("train", number // 1000), spans)


if __name__ == "__main__":
    main()
