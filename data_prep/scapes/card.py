"""Write the model card of the family from the record of its trainings and from the scores that ``eval`` left.

``python -m data_prep.scapes.card --models models/scapes --scores runs/family/metrics.md runs/eval/metrics.md``
"""

import argparse
import json
from pathlib import Path

from data_prep.scapes.score_tables import marked, weights_hash

PARTS = {
    "vae": "autoencoder, stock AutoencoderKL (f 8, 4 channels)",
    "decoder": "the autoencoder's decoder, trained further on its frozen encoder (docs/family.md)",
    "clip": "conditioning CLIP: text encoder (77 tokens) and vision encoder (7 x 7 patches of 112 px)",
    "probe": "segmentation probe (the judge) and scene classifier (features of IS)",
    "steering_probe": "a second, smaller probe: steers the closed loop of generate --rounds, scores nothing",
    "eval_clip": "evaluation CLIP, open_clip format",
    "base": "text-to-image U-Net, stock UNet2DConditionModel",
    "lm": "ScapesLM, chat model in the stock Llama layout, trained on captions alone (docs/scapes_lm.md)",
    "outpaint": "9-channel U-Net and context encoder, fine-tuned from the base",
    "language": "language encoder, stock T5EncoderModel, trained on captions alone (docs/llm4gen.md)",
    "llm4gen": "cross-adapter module and what it changes of the base's attention layers (docs/llm4gen.md)",
}
"""What each part is, in the order of training."""

COMMANDS = """\
python -m data_prep.scapes.train_vae       --work runs/family --out models/scapes --minutes 23
python -m data_prep.scapes.train_clip      --work runs/family --out models/scapes --minutes 6
python -m data_prep.scapes.train_probe     --work runs/family --out models/scapes --minutes 6 --seed 2
python -m data_prep.scapes.train_probe     --work runs/family --out models/scapes --minutes 34 --seed 5 \\
  --windows 12000 --part steering_probe --widths 16 32 64 96
python -m data_prep.scapes.train_eval_clip --work runs/family --out models/scapes --minutes 9 --seed 1
python -m data_prep.scapes.train_base      --work runs/family --out models/scapes --minutes 41
python -m data_prep.scapes.train_lm        --work runs/family --out models/scapes --minutes 60
python -m data_prep all --source scapes --out runs/data --windows 5000 --surface_share 0.45 --panoramas 64 \\
  --eval_windows 1024 --bf16 true \\
  --directions "[left,right,up,down,up+left,up+right,down+left,down+right]"
python -m lit_outpaint fit -c experiments/scapes.yaml
python -m data_prep.scapes.ship_outpaint   --run runs/scapes --out models/scapes
python -m eval family --models models/scapes --data runs/data --out runs/family_scores
python -m eval run --checkpoint models/scapes/outpaint --data runs/data --out runs/scores
python -m data_prep.scapes.lm_eval         --models models/scapes --out runs/lm_scores
python -m data_prep.scapes.train_language_encoder --work runs/family --out models/scapes
python -m lit_outpaint fit -c experiments/llm4gen_scapes.yaml  # its shards: first lines of that file
python -m lit_outpaint export runs/llm4gen_scapes/last.ckpt --out models/scapes/llm4gen --half
python -m data_prep.scapes.train_decoder   --work runs/family --out models/scapes --minutes 80 --windows 10000
python -m data_prep.scapes.train_outpaint  --work runs/family --out models/scapes --minutes 70 --windows 10000 --warm"""


def training_table(notes: dict[str, dict[str, object]]) -> str:
    """One row a part: what it is and what its training took."""
    rows = [
        "| part | what | parameters | seed | windows | steps | minutes | machine |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for part, what in PARTS.items():
        if part in notes:
            note = notes[part]
            numbers = " | ".join(f"{note[key]:,}" for key in ("parameters", "seed", "windows", "steps", "minutes"))
            rows.append(f"| {part} | {what} | {numbers} | {note['machine']} |")
    return "\n".join(rows)


def card(models: Path, scores: list[Path]) -> str:
    """The whole card in Markdown."""
    notes = json.loads((models / "training.json").read_text())
    size = sum(path.stat().st_size for path in models.rglob("*.safetensors")) / 2**20
    measured = marked("card", weights_hash(models, "card"), "\n\n".join(path.read_text().strip() for path in scores))
    return f"""# The scapes family

A complete, tiny latent-diffusion family for 128 px windows of the scapes world, trained from scratch on it alone.
`StableDiffusionPipeline.from_pretrained("models/scapes")` of stock diffusers loads and draws with it;
`lit_outpaint.pipeline.load_pipeline("models/scapes/outpaint")` widens images with it; the language model in `lm` writes
captions. All of it is float16 safetensors, {size:.1f} MiB.

## Training

{training_table(notes)}

Minutes are wall time on a machine that was shared with other work, so steps count for more. Every part is trained by
one command; each continues from its last checkpoint when it is started again, also with more `--minutes`. So it was
with three: `base` was trained with `--minutes 26` and then 41, `eval_clip` with 5 and then 9, `steering_probe` with 12
and then 34, and their learning rate fell twice. `decoder` and `outpaint` were trained further last, on a CPU without
units for bfloat16; what other parts learnt from are latents, which the decoder leaves as they are. The row of
`outpaint` is of its second training, with masks of every kind, which continued with the result of `fit` (2,600 steps of
48 windows, 40 minutes). The rendered windows of `vae`, `clip`, `probe`, `eval_clip`, `base` and `lm` are
older than two corrections of the drawing, of a pixel or so (rounding at a view's edge, the igloo's door).

```
{COMMANDS}
```

## Scores on held-out worlds

Training worlds have even seeds, held-out worlds odd ones.

{measured}
"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="family folder with training.json")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="metrics.md files to quote")
    args = parser.parse_args()
    (args.models / "README.md").write_text(card(args.models, args.scores))


if __name__ == "__main__":
    main()
