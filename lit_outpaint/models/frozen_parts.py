"""The frozen encoders that a system in training may need, loaded when they are first asked for.

Training on shards with all features needs none of them. They are neither saved nor trained: nothing here is a module.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.fingerprint import require_same_encoders_at_hand, require_same_language
from lit_outpaint.data.plain import PlainBatch
from lit_outpaint.data.reader import MASKED_IMAGE_LATENTS
from lit_outpaint.data.schema import Card
from lit_outpaint.models.conditions import encode_language, encode_local_captions, encode_plain, encode_views
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.models.language import LanguageConfig
from lit_outpaint.models.language_encoders import LanguageEncoder
from lit_outpaint.models.unet import ModelConfig

LANGUAGE = "language_"
"""How the names of language features begin."""


class FrozenParts:
    """Encoders of a family, and of a language model.

    Args:
        base: names the family.
        language: whose features of the captions the conditioning reads; None where it reads none.
        language_online: these are computed in every step.
    """

    def __init__(self, base: ModelConfig, language: LanguageConfig | None, language_online: bool) -> None:
        self.base, self.language_config, self.language_online = base, language, language_online
        self._encoders: FrozenEncoders | None = None
        self._language: LanguageEncoder | None = None

    def encoders(self, device: torch.device) -> FrozenEncoders:
        """The family's encoders."""
        if self._encoders is None:
            self._encoders = FrozenEncoders.from_pretrained(self.base.pretrained, self.base.vision)
        return self._encoders.to(device)

    def language(self, device: torch.device) -> LanguageEncoder | None:
        """The language encoder; None where the conditioning reads none."""
        if self._language is None and self.language_config is not None:
            self._language = self.language_config.build()
        return None if self._language is None else self._language.to(device)

    def read(self, features: Sequence[str]) -> list[str]:
        """Those features that batches must bring."""
        return [name for name in features if not (self.language_online and name.startswith(LANGUAGE))]

    def complete(self, batch: OutpaintBatch, needs: Sequence[str], device: torch.device) -> OutpaintBatch:
        """Encode what a batch does not hold.

        Args:
            batch: of shards.
            needs: names of the features that the conditioning reads, and of the masked image where it is read.
            device: that encodes.
        """
        # As shards and drawing have them: training may compute in another type.
        with torch.autocast(device.type, enabled=False):
            return self._completed(batch, needs, device)

    def _completed(self, batch: OutpaintBatch, needs: Sequence[str], device: torch.device) -> OutpaintBatch:
        if self.language_online and batch.features.language_local is None:
            language = self.language(device)
            batch = batch if language is None else encode_language(batch, language, needs)
        if "text_local" in needs and batch.features.text_local is None:
            batch = encode_local_captions(batch, self.encoders(device))
        there = {"visual": batch.features.visual, MASKED_IMAGE_LATENTS: batch.masked_image_latents}
        whole = all(there[name] is not None for name in needs if name in there)
        return batch if whole else encode_views(batch, self.encoders(device))

    def encode(self, batch: PlainBatch, device: torch.device) -> OutpaintBatch:
        """Encode everything about a batch of plain shards."""
        with torch.autocast(device.type, enabled=False):
            return encode_plain(batch, self.encoders(device), self.language(device))

    def check(self, card: Card) -> None:
        """Refuse a shard set that other encoders made, where the encoders are at hand to compare."""
        require_same_encoders_at_hand(card, self.base.pretrained, self.base.vision)
        if self.language_config is not None and not self.language_online:
            require_same_language(card, self.language_config.card())
