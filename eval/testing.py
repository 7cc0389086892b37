"""Toy networks and process groups for the tests of metrics."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as processes
from torch import Tensor, nn

from eval.extractors import ModuleExtractor
from lit_outpaint.protocols import ImageMetric, SampleId


def toy_extractor(width: int = 6, classifier: bool = True) -> ModuleExtractor:
    """A small convolution with random weights, scaled so that its classes differ between pictures."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = nn.Linear(32, width)
        with torch.no_grad():
            head.weight.mul_(20)
        module = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), head)
    return ModuleExtractor(module, "toy", width, classifier=classifier)


def toy_pictures(count: int, height: int = 16, width: int = 16, seed: int = 0) -> Tensor:
    """Pictures in [-1, 1] on 8-bit levels that differ in colour, gradient and noise."""
    generator = torch.Generator().manual_seed(seed)
    colour = torch.rand(count, 3, 1, 1, generator=generator)
    ramp = torch.linspace(-0.5, 0.5, width) * torch.rand(count, 1, 1, 1, generator=generator)
    noise = 0.2 * torch.rand(count, 3, height, width, generator=generator)
    levels = ((colour + ramp + noise).clamp(0, 1) * 255).round()
    return levels / 127.5 - 1


def toy_samples(count: int, prefix: str = "p") -> list[SampleId]:
    """One start window each of so many pictures."""
    return [SampleId(f"{prefix}{index:03d}", 1) for index in range(count)]


def computed_on_ranks(
    make: Callable[[], Sequence[ImageMetric]],
    feed: Callable[[ImageMetric, int, int], object],
    world_size: int,
) -> list[dict[str, float] | str]:
    """Scores of metrics after each rank of a real process group took in its part.

    Args:
        make: builds the metrics, on every rank.
        feed: called with a metric, the rank and the number of ranks.
        world_size: number of ranks.

    Returns:
        The scores of each metric, which all ranks agree on; the message where one cannot be computed.
    """
    with tempfile.TemporaryDirectory() as directory:
        processes.start_processes(
            _rank, args=(world_size, directory, make, feed), nprocs=world_size, start_method="fork"
        )
        answers = [json.loads(path.read_text()) for path in sorted(Path(directory).glob("rank*.json"))]
    assert len(answers) == world_size
    assert all(answer == answers[0] for answer in answers), "ranks differ in what they computed"
    return answers[0]


def _rank(rank: int, world_size: int, directory: str, make: Callable[[], Any], feed: Callable[..., Any]) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{directory}/rendezvous", rank=rank, world_size=world_size
    )
    answers: list[Any] = []
    for metric in make():
        feed(metric, rank, world_size)
        try:
            answers.append(metric.compute())
        except ValueError as error:
            answers.append(str(error))
    (Path(directory) / f"rank{rank}.json").write_text(json.dumps(answers))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
