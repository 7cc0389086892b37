"""Both merges against plain runs and against the released code's way to compute them."""

from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.models.attention import AttentionRule, FullAttention
from lit_outpaint.models.context import Context
from lit_outpaint.models.denoiser import Denoiser, Known
from lit_outpaint.models.latent_concat import LatentConcat
from lit_outpaint.models.region_cells import region_cells
from lit_outpaint.models.regional import RegionalAttention
from lit_outpaint.models.regions import (
    Box,
    RegionContext,
    RegionRows,
    cat_regions,
    gather_regions,
    map_size,
    pooled_embedding,
)
from lit_outpaint.testing.models import SD15_UNET, TOY_DIM, toy_unet

FULL = (0.0, 0.0, 1.0, 1.0)
QUARTERS = [(0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 1.0, 0.5), (0.0, 0.5, 0.5, 1.0), (0.5, 0.5, 1.0, 1.0)]
UNEVEN = [(0.0, 0.0, 1.0, 0.25), (0.0, 0.25, 0.3, 1.0), (0.3, 0.25, 1.0, 1.0)]
SIZES = [(8, 8), (8, 16), (13, 7), (9, 15)]
MERGES = ["attention_crop", "latent_concat"]
MODELS = Path("models/scapes")


@pytest.fixture
def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return toy_unet().eval()


def regions_of(boxes: list[Box], base_ratio: float | list[float], batch: int = 2) -> RegionContext:
    """Random rows for the boxes, others for each sample."""
    ratios = base_ratio if isinstance(base_ratio, list) else [base_ratio] * len(boxes)
    draw = torch.Generator().manual_seed(1)
    samples = [
        [
            RegionRows(box, torch.randn(6, TOY_DIM, generator=draw), ratio)
            for box, ratio in zip(boxes, ratios, strict=True)
        ]
        for _ in range(batch)
    ]
    regions = gather_regions(samples)
    assert regions is not None
    return regions


def inputs(size: tuple[int, int], batch: int = 2, dim: int = TOY_DIM) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    return torch.randn(batch, 4, *size, generator=draw), torch.randn(batch, 6, dim, generator=draw)


@torch.no_grad()
def call(
    unet: UNet2DConditionModel, latents: Tensor, context: Context, merge: str, added: dict[str, Tensor] | None = None
) -> Tensor:
    """One prediction by a merge."""
    rules: dict[str, AttentionRule] = {"attention_crop": RegionalAttention(), "latent_concat": LatentConcat()}
    denoiser = Denoiser(unet, rules[merge])
    if added is None:
        return denoiser(latents, torch.tensor(500), context)
    with mock.patch.object(unet, "forward", partial(unet.forward, added_cond_kwargs=added)):
        return denoiser(latents, torch.tensor(500), context)


@torch.no_grad()
def plain(unet: UNet2DConditionModel, latents: Tensor, rows: Tensor, added: dict[str, Tensor] | None = None) -> Tensor:
    """One prediction of the stock U-Net."""
    unet.set_attn_processor(AttnProcessor2_0())
    return unet(latents, torch.tensor(500), rows, added_cond_kwargs=added).sample


class _FullMapProcessor:
    """Regional attention as the released code computes it: every region from the whole map, then its rectangle."""

    def __init__(self, regions: RegionContext, size: tuple[int, int]) -> None:
        self.regions, self.size = regions, size
        self.stock = AttnProcessor2_0()

    def __call__(
        self, attn: Attention, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **unused: Any
    ) -> Tensor:
        if encoder_hidden_states is None:
            return self.stock(attn, hidden_states)
        height, width = map_size(self.size, hidden_states.shape[1])
        base = self.stock(attn, hidden_states, encoder_hidden_states).unflatten(1, (height, width))
        out = base.clone()
        for sample, boxes in enumerate(self.regions.boxes.tolist()):
            for number, (left, top, right, bottom) in enumerate(boxes):
                rows = self.regions.hidden_states[sample, number][None]
                of_region = self.stock(attn, hidden_states[sample][None], rows).unflatten(1, (height, width))[0]
                cut = (slice(int(height * top), int(height * bottom)), slice(int(width * left), int(width * right)))
                ratio = float(self.regions.base_ratio[sample, number])
                out[sample][cut] = ratio * base[sample][cut] + (1 - ratio) * of_region[cut]
        return out.flatten(1, 2)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("boxes", [QUARTERS, UNEVEN, UNEVEN[1:2]])
