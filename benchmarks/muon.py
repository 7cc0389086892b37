"""A step of `lit_outpaint.training.muon` against ``torch.optim.Muon``, on the hidden weights of the family's U-Net.

    python -m benchmarks.muon

Both take orthogonalised momentum steps with the same rates. torch's takes matrices alone, so both get the kernels as
matrices ``(out, in * h * w)``, and it works one by one in bfloat16, which CPUs without units for it imitate; ours takes
all of one shape at once, in float32.
"""

import torch
from diffusers import UNet2DConditionModel
from torch import nn

from benchmarks.commands import at_least, refusing
from benchmarks.timing import CLOCKS, interleave, summarise, write_report
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.system.bfloat16 import computes_bfloat16
from lit_outpaint.training.muon import MuonAdamW, hidden_and_other

LR, WEIGHT_DECAY, MOMENTUM = 1e-5, 0.01, 0.95


@refusing
def main() -> None:
    """Time both optimisers in turns and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pretrained", default="models/scapes", help="model family whose U-Net is stepped")
    parser.add_argument("--rounds", type=at_least(1), default=10, help="timed steps of each side")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="time that passes, or CPU time of all threads")
    args = parser.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    unet = UNet2DConditionModel.from_pretrained(args.pretrained, subfolder="unet", dtype=torch.float32)
    hidden, _ = hidden_and_other(unet)
    ours, plain = ([matrix(weight, device) for weight in hidden] for _ in range(2))
    contenders = {
        "ours": MuonAdamW([{"params": ours, "muon": True}], LR, MOMENTUM, weight_decay=WEIGHT_DECAY).step,
        "plain": torch.optim.Muon(plain, LR, WEIGHT_DECAY, MOMENTUM, adjust_lr_fn="match_rms_adamw").step,
    }
    seconds = interleave(contenders, args.rounds, clock=args.clock)
    units = "with" if computes_bfloat16(device.type) else "without"
    rows = {f"step, {units} bfloat16 units": summarise(seconds["ours"], seconds["plain"])}
    write_report("muon", vars(args) | {"matrices": len(hidden)}, rows)


def matrix(weight: nn.Parameter, device: torch.device) -> nn.Parameter:
    """A copy of a weight as a matrix, with a gradient."""
    copied = nn.Parameter(weight.detach().flatten(1).clone().to(device))
    copied.grad = torch.randn_like(copied)
    return copied


if __name__ == "__main__":
    main()
