"""Toy networks and process groups for the tests of metrics, and toy runs for those of reports."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.multiprocessing as processes
from PIL.Image import Image
from torch import Tensor, nn

from eval.compbench.items import Question
from eval.extractors import ModuleExtractor
from eval.figures import Figure, Target
from eval.finished import EvaluationRecord, KeptPanorama, ShownPanorama, read_run
from eval.functional.bootstrap import Estimate
from eval.outputs import write_numbers, write_panoramas
from eval.report.loss_curve import LossCurve
from eval.report.one_run import write_report
from eval.report.panoramas import Note
from lit_outpaint.heldout.walks import Geometry, Walk
from lit_outpaint.protocols import ImageMetric, SampleId

_VOID_TAGS: Final = {"meta", "img", "br", "line", "polyline"}


@dataclass(frozen=True, kw_only=True)
class GivenAnswers:
    """A judge of pictures that says yes to given questions, whatever the picture."""

    yes: tuple[str, ...]
    """The questions."""
    most: int = 100
    """How many questions it answers at most."""
    name: str = "given answers"
    """Who answers."""

    def probabilities(self, picture: Image, questions: Sequence[Question]) -> list[float]:
        """1 for the given questions, 0 for all others."""
        return [float(question.text in self.yes) for question in questions][: self.most]


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
    """One start window of each of this many pictures."""
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


class ParsedPage(HTMLParser):
    """A page of a report; fails on tags that do not close in order, and on attributes that run scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        """Of pictures and links."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in _VOID_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag that closes itself."""
        assert tag in _VOID_TAGS
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last."""
        assert self.open.pop() == tag


def parsed_page(html: str) -> ParsedPage:
    """The tags and sources of a page."""
    page = ParsedPage()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


def write_toy_run(
    out: Path, shift: float = 0.0, settings: Mapping[str, Any] | None = None, caption: str = "a wide view"
) -> Path:
    """What ``eval run`` leaves of 3 panoramas and 2 steps, 2 of them shown, without anything being drawn or scored.

    Args:
        out: the directory.
        shift: of the values from those of another toy run.
        settings: further settings of the run.
        caption: the global one, and the start of all local ones.

    Returns:
        The directory.
    """
    geometry, rng = Geometry("right", 16, 8), np.random.default_rng(0)
    real = {f"p{index}": rng.integers(0, 256, (16, 32, 3), dtype=np.uint8) for index in range(3)}
    texts = tuple(f"{caption} {step}" for step in range(3))
    walks = [Walk(key, picture[:, :16], caption, texts[1:]) for key, picture in real.items()]
    curves: dict[str, Any] = {"curve": (1.0 + shift, None, 2.0 + shift), "real_curve": (1.0, 1.5, 2.0)}
    curves["curve_steps"] = (0, 1, 2)
    known = Estimate(1.0, 0.9, 1.0, 3, 6)
    rows: list[tuple[str, str, Any, Estimate | None, dict[str, Any]]] = [
        ("kept", "time kept", "percent", Estimate(0.5 - shift / 10, 0.25, 0.75, 3, 6), {"target": Target(">=", 0.5)}),
        ("seam", "<b>seam</b> | joint", "plain", Estimate(2 + shift, 1.5, 2.5, 3, 6), curves),
        ("is", "is.n6", "plain", Estimate(3.0 + shift, float("nan"), float("nan"), 3, 6), {}),
        ("fid", "fid.n6", "plain", None, {"reason": "too few"}),
    ]
    figures = [
        Figure(key=key, title=title, definition=f"How {key} is made.", unit=unit, estimate=value, real=known, **more)
        for key, title, unit, value, more in rows
    ]
    record = EvaluationRecord(
        subtitle="3 held-out panoramas, 2 steps right",
        settings={"steps": 2, "panoramas": 3, "direction": "right", "out": str(out), "judge": {"cloud_share": 0.1}}
        | {"sampling": {"seed": 0, "eta": 0.0}, **(settings or {})},
        geometry=geometry,
        table_steps=[0, 2],
        loss=LossCurve([1.0, 2.0], [0.5, 0.25]),
        per_panorama=[
            KeptPanorama(key=key, inputs=f"{key} {caption}", ratios={"seam": (3.0 + index + 2 * shift, 2)})
            for index, key in enumerate(real)
        ],
        shown=[
            ShownPanorama(
                key=key,
                global_caption=caption,
                captions=list(texts),
                notes=[Note(f"{caption} seen", "lacks a barn"), Note("day", "")],
            )
            for key in ("p0", "p2")
        ],
    )
    out.mkdir()
    write_panoramas(out, walks, [picture[::-1] for picture in real.values()], {key: real[key] for key in ("p0", "p2")})
    made = {"checkpoint": "toy", "judges": "a probe", "command": f"python -m eval run --out {out}"}
    write_numbers(out, f"Outpainting: {caption}", figures, made, record.model_dump(mode="json"))
    write_report(read_run(out), out)
    return out