@torch.no_grad()
def test_own_queries_give_what_the_full_map_gives(
    unet: UNet2DConditionModel, boxes: list[Box], size: tuple[int, int]
) -> None:
    latents, rows = inputs(size)
    regions = regions_of(boxes, [0.1 + 0.2 * number for number in range(len(boxes))])
    unet.set_attn_processor(_FullMapProcessor(regions, size))
    reference = unet(latents, torch.tensor(500), rows).sample
    ours = call(unet, latents, Context(rows, None, regions=regions), "attention_crop")
    torch.testing.assert_close(ours, reference, atol=1e-5, rtol=0)
    assert (ours - plain(unet, latents, rows)).abs().max() > 1e-3


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("size", SIZES)
def test_a_base_ratio_of_1_is_a_plain_run_with_the_base_prompt(
    unet: UNet2DConditionModel, size: tuple[int, int], merge: str
) -> None:
    latents, rows = inputs(size)
    ours = call(unet, latents, Context(rows, None, regions=regions_of(UNEVEN, 1.0)), merge)
    torch.testing.assert_close(ours, plain(unet, latents, rows), atol=1e-5, rtol=0)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("size", SIZES)
def test_one_full_cell_without_base_is_a_plain_run_with_its_prompt(
    unet: UNet2DConditionModel, size: tuple[int, int], merge: str
) -> None:
    latents, rows = inputs(size)
    regions = regions_of([FULL], 0.0)
    ours = call(unet, latents, Context(rows, None, regions=regions), merge)
    torch.testing.assert_close(ours, plain(unet, latents, regions.hidden_states[:, 0]), atol=1e-5, rtol=0)


def test_without_regions_it_is_full_attention_bit_for_bit(unet: UNet2DConditionModel) -> None:
    latents, rows = inputs((8, 8))
    context = Context(rows, torch.randn(6))
    FullAttention().install(unet)
    with torch.no_grad():
        kwargs = FullAttention().cross_attention_kwargs(context, (8, 8))
        full = unet(latents, torch.tensor(500), rows, cross_attention_kwargs=kwargs).sample
    for merge in MERGES:
        assert torch.equal(call(unet, latents, context, merge), full)


@pytest.mark.parametrize("merge", MERGES)
def test_what_no_box_covers_follows_the_base_prompt(unet: UNet2DConditionModel, merge: str) -> None:
    latents, rows = inputs((8, 8))
    nowhere = regions_of([FULL], 0.0).emptied()
    torch.testing.assert_close(
        call(unet, latents, Context(rows, None, regions=nowhere), merge), plain(unet, latents, rows), atol=1e-5, rtol=0
    )


def test_each_cell_of_latent_concat_is_its_own_prompts_prediction_mixed_with_the_base(
    unet: UNet2DConditionModel,
) -> None:
    latents, rows = inputs((8, 16))
    regions = regions_of(QUARTERS[:2], [0.25, 0.75])
    ours = call(unet, latents, Context(rows, None, regions=regions), "latent_concat")
    base = plain(unet, latents, rows)
    left, right = (plain(unet, latents, regions.hidden_states[:, number]) for number in (0, 1))
    expected = base.clone()
    expected[..., :4, :8] = (0.25 * base + 0.75 * left)[..., :4, :8]
    expected[..., :4, 8:] = (0.75 * base + 0.25 * right)[..., :4, 8:]
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_a_sample_does_not_depend_on_its_batch(unet: UNet2DConditionModel) -> None:
    """Other samples may have more regions, of other sizes."""
    latents, rows = inputs((8, 8), batch=4)
    many, few = regions_of(UNEVEN, 0.3, batch=2), regions_of(QUARTERS, 0.5, batch=2)
    together = gather_regions(
        [
            [RegionRows(tuple(box), rows, ratio) for box, rows, ratio in zip(boxes, hidden, ratios, strict=True)]
            for part in (many, few)
            for boxes, hidden, ratios in zip(
                part.boxes.tolist(), part.hidden_states, part.base_ratio.tolist(), strict=True
            )
        ]
    )
    whole = call(unet, latents, Context(rows, None, regions=together), "attention_crop")
    first = call(unet, latents[:2], Context(rows[:2], None, regions=many), "attention_crop")
    torch.testing.assert_close(whole[:2], first, atol=1e-6, rtol=0)


