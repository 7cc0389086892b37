"""A denoising step with regions against the same step with one prompt.

    python -m benchmarks.regional

Both sides call the same U-Net on the same latents with guidance (two rows) and with keys and values projected before
the loop. The plain side reads one prompt everywhere; ours reads a base prompt and, inside each cell of a grid, a prompt
of its own, mixed by a base ratio of 0.3. The unconditional row has one negative prompt for all cells, so it has no
regions. Targets: at most 1.15, 1.25 and 1.5 times the plain step for 2, 4 and 9 regions, which is a ratio plain / ours
of at least 0.87, 0.80 and 0.67.
"""

import warnings
from collections.abc import Callable

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from benchmarks.commands import at_least, refusing
from benchmarks.timing import CLOCKS, interleave, summarise, write_report
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.models.attention import AttentionRule, FullAttention
from lit_outpaint.models.context import Context
from lit_outpaint.models.regional import RegionalAttention
from lit_outpaint.models.regions import RegionContext, RegionRows, cat_regions, gather_regions

GRIDS = {2: (1, 2), 4: (2, 2), 9: (3, 3)}
"""Rows and columns of the grid with this many regions."""
ROWS = 77
BASE_RATIO = 0.3
TIMESTEP = 500


@refusing
def main() -> None:
    """Time the steps at each number of regions and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pretrained", default="models/scapes", help="model family whose U-Net is called")
    parser.add_argument("--cells", type=at_least(1), nargs="+", default=[16, 32], help="latent sides of the pictures")
    parser.add_argument("--steps", type=at_least(1), default=20, help="U-Net calls of one timed loop")
    parser.add_argument("--rounds", type=at_least(1), default=15, help="timed loops of each side")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="time that passes, or CPU time of all threads")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")

    device = "cuda" if torch.cuda.is_available() else "cpu"
    unet = UNet2DConditionModel.from_pretrained(args.pretrained, subfolder="unet").float().to(device).eval()
    rows = {}
    for cells in args.cells:
        contenders: dict[str, Callable[[], object]] = {"plain": steps(unet, FullAttention(), cells, None, args.steps)}
        for count, grid in GRIDS.items():
            regions = grid_regions(*grid, int(unet.config.cross_attention_dim)).to(device, torch.float32)
            contenders[str(count)] = steps(unet, RegionalAttention(), cells, regions, args.steps)
        seconds = interleave(contenders, args.rounds, warmup=2, clock=args.clock)
        for count in GRIDS:
            rows[f"{cells} x {cells} cells, {count} regions"] = summarise(seconds[str(count)], seconds["plain"])
    write_report("regional", vars(args), rows)


def steps(
    unet: UNet2DConditionModel, rule: AttentionRule, cells: int, regions: RegionContext | None, count: int
) -> Callable[[], Tensor]:
    """``count`` U-Net calls of one denoising loop, what is done once before them included."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 4, cells, cells, generator=generator).to(unet.device)
    base = torch.randn(2, ROWS, int(unet.config.cross_attention_dim), generator=generator).to(unet.device)
    context = Context(base, None, regions=regions)

    @torch.no_grad()
    def loop() -> Tensor:
        rule.install(unet)
        kwargs = rule.loop_kwargs(unet, context, (cells, cells))
        timestep = torch.tensor(TIMESTEP, device=unet.device)
        out = latents
        for _ in range(count):
            out = unet(latents, timestep, base, cross_attention_kwargs=kwargs).sample
        return out

    return loop


def grid_regions(rows: int, columns: int, dim: int) -> RegionContext:
    """An even grid for the second of two rows; the first, the unconditional one, has none."""
    generator = torch.Generator().manual_seed(1)
    boxes = [
        (column / columns, row / rows, (column + 1) / columns, (row + 1) / rows)
        for row in range(rows)
        for column in range(columns)
    ]
    conditional = gather_regions(
        [[RegionRows(box, torch.randn(ROWS, dim, generator=generator), BASE_RATIO) for box in boxes]]
    )
    assert conditional is not None
    return cat_regions([conditional.emptied(), conditional])


if __name__ == "__main__":
    main()
