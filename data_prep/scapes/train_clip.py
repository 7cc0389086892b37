"""Train the conditioning CLIP: the family's text encoder and the vision encoder behind the visual tokens.

    python -m data_prep.scapes.train_clip --work runs/family --out models/scapes

Text length 77; the vision encoder cuts its 112 px input into 7 x 7 patches, so that E_i is 49 tokens. Both are 128
wide.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from data_prep.scapes.command import arguments, record
from data_prep.scapes.corpus import Corpus
from data_prep.scapes.tokenizer import TEXT_LENGTH, build_tokenizer
from data_prep.scapes.training import Budget, autocast, train

BATCH, WIDTH, IMAGE_PX, PATCH_PX = 128, 128, 112, 16


def new_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    """The untrained pair of encoders."""
    shared = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": 4, "projection_dim": 64}
    marks = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    text = {"vocab_size": len(tokenizer), "num_hidden_layers": 3, "max_position_embeddings": TEXT_LENGTH, **marks}
    vision = {"num_hidden_layers": 4, "image_size": IMAGE_PX, "patch_size": PATCH_PX}
    return CLIPModel(CLIPConfig(text_config={**shared, **text}, vision_config={**shared, **vision}, projection_dim=64))


def shrink(pixel_values: Tensor, side: int = IMAGE_PX) -> Tensor:
    """Antialiased resize to the encoder's square."""
    return interpolate(pixel_values, (side, side), mode="bilinear", antialias=True)


def contrastive_loss(image_features: Tensor, text_features: Tensor, scale: Tensor) -> dict[str, Tensor]:
    """Symmetric InfoNCE of unit features ``(B, d)``; top-1 retrieval of the batch beside it.

    Source: Radford et al. 2021, arXiv:2103.00020, figure 3.
    """
    logits = scale.clamp(max=100.0) * image_features @ text_features.T
    target = torch.arange(len(logits))
    loss = (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
    return {"loss": loss, "top1": (logits.argmax(dim=1) == target).float().mean()}


def main() -> None:
    """Command line."""
    args = arguments(__doc__, minutes=7, lr=3e-3)
    corpus = Corpus(args.work, args.windows, seed=args.seed)
    tokenizer = build_tokenizer(caption for i in range(len(corpus)) for caption in corpus.captions(i))
    clip = new_clip(tokenizer).to(args.device)

    def loss(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((args.seed, 1, step))
        indices = rng.choice(len(corpus), BATCH, replace=False)
        # The text encoder is causal: what follows the end mark cannot change the feature, so padding is kept short.
        tokens = tokenizer(corpus.random_captions(indices, rng), padding=True, truncation=True, return_tensors="pt")
        with autocast(args.device):
            pictures = shrink(corpus.pixel_values(indices)).to(args.device)
            output = clip(input_ids=tokens.input_ids.to(args.device), pixel_values=pictures)
        scale = clip.logit_scale.exp()
        return contrastive_loss(output.image_embeds.float(), output.text_embeds.float(), scale)

    spent = train(clip, loss, Budget(minutes=args.minutes, lr=args.lr), args.work / "clip")
    tokenizer.save_pretrained(args.out / "tokenizer")
    clip.half().text_model.save_pretrained(args.out / "text_encoder")
    clip.vision_model.save_pretrained(args.out / "image_encoder")
    size = {"height": IMAGE_PX, "width": IMAGE_PX}
    plain = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    processor = CLIPImageProcessor(size=size, crop_size=size, do_center_crop=False, **plain)
    processor.save_pretrained(args.out / "image_processor")
    record(args, "clip", spent, sum(p.numel() for p in clip.parameters()))


if __name__ == "__main__":
    main()