def test_a_bias_of_a_regions_rows_hides_them(unet: UNet2DConditionModel) -> None:
    latents, rows = inputs((8, 8))
    regions = regions_of([FULL], 0.0)
    hiding = torch.tensor([0.0] * 4 + [-1e4] * 2).expand(2, 1, 6)
    for merge in MERGES:
        ours = call(unet, latents, Context(rows, None, regions=regions._replace(key_bias=hiding)), merge)
        expected = plain(unet, latents, regions.hidden_states[:, 0, :4])
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_in_a_loop_rows_are_projected_once_and_the_result_stays_the_same(unet: UNet2DConditionModel) -> None:
    latents, rows = inputs((8, 8))
    context = Context(rows, None, regions=regions_of(UNEVEN, 0.3))
    rule = RegionalAttention()
    assert isinstance(rule, AttentionRule)
    once = call(unet, latents, context, "attention_crop")
    calls: list[object] = []
    for name, layer in unet.named_modules():
        if name.endswith("attn2.to_k"):
            layer.register_forward_hook(lambda *args: calls.append(args))
    with torch.no_grad():
        kwargs = rule.loop_kwargs(unet, context, (8, 8))
        for _ in range(3):
            assert torch.equal(unet(latents, torch.tensor(500), rows, cross_attention_kwargs=kwargs).sample, once)
    # Of each cross-attention layer, the base rows and the regions' rows.
    assert len(calls) == 2 * sum(name.endswith("attn2") for name, _ in unet.named_modules())


@pytest.mark.parametrize("merge", MERGES)
@torch.no_grad()
def test_guided_prediction_is_the_guided_sum_of_the_halves(merge: str) -> None:
    """Nine channels, a lone window, the unconditional half without regions."""
    torch.manual_seed(0)
    unet = toy_unet(in_channels=9).eval()
    latents, rows = inputs((8, 16), batch=1)
    regions = regions_of(UNEVEN, 0.3, batch=1)
    known = Known(torch.ones(1, 1, 8, 16), torch.randn(1, 4, 8, 16))
    denoiser = Denoiser(unet, {"attention_crop": RegionalAttention(), "latent_concat": LatentConcat()}[merge])
    empty = torch.zeros_like(rows)
    stacked = Context(torch.cat([empty, rows]), regions=cat_regions([regions.emptied(), regions]))
    sampling = Sampling(guidance_scale=3.0)
    timestep = torch.tensor(500)
    once = denoiser.guided(stacked, known, (8, 16), sampling, project_once=True)(latents, timestep)
    conditional = denoiser(latents, timestep, Context(rows, regions=regions), known)
    unconditional = denoiser(latents, timestep, Context(empty), known)
    torch.testing.assert_close(once, unconditional + 3 * (conditional - unconditional), atol=1e-5, rtol=0)
    unguided = denoiser.guided(Context(rows, regions=regions), known, (8, 16), Sampling(guidance_scale=1.0))
    torch.testing.assert_close(unguided(latents, timestep), conditional, atol=1e-5, rtol=0)


def test_regions_are_not_passed_over_by_the_full_rule(unet: UNet2DConditionModel) -> None:
    latents, rows = inputs((8, 8))
    with pytest.raises(ValueError, match=r"regions.*FullAttention"):
        Denoiser(unet)(latents, torch.tensor(500), Context(rows, regions=regions_of(QUARTERS, 0.3)))


