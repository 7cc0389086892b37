"""The training system: parts built from configuration, and one step of the algorithm.

latents     ~ q(. | window)                          from the moments in the shard
W           = conditioning(local, global, picture)   captions and picture dropped now and then
model_pred  = unet([noisy latents, mask, masked-image latents], t, W)
loss        = MSE(model_pred, target) over the region that counts
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jsonargparse import set_parsing_settings
from torch import Tensor
from torch.serialization import add_safe_globals
from torchmetrics import MeanMetric

from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.plain import PlainBatch
from lit_outpaint.data.reader import CAPTIONS, MASKED_IMAGE_LATENTS
from lit_outpaint.data.schema import Card
from lit_outpaint.diffusion.dropout import DropoutConfig
from lit_outpaint.diffusion.loss import region_weights, weighted_mse
from lit_outpaint.diffusion.objective import ObjectiveConfig
from lit_outpaint.diffusion.schedule import load_scheduler
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.diffusion.snr import min_snr_weights
from lit_outpaint.diffusion.targets import add_noise, offset_noise, training_target
from lit_outpaint.drawing.batches import draw_batch
from lit_outpaint.models.attention import AttentionRule, FullAttention
from lit_outpaint.models.conditions import drop_conditions
from lit_outpaint.models.context import ConditioningConfig, Context, ContextConfig, LanguageDims, load_context
from lit_outpaint.models.denoiser import Denoiser, Known
from lit_outpaint.models.encoders import FrozenEncoders, check_parts, family_dims, family_scaling_factor, sample_latents
from lit_outpaint.models.frozen_parts import LANGUAGE, FrozenParts
from lit_outpaint.models.language import LanguageConfig, check_same_language
from lit_outpaint.models.language_encoders import block_tokenizer
from lit_outpaint.models.overlay import language_of
from lit_outpaint.models.single_file import family_directory
from lit_outpaint.models.unet import ModelConfig, load_unet
from lit_outpaint.protocols import EntityParser
from lit_outpaint.training.draws import BatchDraws, SampleDraws
from lit_outpaint.training.ema import Ema, EmaConfig
from lit_outpaint.training.entity_guidance import EntityGuidance, EntityLossConfig, tokens_with_rows
from lit_outpaint.training.optim import OptimConfig
from lit_outpaint.training.over_ranks import mean_over_ranks
from lit_outpaint.training.sharding import gathered
from lit_outpaint.training.system import TrainedSystem

# Conditioning parts are chosen by class_path, on the command line and in checkpoints alike.
set_parsing_settings(subclasses_enabled=[ConditioningConfig, LanguageConfig])
# Checkpoints of earlier versions hold hyperparameters as objects, by the names of the modules that these lived in then.
_FORMER_HOMES: dict[Any, str] = {EmaConfig: "models.ema", OptimConfig: "optim", FullAttention: "models.attention"}
_FORMER_HOMES |= {ContextConfig: "models.context", ModelConfig: "models.unet"}
_FORMER_HOMES |= {DropoutConfig: "diffusion.dropout", ObjectiveConfig: "diffusion.objective"}
add_safe_globals([(part, f"lit_outpaint.{home}.{part.__name__}") for part, home in _FORMER_HOMES.items()])


class OutpaintModule(TrainedSystem):
    """Fine-tunes a text-to-image U-Net to widen images, guided by two captions and by what is already there."""

    alphas_cumprod: Tensor
    timestep_weights: Tensor

    def __init__(
        self,
        base: ModelConfig = ModelConfig(),
        context: ConditioningConfig = ContextConfig(),
        attention: AttentionRule | None = None,
        language: LanguageConfig | None = None,
        language_online: bool = False,
        objective: ObjectiveConfig = ObjectiveConfig(),
        entity_loss: EntityLossConfig = EntityLossConfig(),
        entity_parser: EntityParser | None = None,
        optim: OptimConfig = OptimConfig(),
        dropout: DropoutConfig = DropoutConfig(),
        ema: EmaConfig = EmaConfig(),
        sampling: Sampling = Sampling(),
    ) -> None:
        """Build the parts.

        Args:
            base: the weights to start from.
            context: the conditioning part, captions and visual features to context rows.
            attention: how attention layers read those rows; None reads all of them everywhere.
            language: whose features of the captions the conditioning reads; None for conditionings that read none.
            language_online: compute them in every step, where the shards do not hold them.
            objective: what is regressed.
            entity_loss: a penalty on attributes that look elsewhere than their entities.
            entity_parser: finds both in captions; None is by rules.
            optim: optimiser and learning rate.
            dropout: how often conditions are dropped.
            ema: moving average of the trained weights.
            sampling: how ``predict`` draws.
        """
        super().__init__()
        self.save_hyperparameters()
        base = replace(base, pretrained=family_directory(base.pretrained, base.pretrained_config))
        self.config, self.objective, self.optim, self.dropout, self.sampling = base, objective, optim, dropout, sampling
        if base.train == "lora" and optim.name == "muon":
            raise ValueError(
                "optim.name muon works on whole matrices, of which model.base.train lora has none; use adamw"
            )
        check_parts(base.pretrained, ["scheduler"])
        # An exported model has a schedule of its own where it was trained for another than its family's.
        home = base.pretrained
        if base.outpaint is not None and (Path(base.outpaint) / "scheduler").is_dir():
            home = base.outpaint
        self.scheduler = load_scheduler(home, objective.prediction_type)
        self.prediction_type = self.scheduler.config.prediction_type
        self.scaling_factor = family_scaling_factor(base.pretrained)
        self.language_config, self.entity_loss = language, entity_loss
        self.frozen = FrozenParts(base, language, language_online)
        if getattr(context, "mask_padding", False) and language is not None and language.padding != "zero":
            raise ValueError(
                "context.mask_padding knows padding by its zeros: give language.padding zero, and encode shards with it"
            )
        spoken = None if language is None else LanguageDims(language.length, language.dim)
        self.context = context.build_for(family_dims(base.pretrained, base.vision), spoken)
        if language is not None and not any(name.startswith(LANGUAGE) for name in self.context.needs):
            raise ValueError(
                "model.language names a language model that nothing reads; set model.context to"
                " lit_outpaint.models.language_context.LanguageContextConfig, or leave model.language out"
            )
        if base.outpaint is not None:
            load_context(self.context, base.outpaint)
            check_same_language(base.outpaint, language_of(Path(base.outpaint)), language)
        entity_loss.check_possible(compiled=base.compile, checkpointed=base.gradient_checkpointing)
        self.unet = load_unet(base)
        self.denoiser = Denoiser(self.unet, attention, channels_last=base.channels_last)
        if base.compile:
            self.unet.compile()  # In place: names in checkpoints stay what they are.
        self.ema = Ema(ema, self.trained()) if ema.decay is not None else None
        self.held_out = MeanMetric(nan_strategy="disable")  # Keeps NaN visible.
        self.guidance = self._guidance(entity_parser) if entity_loss.weight > 0 else None

        alphas_cumprod = self.scheduler.alphas_cumprod
        weights = min_snr_weights(alphas_cumprod, objective.snr_gamma, self.prediction_type)
        self.register_buffer("alphas_cumprod", alphas_cumprod, persistent=False)
        self.register_buffer("timestep_weights", weights, persistent=False)

    def setup(self, stage: str) -> None:
        """Refuse shards whose features another family's encoders made."""
        card = getattr(getattr(self.trainer, "datamodule", None), "card", None)
        if card is not None:
            self.check_features(card)

    def check_features(self, card: Card) -> None:
        """Refuse a shard set that other encoders made, where the encoders are at hand to compare."""
        self.frozen.check(card)

    def on_after_batch_transfer(self, batch: OutpaintBatch | PlainBatch, dataloader_idx: int) -> OutpaintBatch:
        """Encode what plain shards do not hold, on the device that trains."""
        return self.frozen.encode(batch, self.device) if isinstance(batch, PlainBatch) else batch

    def training_step(self, batch: OutpaintBatch, batch_idx: int) -> Tensor:
        """Regress the target of one random timestep per sample."""
        draws = self.batch_draws()
        batch = drop_conditions(self.complete(batch), self.dropout, draws.uniform(len(batch.mask)))
        loss = self.drawn_losses(batch, draws).mean()
        self.log("train/loss", mean_over_ranks(loss), prog_bar=True, batch_size=len(batch.mask))
        return loss

    def drawn_losses(self, batch: OutpaintBatch, draws: BatchDraws | SampleDraws) -> Tensor:
        """Error of each sample for latents, noise and timesteps that are drawn."""
        latents = sample_latents(batch.moments, self.scaling_factor, draws.normal(batch.moments.chunk(2, dim=1)[0]))
        noise = draws.normal(latents)
        timesteps = draws.integers(len(latents), len(self.alphas_cumprod))
        if self.training and self.objective.noise_offset:
            # Drawn last, so that all else is drawn as without it.
            noise = offset_noise(noise, draws.normal(noise[..., :1, :1]), self.objective.noise_offset)
        return self.denoising_losses(batch, latents, noise, timesteps)

    def denoising_losses(self, batch: OutpaintBatch, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Error of the prediction of each sample, (B,), for given noise and timesteps."""
        noisy_latents = add_noise(latents, noise, timesteps, self.alphas_cumprod)
        guidance = self.guidance if self.training else None
        maps = None if guidance is None else guidance.asked(list(self.unet.attn_processors))
        spans: dict[str, slice] = {}
        # By the call, which gathers sharded weights.
        model_pred = self(batch, noisy_latents, timesteps, maps, spans)
        target = training_target(self.prediction_type, latents, noise, timesteps, self.alphas_cumprod)
        size = (latents.shape[2], latents.shape[3])
        # All of a window is generated where nothing of it is known.
        mask = batch.mask if self.config.task == "outpaint" else torch.ones_like(batch.mask)
        cells = region_weights(mask, self.objective.loss_region, self.objective.known_weight, size)
        losses = weighted_mse(model_pred, target, cells, self.timestep_weights[timesteps])
        if guidance is None or maps is None:
            return losses
        assert batch.captions is not None
        penalties = guidance([local for local, _ in batch.captions], maps, spans)
        return losses + self.entity_loss.weight * penalties

    def forward(
        self,
        batch: OutpaintBatch,
        noisy_latents: Tensor,
        timesteps: Tensor,
        maps: dict[str, Tensor | None] | None = None,
        spans: dict[str, slice] | None = None,
    ) -> Tensor:
        """Predict the target from noisy latents, what is known of the windows, and the context.

        Args:
            batch: conditions of the samples.
            noisy_latents: scaled latents with noise.
            timesteps: one per sample.
            maps: attention weights that are asked for, by layer; see `Denoiser`.
            spans: is told which rows of the context hold what.
        """
        context = self.conditioned(batch, timesteps)
        if spans is not None:
            spans.update(context.spans)
        return self.denoiser(noisy_latents, timesteps, context, self.known(batch), maps=maps)

    def conditioned(self, batch: OutpaintBatch, timesteps: Tensor) -> Context:
        """The context of a batch; some conditionings read the timestep."""
        if getattr(self.context, "reads_timestep", False):
            return self.context(batch.features, timesteps)
        return self.context(batch.features)

    def known(self, batch: OutpaintBatch) -> Known | None:
        """Mask and masked image of the windows; None in text-to-image."""
        if self.config.task == "text_to_image":
            return None
        assert batch.masked_image_latents is not None
        return Known(batch.mask, batch.masked_image_latents)

    def complete(self, batch: OutpaintBatch) -> OutpaintBatch:
        """Encode what the shards do not hold (online views)."""
        return self.frozen.complete(batch, (*self.context.needs, *self._pictures), self.device)

    def validation_step(self, batch: OutpaintBatch, batch_idx: int) -> None:
        """Log the error of the averaged weights."""
        self.held_out.update(self.held_out_losses(batch))
        self.log("val/loss", self.held_out, prog_bar=True)

    def test_step(self, batch: OutpaintBatch, batch_idx: int) -> None:
        """Log the error of the averaged weights."""
        self.held_out.update(self.held_out_losses(batch))
        self.log("test/loss", self.held_out)

    def predict_step(self, batch: OutpaintBatch, batch_idx: int) -> Tensor:
        """Draw the windows of a batch, as pixels in [-1, 1]; the noise of each is seeded by its key alone."""
        with gathered(self):
            return self.encoders.decode(draw_batch(self, batch, self.sampling, SampleDraws(batch.keys).normal))

    def held_out_losses(self, batch: OutpaintBatch) -> Tensor:
        """Error of each sample that counts, for noise and a timestep that depend on its key alone."""
        losses = self.drawn_losses(self.complete(batch), SampleDraws(batch.keys, self.device))
        return losses if batch.counts is None else losses[batch.counts]

    @property
    def needs(self) -> tuple[str, ...]:
        """What batches must hold: the features that the conditioning reads, and the masked image."""
        words = [CAPTIONS] if self.frozen.language_online or self.guidance is not None else []
        return (*self.frozen.read(self.context.needs), *self._pictures, *words)

    @property
    def _pictures(self) -> list[str]:
        """The masked image, where the U-Net reads it."""
        return [] if self.config.task == "text_to_image" else [MASKED_IMAGE_LATENTS]

    def _guidance(self, parser: EntityParser | None) -> EntityGuidance:
        """What finds attributes and entities in the rows of the context."""
        block = self.entity_loss.block
        tokenizer, prefix, length = block_tokenizer(block, self.config.pretrained, self.language_config)
        rows = tokens_with_rows(self.context) if block == "language" else length
        guidance = EntityGuidance(self.entity_loss, parser, tokenizer, prefix, length, rows)
        guidance.parser.pairs("a red barn")  # A parser that is not installed is told of now, not in the first step.
        return guidance

    @property
    def encoders(self) -> FrozenEncoders:
        """The family's frozen encoders."""
        return self.frozen.encoders(self.device)
