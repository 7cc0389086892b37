"""A training step that reads features of a language model (LLM4GEN) against one that reads CLIP alone.

    python -m benchmarks.language_step

Both train the attention layers of the family's text-to-image U-Net on the same precomputed features, forward and
backward, in turns; the optimiser, which has the same weights but for the adapter's, and the loader are left out.
Target: at most 1.10 times the step of CLIP alone, a ratio plain / ours of at least 0.91. A small U-Net has few
operations beside those of the rows that are added, so the last row counts operations at the sizes of Stable
Diffusion 1.5 and T5-XL (64 x 64 latents, 333 rows against 77) instead of timing them.
"""

import argparse
import warnings
from collections.abc import Callable

import torch
from diffusers import UNet2DConditionModel
from lightning.fabric.utilities import move_data_to_device
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.commands import at_least, refusing
from benchmarks.timing import CLOCKS, interleave, summarise, write_report
from lit_outpaint.callbacks.throughput import forward_flops
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.features import Features
from lit_outpaint.models.context import ContextDims, LanguageDims, PromptConfig
from lit_outpaint.models.encoders import family_dims
from lit_outpaint.models.language import T5Language
from lit_outpaint.models.language_context import LanguageContextConfig
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
from lit_outpaint.testing.models import SD15_UNET
from lit_outpaint.training.draws import SampleDraws


@refusing
def main() -> None:
    """Time both steps, count both at full size, and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pretrained", default="models/scapes", help="model family whose U-Net is trained")
    parser.add_argument("--language", default="models/scapes/language", help="T5 encoder whose features are read")
    parser.add_argument("--length", type=at_least(1), default=128, help="tokens of the language model")
    parser.add_argument("--batch_size", type=at_least(1), default=48, help="windows per step")
    parser.add_argument("--rounds", type=at_least(1), default=10, help="timed steps of each side")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="time that passes, or CPU time of all threads")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")

    language = T5Language(path=args.language, length=args.length)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    spoken = LanguageDims(language.length, language.dim)
    batch = move_data_to_device(random_batch(args.pretrained, spoken, args.batch_size), device)
    contenders = {
        "ours": step(OutpaintModule(base(args), LanguageContextConfig(init="plain"), language=language), batch),
        "plain": step(OutpaintModule(base(args), PromptConfig()), batch),
    }
    seconds = interleave(contenders, args.rounds, clock=args.clock)
    rows: dict[str, dict[str, float | int]] = {"step, float32": summarise(seconds["ours"], seconds["plain"])}
    rows["operations of a forward pass at the sizes of SD 1.5 and T5-XL"] = counted()
    write_report("language_step", vars(args), rows)


def base(args: argparse.Namespace) -> ModelConfig:
    """As experiments/llm4gen_scapes.yaml has it."""
    return ModelConfig(pretrained=args.pretrained, task="text_to_image", train="attention", channels_last=True)


def step(module: OutpaintModule, batch: OutpaintBatch) -> Callable[[], object]:
    """Loss and gradients of one batch, as a function of no arguments."""
    module.to(batch.moments.device).train()

    def step() -> None:
        module.zero_grad(set_to_none=True)
        module.drawn_losses(batch, SampleDraws(batch.keys, batch.moments.device)).mean().backward()

    return step


def random_batch(pretrained: str, language: LanguageDims, batch_size: int) -> OutpaintBatch:
    """Features of the family's sizes; what they hold does not matter for speed."""
    dims = family_dims(pretrained, None)
    side = int(UNet2DConditionModel.load_config(pretrained, subfolder="unet")["sample_size"])
    text = torch.randn(batch_size, dims.text_length, dims.text_dim)
    tokens = torch.randn(batch_size, language.length, language.dim)
    return OutpaintBatch(
        keys=tuple(str(i) for i in range(batch_size)),
        directions=("right",) * batch_size,
        mask=torch.ones(batch_size, 1, 8 * side, 8 * side),
        moments=torch.randn(batch_size, 8, side, side),
        features=Features(text_local=text, language_local=tokens),
        empty=Features(text_local=text[0], language_local=tokens[0]),
    )


def counted() -> dict[str, float | int]:
    """Operations of U-Net and adapter for one window, in units of 1e9, and their ratio."""
    dims, language = ContextDims(text_length=77, text_dim=768), LanguageDims(length=256, dim=2048)
    adapter = LanguageContextConfig(init="plain").build_for(dims, language)
    features = Features(text_local=torch.zeros(1, 77, 768), language_local=torch.zeros(1, 256, 2048))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        adapter(features)
    plain = forward_flops(SD15_UNET, 64, 77)
    ours = forward_flops(SD15_UNET, 64, adapter.rows) + counter.get_total_flops()
    return {
        "ours_gflop": round(1e-9 * ours, 1),
        "plain_gflop": round(1e-9 * plain, 1),
        "plain_over_ours": round(plain / ours, 3),
    }


if __name__ == "__main__":
    main()