def test_queries_are_at_most_doubled() -> None:
    regions = regions_of(UNEVEN, 0.3)
    for height, width in [(16, 24), (8, 12), (4, 6)]:
        cells = region_cells(regions, height, width)
        assert sum(group.positions.numel() for group in cells.groups) < 2 * 2 * height * width


def test_gradients_reach_the_rows_of_every_region(unet: UNet2DConditionModel) -> None:
    latents, rows = inputs((8, 8))
    regions = regions_of(QUARTERS, 0.3)
    regions.hidden_states.requires_grad_(True)
    rule = RegionalAttention()
    rule.install(unet)
    kwargs = rule.cross_attention_kwargs(Context(rows, None, regions=regions), (8, 8))
    unet(latents, torch.tensor(500), rows, cross_attention_kwargs=kwargs).sample.square().mean().backward()
    assert regions.hidden_states.grad is not None
    assert (regions.hidden_states.grad.abs().amax(dim=(2, 3)) > 0).all()


@pytest.mark.parametrize("merge", MERGES)
def test_the_identities_hold_for_the_shipped_model(merge: str) -> None:
    unet = UNet2DConditionModel.from_pretrained(MODELS, subfolder="unet", dtype=torch.float32).eval()
    size, dim = (16, 24), int(unet.config.cross_attention_dim)
    latents, rows = inputs(size, dim=dim)
    draw = torch.Generator().manual_seed(3)
    samples = [[RegionRows(FULL, torch.randn(77, dim, generator=draw), 0.0)] for _ in range(2)]
    regions = gather_regions(samples)
    assert regions is not None
    alone = call(unet, latents, Context(rows, None, regions=regions), merge)
    torch.testing.assert_close(alone, plain(unet, latents, regions.hidden_states[:, 0]), atol=1e-5, rtol=0)
    base = regions._replace(base_ratio=torch.ones(2, 1))
    torch.testing.assert_close(
        call(unet, latents, Context(rows, None, regions=base), merge), plain(unet, latents, rows), atol=1e-5, rtol=0
    )


SDXL_UNET: dict[str, Any] = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
"""unet/config.json of Stable Diffusion XL, where it differs from the class's defaults, but for the number of
transformer blocks on each level, 1 in place of 1, 2 and 10: all channel counts at a third of the memory."""


@pytest.mark.slow
@pytest.mark.parametrize("config", [SD15_UNET, SDXL_UNET], ids=["sd15", "sdxl"])
def test_the_identities_hold_at_full_channel_counts(config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**config).eval()
    size, dim = (16, 24), config["cross_attention_dim"]
    draw = torch.Generator().manual_seed(3)
    latents, rows = torch.randn(1, 4, *size, generator=draw), torch.randn(1, 77, dim, generator=draw)
    base, region = ({"text_embeds": torch.randn(1, 1280, generator=draw)} for _ in range(2))
    sizes = {"time_ids": torch.tensor([[128.0, 192, 0, 0, 128, 192]])}
    regions = gather_regions([[RegionRows(FULL, torch.randn(77, dim, generator=draw), 0.0)]])
    assert regions is not None
    of_base = regions._replace(base_ratio=torch.ones(1, 1))
    last, first = (
        pooled_embedding(base["text_embeds"], region["text_embeds"][:, None], source)
        for source in ("last_region", "base")
    )
    alone = plain(unet, latents, regions.hidden_states[:, 0], {**sizes, **region})
    of_base_alone = plain(unet, latents, rows, {**sizes, **base})
    for merge in MERGES:
        ours = call(unet, latents, Context(rows, regions=regions), merge, {**sizes, "text_embeds": last})
        torch.testing.assert_close(ours, alone, atol=1e-5, rtol=0)
        ours = call(unet, latents, Context(rows, regions=of_base), merge, {**sizes, "text_embeds": first})
        torch.testing.assert_close(ours, of_base_alone, atol=1e-5, rtol=0)
