"""Train the evaluation CLIP in open_clip's format: another seed and width than the conditioning one, never used for it.

python -m data_prep.scapes.train_eval_clip --work runs/family --out models/scapes --seed 1
"""

import json

import numpy as np
import open_clip
from safetensors.torch import save_file
from torch import Tensor

from data_prep.scapes.command import arguments, record
from data_prep.scapes.corpus import Corpus
from data_prep.scapes.tokenizer import TEXT_LENGTH, build_tokenizer
from data_prep.scapes.train_clip import contrastive_loss, shrink
from data_prep.scapes.training import Budget, autocast, train

BATCH, IMAGE_PX, PATCH_PX, WIDTH, EMBED_DIM = 128, 128, 16, 112, 96


def model_config(vocab_size: int) -> dict[str, object]:
    """Architecture in open_clip's words; ``./`` makes it find the tokenizer in its own folder."""
    tower = {"width": WIDTH, "head_width": 28}
    vision = {"image_size": IMAGE_PX, "patch_size": PATCH_PX, "layers": 4, **tower}
    text = {"context_length": TEXT_LENGTH, "vocab_size": vocab_size, "width": WIDTH, "heads": 4, "layers": 3}
    return {"embed_dim": EMBED_DIM, "vision_cfg": vision, "text_cfg": {**text, "hf_tokenizer_name": "./"}}


def main() -> None:
    """Command line."""
    args = arguments(__doc__, minutes=9, lr=3e-3)
    corpus = Corpus(args.work, args.windows)
    tokenizer = build_tokenizer(caption for i in range(len(corpus)) for caption in corpus.captions(i))
    config = model_config(len(tokenizer))
    clip = open_clip.CLIP(config["embed_dim"], config["vision_cfg"], _without_tokenizer(config["text_cfg"]))
    clip.to(args.device)

    def loss(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((args.seed, 2, step))
        indices = rng.choice(len(corpus), BATCH, replace=False)
        captions = corpus.random_captions(indices, rng)
        tokens = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids.to(
            args.device
        )
        with autocast(args.device):
            pixel_values = shrink(corpus.pixel_values(indices), IMAGE_PX).to(args.device)
            features = clip.encode_image(pixel_values, normalize=True), clip.encode_text(tokens, normalize=True)
        return contrastive_loss(features[0].float(), features[1].float(), clip.logit_scale.exp())

    spent = train(clip, loss, Budget(minutes=args.minutes, lr=args.lr), args.work / "eval_clip")
    out = args.out / "eval_clip"
    tokenizer.save_pretrained(out)
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    saved = {"model_cfg": config, "preprocess_cfg": preprocess}
    (out / "open_clip_config.json").write_text(json.dumps(saved, indent=1) + "\n")
    weights = {name: value.half().contiguous() for name, value in clip.state_dict().items()}
    save_file(weights, out / "open_clip_model.safetensors")
    record(args, "eval_clip", spent, sum(p.numel() for p in clip.parameters()))


def _without_tokenizer(text_config: object) -> dict[str, object]:
    assert isinstance(text_config, dict)
    return {key: value for key, value in text_config.items() if key != "hf_tokenizer_name"}


if __name__ == "__main__":
    main()
