"""Preparation against the bare encoders: what decoding, writing, packing and reading back cost.

    python -m benchmarks.data_prep

Both sides encode the same windows and captions with the same encoders, views, batches and precision. The plain side is
a loop over pixels that are in memory already, and it throws the features away: the least that encoding can cost. Ours
is what a preparation does with prepared windows: read and decode raw shards, encode, write features, pack shards with
index and card, and read every sample back as training does.
"""

import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.commands import at_least, refusing
from benchmarks.timing import interleave, summarise, write_report
from data_prep.caption import read_captions
from data_prep.config import CallConfig, CaptionConfig, EncodeConfig, MachineConfig, ScapesConfig
from data_prep.encode import decode_windows, encode_batch, load_encoders, read_windows, to_pixel_values
from data_prep.source import run_source
from data_prep.stages import caption_stage, encode_stage, make_source, pack_stage
from data_prep.work import Work
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.data.schema import SampleRecord

Batch = tuple[Tensor, list[SampleRecord]]


@refusing
def main() -> None:
    """Time both sides in turns and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", default="models/scapes", help="model family that both sides use")
    parser.add_argument("--windows", type=at_least(4), default=256, help="windows to prepare, in four shards")
    parser.add_argument("--batch_size", type=at_least(1), default=64, help="windows encoded at once")
    parser.add_argument("--bf16", action="store_true", help="encode under bfloat16 autocast")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="timed calls of each side")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    encode = EncodeConfig(models=args.models, bf16=args.bf16)
    # One process on both sides.
    machine = MachineConfig(batch_size=args.batch_size, workers=1)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder) / "set")
        with work.lock():
            prepare_windows(work, args.windows, machine)
            batches = load_batches(work, args.batch_size)
            sides = {"ours": lambda: ours(work, encode, machine), "plain": lambda: plain(batches, encode, machine)}
            cpu: dict[str, list[float]] = {name: [] for name in sides}
            metered = {name: partial(_metered, side, cpu[name]) for name, side in sides.items()}
            wall = interleave(metered, args.rounds)
    rows = {
        "encode, pack, read back": summarise(wall["ours"], wall["plain"]),
        # Ours has more threads, so that a machine shared with other work favours it; this row is blind to that.
        "the same, CPU time of all threads": summarise(cpu["ours"][1:], cpu["plain"][1:]),
    }
    write_report("data_prep", vars(args), rows)


def _metered(side: Callable[[], None], seconds: list[float]) -> None:
    """Do the work and note the CPU time that it took."""
    start = time.process_time()
    side()
    seconds.append(time.process_time() - start)


def prepare_windows(work: Work, windows: int, machine: MachineConfig) -> None:
    """Raw windows and captions, which both sides start from."""
    sizes = ScapesConfig(
        windows=windows, val_windows=0, panoramas=0, eval_windows=0, samples_per_shard=-(-windows // 4)
    )
    source = make_source(sizes)
    run_source(work, source, source.settings(), machine)
    caption_stage(work, CaptionConfig(), CallConfig(), machine)


def load_batches(work: Work, batch_size: int) -> list[Batch]:
    """The windows as pixels in memory with their records, in the batches that preparation makes of them."""
    batches: list[Batch] = []
    for stem in work.shards("raw"):
        records = read_captions(work.stage("captions") / f"{stem}.jsonl")
        for keys, windows, _ in decode_windows(read_windows(work.stage("raw"), stem), batch_size):
            batches.append((to_pixel_values(windows), [records[key] for key in keys]))
    return batches


def ours(work: Work, encode: EncodeConfig, machine: MachineConfig) -> None:
    """Features, shards, card, and all samples once through the loader."""
    shutil.rmtree(work.stage("features"), ignore_errors=True)
    encode_stage(work, encode, machine)
    pack_stage(work, machine)
    data = OutpaintDataModule(str(work.out), batch_size=machine.batch_size or 64, num_workers=0)
    data.setup()
    for _ in data.train_dataloader():
        pass


def plain(batches: list[Batch], encode: EncodeConfig, machine: MachineConfig) -> None:
    """The encoders alone."""
    encoders = load_encoders(encode.models, encode.vision, machine.device)
    for pixel_values, records in batches:
        encode_batch(encoders, pixel_values, records, encode)
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
