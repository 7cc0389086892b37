"""CLIP similarity of pictures to their captions."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from eval.clip import EvaluationClip, find_clip
from eval.functional.clip_sim import clip_sim
from eval.functional.crops import Place, crop_grid, cut
from eval.functional.sampling import key_hash
from eval.metrics.base import Described, Ratio, RatioMetric, metric_name
from lit_outpaint.protocols import CaptionOf, NotComputable, SampleId, View

DEFAULT_CLIP = "models/scapes/eval_clip"


class ClipSim(RatioMetric):
    """CLIP-SIM: mean cosine of each picture and its caption, generated and real side by side.

    Which picture and which caption is part of the name: ``window`` and ``local``, ``window`` and ``global``, ``strip``
    and ``local``, or the whole ``panorama`` squashed to the model's input and ``global``. The definition behind values
    published under this name by NUWA-Infinity was not found, so that none of them is claimed to be it.

    Args:
        clip: the evaluation CLIP, which must not be the one that conditions the model: see ``EvaluationClip``.
        view: which pictures.
        caption: which captions.
    """

    key_parts = 2
    side_by_side = True
    reads_captions = True
    total: Tensor
    real_total: Tensor
    counts: Tensor

    def __init__(
        self, clip: str | EvaluationClip = DEFAULT_CLIP, view: View = "window", caption: CaptionOf = "local"
    ) -> None:
        super().__init__()
        if view == "panorama" and caption == "local":
            raise ValueError("a panorama has no local caption; ask for the global one, or for windows")
        self.clip, self.view, self.caption = find_clip(clip), view, caption
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("real_total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        # Generated pictures, real ones, and captions that were longer than the context.
        self.add_state("counts", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]
    ) -> None:
        """Take in a batch."""
        if not captions:
            return
        texts = self.clip.encode_texts(captions)
        long = sum(chunks > 1 for chunks in self.clip.num_chunks(captions))
        if len(generated):
            self.total += clip_sim(self.clip.encode_pixel_values(generated).cpu(), texts).double().sum().item()
        if len(reference):
            self.real_total += clip_sim(self.clip.encode_pixel_values(reference).cpu(), texts).double().sum().item()
        self.counts += torch.tensor([len(generated), len(reference), long], device=self.device)

    def ratios(self) -> dict[str, Ratio]:
        """What makes up each score, by its name."""
        drawn, real, _ = self.counts.tolist()
        parts = (f"{self.view}-{self.caption}", self.clip.name)
        scores = {metric_name("clip_sim", *parts, f"n{drawn}"): Ratio(float(self.total), drawn)} if drawn else {}
        if real:
            scores[metric_name("clip_sim", *parts, f"real-n{real}")] = Ratio(float(self.real_total), real)
        return scores

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        drawn, _, long = self.counts.tolist()
        if not drawn:
            raise NotComputable("CLIP-SIM cannot be computed: there are no pictures")
        scores = {name: ratio.total / ratio.num for name, ratio in self.ratios().items()}
        told = metric_name("num_captions_in_chunks", f"{self.view}-{self.caption}", self.clip.name)
        return scores | ({told: float(long)} if long else {})

    def describe(self, name: str) -> Described:
        """How a score stands in a report."""
        return super().describe(name)._replace(unit="count" if name.startswith("num_") else "plain")

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        return (
            f"Mean cosine, not scaled and not clipped, of the features of each {self.view} and its {self.caption} "
            f"caption by the evaluation CLIP {self.clip.name}; pictures are squashed to its input, captions beyond its "
            "context are read in chunks whose features are averaged, and counted."
        )


class MeanClipScore(RatioMetric):
    """Mean CLIP score of square crops of panoramas to the global caption, as SyncDiffusion measures it.

    Source: the protocol of Lee et al. 2023 (arXiv:2306.05178), from their evaluation code: one random crop per
    panorama, ``100 * max(cosine, 0)``, CLIP ViT-B/16. Our crops depend on the panorama's key alone.

    Args:
        clip: the evaluation CLIP.
        crop_px: side of a crop; the shorter side of the panorama when absent.
        crops: ``random`` places along the panorama, or all on a ``grid`` whose stride is ``crop_px``.
        num_crops: random crops per panorama.
        seed: of their places.
    """

    view: View = "panorama"
    caption: CaptionOf = "global"
    reads_captions = True
    total: Tensor
    count: Tensor

    def __init__(
        self,
        clip: str | EvaluationClip = DEFAULT_CLIP,
        crop_px: int | None = None,
        crops: Literal["random", "grid"] = "random",
        num_crops: int = 1,
        seed: int = 2023,
    ) -> None:
        super().__init__()
        if num_crops < 1 or (crop_px is not None and crop_px < 1):
            raise ValueError(f"num_crops and crop_px must be positive, got {num_crops} and {crop_px}")
        self.clip, self.crop_px, self.crops, self.num_crops, self.seed = (
            find_clip(clip),
            crop_px,
            crops,
            num_crops,
            seed,
        )
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self, generated: Tensor, reference: Tensor, captions: Sequence[str], samples: Sequence[SampleId]
    ) -> None:
        """Take in a batch; the references are not looked at."""
        for picture, caption, sample in zip(generated, captions, samples, strict=True):
            size = self.crop_px or min(picture.shape[-2:])
            places = self.places(int(picture.shape[-2]), int(picture.shape[-1]), size, sample)
            features = self.clip.encode_pixel_values(cut(picture, places, size)).cpu()
            cosines = clip_sim(features, self.clip.encode_texts([caption] * len(places))).double()
            self.total += (100 * cosines.clamp_min(0)).sum().item()
            self.count += len(places)

    def places(self, height: int, width: int, size: int, sample: SampleId) -> list[Place]:
        """Where the crops of one panorama lie."""
        if self.crops == "grid":
            return crop_grid(height, width, size, size)
        if size > min(height, width):
            raise ValueError(f"crop_px must fit into the panorama of {width} x {height} px, got {size}")

        def draw(bound: int, what: str) -> int:
            return key_hash(f"{sample}/{what}", self.seed) % (bound + 1)

        return [
            Place(draw(height - size, f"top{index}"), draw(width - size, f"left{index}"))
            for index in range(self.num_crops)
        ]

    def ratios(self) -> dict[str, Ratio]:
        """What makes up each score, by its name."""
        size = "square" if self.crop_px is None else str(self.crop_px)
        how = f"{self.crops}{self.num_crops if self.crops == 'random' else ''}-{size}"
        count = int(self.count)
        name = metric_name("mean_clip", self.clip.name, how, f"n{count}")
        return {name: Ratio(float(self.total), count)} if count else {}

    def compute(self) -> dict[str, float]:
        """Return the scores over everything taken in, by name."""
        if not self.count:
            raise NotComputable("the mean CLIP score cannot be computed: there are no panoramas")
        return {name: ratio.total / ratio.num for name, ratio in self.ratios().items()}

    @property
    def definition(self) -> str:
        """How the numbers are computed, in a sentence or two."""
        where = "at places drawn from the key" if self.crops == "random" else "side by side"
        return (
            f"Mean of 100 * max(cosine, 0) of square crops {where} and the global caption, by the evaluation CLIP "
            f"{self.clip.name} (SyncDiffusion's Mean-CLIP-S uses one random crop per panorama)."
        )
