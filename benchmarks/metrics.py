"""IS, FID and KID of a folder, ours against torch-fidelity: time for the same work, memory over many images.

Time: both read the same PNG files in batches through the same network (Inception with random weights, or a small one)
and compute the three metrics, in turns within one process. Memory: the metrics alone, fed synthetic features, up to
100,000 images; each size in a process of its own.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch_fidelity
from PIL import Image
from torch import Tensor, nn
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from benchmarks.commands import at_least, refusing
from benchmarks.timing import interleave, summarise, write_report
from eval.extractors import Features, InceptionExtractor, ModuleExtractor, SharedExtractor, to_levels
from eval.folder import read_folder
from eval.metrics import FID, KID, InceptionScore
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.protocols import SampleId

SUBSETS, SUBSET_SIZE, SPLITS = 20, 50, 10
_NAME = "lit-outpaint-benchmark"


@refusing
def main() -> None:
    """Run both parts and write the report."""
    parser = OneLineParser(description=__doc__)
    parser.add_argument("--images", type=at_least(SUBSET_SIZE), default=256, help="pictures in each of the two folders")
    parser.add_argument("--side", type=at_least(15), default=128, help="side of a picture in pixels")
    parser.add_argument("--rounds", type=at_least(1), default=5, help="timed rounds")
    parser.add_argument("--width", type=at_least(1), default=512, help="width of the features of the small network")
    parser.add_argument(
        "--inception", action="store_true", help="the real Inception with random weights (slow on a CPU)"
    )
    parser.add_argument("--most", type=at_least(0), default=100_000, help="images of the largest memory measurement")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        folders = [_folder(Path(root) / name, settings.images, settings.side, seed) for seed, name in enumerate("ab")]
        extractor = _inception(Path(root)) if settings.inception else _small(settings.width)
        FEATURE_EXTRACTORS_REGISTRY[_NAME] = _registered(extractor)
        cpu: dict[str, list[float]] = {"ours": [], "plain": []}
        contenders = {
            "ours": _counted(lambda: _ours(extractor, *folders), cpu["ours"]),
            "plain": _counted(lambda: _theirs(*folders), cpu["plain"]),
        }
        times = interleave(contenders, settings.rounds)
    sizes = [size for size in (1_000, 10_000, 100_000) if size <= settings.most]
    rows: dict[str, dict[str, Any]] = {f"is+fid+kid of 2 x {settings.images}": summarise(times["ours"], times["plain"])}
    # The first call of each warms up. Other work on the machine lengthens the time, hardly the work of the processor.
    rows["the same, processor time"] = summarise(cpu["ours"][1:], cpu["plain"][1:])
    rows |= {f"memory of {size} images": {"peak_mib_above_start": _memory(size)} for size in sizes}
    write_report("metrics", vars(settings), rows)


def _counted(work: Callable[[], object], seconds: list[float]) -> Callable[[], object]:
    """The same work, which notes the processor time that it takes."""

    def counted() -> object:
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
        return result

    return counted


def _ours(extractor: Any, generated: Path, real: Path) -> list[dict[str, float]]:
    shared = SharedExtractor(extractor)
    metrics = [InceptionScore(shared, SPLITS), FID(shared), KID(shared, SUBSETS, SUBSET_SIZE)]
    for side, directory in enumerate((generated, real)):
        folder = read_folder(directory, "--images")
        for start in range(0, len(folder.paths), 64):
            paths = folder.paths[start : start + 64]
            pictures = folder.load(paths)
            pair = (pictures, pictures[:0]) if side == 0 else (pictures[:0], pictures)
            for metric in metrics[side:]:
                metric.update(*pair, [""] * len(paths), [SampleId(path.stem) for path in paths])
    return [metric.compute() for metric in metrics]


def _theirs(generated: Path, real: Path) -> dict[str, float]:
    scores: dict[str, float] = torch_fidelity.calculate_metrics(
        input1=str(generated),
        input2=str(real),
        feature_extractor=_NAME,
        isc=True,
        fid=True,
        kid=True,
        isc_splits=SPLITS,
        kid_subsets=SUBSETS,
        kid_subset_size=SUBSET_SIZE,
        batch_size=64,
        cuda=False,
        cache=False,
        verbose=False,
        # Reads in this process, as ours does.
        save_cpu_ram=True,
    )
    return scores


def _registered(extractor: Any) -> type[FeatureExtractorBase]:
    class Registered(FeatureExtractorBase):
        """The same network as torch-fidelity wants it."""

        def __init__(self, name: str, features_list: list[str], **_: object) -> None:
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return ("pooled", "logits")

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "pooled"

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        def forward(self, levels: Tensor) -> tuple[Tensor, ...]:
            features = extractor.extract(levels.float() / 127.5 - 1)._asdict()
            return tuple(features[name] for name in self.features_list)

    return Registered


def _small(width: int) -> ModuleExtractor:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 64, 7, 4), nn.ReLU(), nn.Conv2d(64, width, 3, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    return ModuleExtractor(layers, "small", width, classifier=True)


def _inception(root: Path) -> InceptionExtractor:
    from unittest.mock import patch

    from torch_fidelity import feature_extractor_inceptionv3 as module

    torch.manual_seed(0)
    network = module.FeatureExtractorInceptionV3
    with (
        patch.object(module, "load_state_dict_from_url", lambda *_, **__: {}),
        patch.object(network, "load_state_dict"),
    ):
        state = network("random", ["2048"]).state_dict()
    torch.save(state, root / "random.pth")
    return InceptionExtractor(root / "random.pth")


def _folder(directory: Path, count: int, side: int, seed: int) -> Path:
    directory.mkdir()
    generator = torch.Generator().manual_seed(seed)
    for index in range(count):
        coarse = torch.rand(1, 3, 8, 8, generator=generator) * 2 - 1
        picture = nn.functional.interpolate(coarse, (side, side), mode="bilinear")[0]
        Image.fromarray(to_levels(picture).permute(1, 2, 0).numpy()).save(directory / f"{index:06d}.png")
    return directory


class _Synthetic:
    """Random features, no network."""

    name = "synthetic"
    num_features = 512
    num_classes: int | None = 512

    def extract(self, pixel_values: Tensor) -> Features:
        noise = torch.randn(len(pixel_values), self.num_features)
        return Features(noise, noise)


def _memory(count: int) -> float:
    """Peak memory of the metrics over this many images, above what the process had before, in MiB.

    Raises:
        RuntimeError: the process ended without a figure, as it does when the machine has no memory left for it.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(count, sender))
    process.start()
    sender.close()  # The other end is then the process's alone, and its death is the end of what can be received.
    try:
        answer: float = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(
            f"the process that measures {count} images ended with exit code {process.exitcode}, without a figure"
        ) from None
    process.join()
    return answer


def _measure(count: int, sender: Any) -> None:
    before = _peak_kib()
    extractor = SharedExtractor(_Synthetic())
    # The pool is full after the first thousand, so that what grows afterwards would be a leak.
    metrics = [InceptionScore(extractor, SPLITS), FID(extractor), KID(extractor, 2, 50, max_samples=400)]
    batch = 100
    for start in range(0, count, batch):
        pictures = torch.zeros(batch, 3, 2, 2)
        samples = [SampleId(str(start + row)) for row in range(batch)]
        for metric in metrics:
            metric.update(pictures, pictures, [""] * batch, samples)
    for metric in metrics:
        metric.compute()
    sender.send(round((_peak_kib() - before) / 1024, 1))


def _peak_kib() -> int:
    """Peak memory of this process; what getrusage says would include the process it was started from."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


if __name__ == "__main__":
    main()
