"""What the U-Net is told about a batch: completed from pixels, and dropped in training."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.features import Features, replaced
from lit_outpaint.data.plain import PlainBatch
from lit_outpaint.data.views import blank_masked, visible_crop
from lit_outpaint.diffusion.dropout import DropoutConfig, drop_masks
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.models.language_encoders import LanguageEncoder


def encode_views(batch: OutpaintBatch, encoders: FrozenEncoders) -> OutpaintBatch:
    """Encode the masked image, and the visible part unless its features are there, of windows that came as pixels.

    Raises:
        ValueError: the batch holds no pixels.
    """
    windows = batch.pixel_values
    if windows is None:
        raise ValueError("a batch must hold masked_image_latents and visual features, or pixel_values, got neither")
    features = batch.features
    if features.visual is None:
        features = features._replace(visual=encode_visible(windows, batch.mask, encoders))
    masked_image_latents = encoders.encode_mode(blank_masked(windows, batch.mask))
    return batch._replace(masked_image_latents=masked_image_latents, features=features)


def encode_language(batch: OutpaintBatch, language: LanguageEncoder, needs: Sequence[str]) -> OutpaintBatch:
    """Encode the captions of a batch by a language model, and the empty one.

    Args:
        batch: with captions.
        language: encodes them.
        needs: names of the features that are read.

    Raises:
        ValueError: the batch holds no captions.
    """
    if batch.captions is None:
        raise ValueError("a batch must hold captions or language features, got neither")
    features, empty = batch.features, batch.empty
    without = language.encode([""])[0]
    for column, name in enumerate(("language_local", "language_global")):
        if name in needs:
            features = features._replace(**{name: language.encode([pair[column] for pair in batch.captions])})
            empty = empty._replace(**{name: without})
    return batch._replace(features=features, empty=empty)


def encode_local_captions(batch: OutpaintBatch, encoders: FrozenEncoders) -> OutpaintBatch:
    """Encode the local captions of a batch by the text encoder, where they are drawn and not stored.

    Raises:
        ValueError: the batch holds no captions.
    """
    if batch.captions is None:
        raise ValueError("a batch must hold captions or text features, got neither")
    text_local = encoders.encode_text([local for local, _ in batch.captions]).float()
    return batch._replace(features=batch.features._replace(text_local=text_local))


def encode_visible(
    windows: Float[Tensor, "b 3 h w"], mask: Float[Tensor, "b 1 h w"], encoders: FrozenEncoders
) -> Float[Tensor, "b k v"]:
    """What the image encoder makes of the visible part of each window; zeros, as if dropped, where nothing is visible.

    Blanked first: what is visible around a hole is seen with the hole in it.
    """
    blanked, seen = blank_masked(windows, mask), (mask < 0.5).flatten(1).any(dim=1).tolist()
    # Crops differ in size from sample to sample, so that they are cut one by one.
    crops = [
        visible_crop(window[None], one)[0] if shown else window
        for window, one, shown in zip(blanked, mask, seen, strict=True)
    ]
    features = encoders.encode_visual(crops)
    return features * torch.tensor(seen, dtype=features.dtype, device=features.device).view(-1, 1, 1)


def encode_plain(batch: PlainBatch, encoders: FrozenEncoders, language: LanguageEncoder | None = None) -> OutpaintBatch:
    """Encode everything about windows that came without features."""
    empty = encoders.encode_text([""])[0].float()
    encoded = encode_views(
        OutpaintBatch(
            keys=batch.keys,
            directions=batch.directions,
            mask=batch.mask,
            moments=encoders.encode_image(batch.pixel_values).float(),
            features=Features(
                text_local=encoders.encode_text(batch.local_captions).float(),
                text_global=encoders.encode_text(batch.global_captions).float(),
            ),
            empty=Features(text_local=empty, text_global=empty),
            pixel_values=batch.pixel_values,
            captions=tuple(zip(batch.local_captions, batch.global_captions, strict=True)),
            counts=batch.counts,
        ),
        encoders,
    )
    return encoded if language is None else encode_language(encoded, language, Features._fields)


def drop_conditions(batch: OutpaintBatch, config: DropoutConfig, uniform: Float[Tensor, " b"]) -> OutpaintBatch:
    """Drop captions and visual features of some samples, as one uniform number per sample decides."""
    dropped = drop_masks(uniform, config)
    captions = batch.captions
    if captions is not None:
        without = zip(dropped["local"].tolist(), dropped["global"].tolist(), strict=True)
        captions = tuple(
            ("" if no_local else local, "" if no_global else scene)
            for (local, scene), (no_local, no_global) in zip(captions, without, strict=True)
        )
    return batch._replace(features=replaced(batch.features, batch.empty, dropped), captions=captions)
