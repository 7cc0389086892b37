"""The conditioning part of `llm4gen`: rows of CLIP, and behind them rows that an adapter makes of language features.

    text-to-image   [c, l]                              (B, L + M, D)
    outpainting     [E_t, l_global, l_local, E_i']      (B, 2 L + 2 M, D): each caption goes through the same adapter,
                                                        and the rest are the rows W of `lit_outpaint.models.context`

A U-Net that was not trained with the rows of language reads them as noise, so they come with a gate that starts closed:
step 0 draws what the base draws. ``init: plain`` is the published way, open from the start.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lit_outpaint.data.features import Features
from lit_outpaint.models.cam import mask_bias
from lit_outpaint.models.context import ConditioningConfig, Context, ContextConfig, ContextDims, LanguageDims, log_gate
from lit_outpaint.models.language_adapters import ROW_A_TOKEN, AdapterKind, build_adapter, num_rows

LANGUAGE, LANGUAGE_LOCAL = "language", "language_local"
"""Names of the span of rows that adapters make, and of those among them that the window's own caption has."""


@dataclass(frozen=True, kw_only=True)
class LanguageContextConfig(ConditioningConfig):
    """How features of a language model become context rows (papers: CAM of LLM4GEN, and its rivals)."""

    adapter: AdapterKind = "cam"
    """cam: language tokens ask CLIP, the published way; concat: language tokens, projected alone; clip_asks: CLIP
    tokens ask the language; transformer: language tokens ask each other, without CLIP; resampler: 64 learned rows ask
    the language, differently at each timestep (ELLA)."""
    canvas: ContextConfig | None = None
    """How both CLIP captions and the picture become rows, for outpainting; None is text-to-image, which reads the
    local caption alone."""
    keep_clip: bool = True
    """Whether the rows of CLIP stay in front; false lets the adapter's rows replace them (text-to-image only)."""
    init: Literal["gated", "plain"] = "gated"
    """gated: the adapter's rows start closed, so that step 0 reproduces the base model; plain: open, as published."""
    gate_init: float = 1e-10
    """Start of the learned factor on the attention weights of the adapter's rows (gated only), in (0, 1]."""
    language_scale: float = 1.0
    """Factor on the adapter's rows, the paper's lambda."""
    heads: int = 8
    """Heads of the adapter's attention; they divide the width of the text encoder."""
    depth: int = 1
    """Layers of the adapter."""
    max_length: int | None = None
    """Language tokens that are read, from the first; None reads all there are."""
    mask_padding: bool = False
    """Hide padded language tokens (features that are all zero, see ``padding: zero`` of the encoder). The released
    model lets them take part."""

    def __post_init__(self) -> None:
        if not 0 < self.gate_init <= 1:
            raise ValueError(f"gate_init must lie in (0, 1] (1 = as open as plain), got {self.gate_init}")
        for name in ("heads", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"max_length must be at least 1 or null, got {self.max_length}")
        if not self.keep_clip and self.init == "gated":
            raise ValueError("keep_clip false leaves nothing to read while the gate is closed; set init to plain")
        if not self.keep_clip and self.canvas is not None:
            raise ValueError("keep_clip false is for text-to-image; leave canvas out, or keep CLIP")

    def build_for(self, dims: ContextDims, language: LanguageDims | None) -> "LanguageContext":
        """Make the module for encoders of these sizes.

        Raises:
            ValueError: there is no language encoder.
        """
        if language is None:
            raise ValueError("this conditioning reads language features; name a language encoder in model.language")
        sizes = {"language_length": language.length, "language_dim": language.dim}
        return LanguageContext(**dims._asdict(), **sizes, **asdict(self))


class LanguageContext(ModelMixin, ConfigMixin):
    """Turn captions, their language features and, for outpainting, the picture into context rows."""

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        text_length: int = 77,
        text_dim: int = 768,
        visual_length: int = 49,
        visual_dim: int = 768,
        language_length: int = 256,
        language_dim: int = 2048,
        adapter: AdapterKind = "cam",
        canvas: dict[str, Any] | None = None,
        keep_clip: bool = True,
        init: Literal["gated", "plain"] = "gated",
        gate_init: float = 1e-10,
        language_scale: float = 1.0,
        heads: int = 8,
        depth: int = 1,
        max_length: int | None = None,
        mask_padding: bool = False,
    ) -> None:
        super().__init__()
        self.language_adapter = build_adapter(adapter, text_dim, language_dim, heads, depth)
        dims = ContextDims(text_length, text_dim, visual_length, visual_dim)
        self.canvas_context = None if canvas is None else ContextConfig(**canvas).build(dims)
        self.gate = nn.Parameter(torch.tensor(float(gate_init))) if init == "gated" else None

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the features that are read."""
        if self.canvas_context is None:
            return ("text_local", "language_local")
        return ("text_local", "text_global", "visual", "language_local", "language_global")

    @property
    def num_tokens(self) -> int | None:
        """Tokens of the language model that have a row each, from the first; None where rows are something else."""
        length = min(self.config.language_length, self.config.max_length or self.config.language_length)
        return length if self.config.adapter in ROW_A_TOKEN else None

    @property
    def reads_timestep(self) -> bool:
        """Whether the rows differ from timestep to timestep."""
        return self.config.adapter == "resampler"

    @property
    def dims(self) -> ContextDims:
        """Sizes of the features it was made for."""
        return ContextDims(*(self.config[name] for name in ContextDims._fields))

    @property
    def rows(self) -> int:
        """How many rows `forward` makes."""
        config = self.config
        length = min(config.language_length, config.max_length or config.language_length)
        made = num_rows(config.adapter, config.text_length, length)
        if self.canvas_context is not None:
            return self.canvas_context.rows + 2 * made
        return made + (config.text_length if config.keep_clip else 0)

    def forward(self, features: Features, timesteps: Int[Tensor, "*b"] | None = None) -> Context:
        """Build the rows.

        Args:
            features: those that `needs` names.
            timesteps: one per sample, or one for all; only read by adapters that `reads_timestep` says it of.

        Raises:
            ValueError: language features are missing.
        """
        if self.canvas_context is None:
            rows, hidden = self._adapted(features.text_local, features.language_local, timesteps)
            if not self.config.keep_clip:
                bias = None if hidden is None else mask_bias(hidden)
                whole = slice(0, rows.shape[1])
                return Context(rows, bias, {LANGUAGE: whole, LANGUAGE_LOCAL: whole})
            assert features.text_local is not None
            front = Context(features.text_local, None, {"text": slice(0, features.text_local.shape[1])})
            return self._appended(front, rows, hidden)
        local, hidden_local = self._adapted(features.text_local, features.language_local, timesteps)
        everywhere, hidden_global = self._adapted(features.text_global, features.language_global, timesteps)
        hidden = None
        if hidden_local is not None and hidden_global is not None:
            hidden = torch.cat([hidden_global, hidden_local], dim=1)
        return self._appended(self.canvas_context(features), torch.cat([everywhere, local], dim=1), hidden)

    def _adapted(
        self, clip: Tensor | None, language: Tensor | None, timesteps: Tensor | None
    ) -> tuple[Float[Tensor, "b r d"], Bool[Tensor, "b r"] | None]:
        """Rows of one caption, and which of them count; None where all do."""
        if clip is None or language is None:
            raise ValueError("the llm4gen conditioning reads text and language features; prepare the data with both")
        language = language[:, : self.config.max_length]
        # Padding that counts for nothing was written as zeros.
        mask = language.any(dim=-1) if self.config.mask_padding else None
        rows = self.language_adapter(clip, language, mask, timesteps) * self.config.language_scale
        return rows, mask if self.config.adapter in ROW_A_TOKEN else None

    def _appended(self, front: Context, rows: Tensor, counts: Tensor | None) -> Context:
        """Put rows behind the text rows of ``front`` and before its others."""
        text = front.spans["text"]
        before, after = front.hidden_states[:, : text.stop], front.hidden_states[:, text.stop :]
        made = slice(text.stop, text.stop + rows.shape[1])
        spans = {name: span for name, span in front.spans.items() if span.stop <= text.stop}
        own = made.stop - (rows.shape[1] if self.canvas_context is None else rows.shape[1] // 2)
        spans |= {LANGUAGE: made, LANGUAGE_LOCAL: slice(own, made.stop)}
        spans |= {
            name: slice(span.start + rows.shape[1], span.stop + rows.shape[1])
            for name, span in front.spans.items()
            if span.stop > text.stop
        }
        return Context(torch.cat([before, rows, after], dim=1), self._bias(front, rows, counts), spans)

    def _bias(self, front: Context, rows: Tensor, counts: Tensor | None) -> Tensor | None:
        """Bias of all rows: the gate's, the mask's, and what ``front`` brings along."""
        if self.gate is None and counts is None and front.key_bias is None:
            return None
        old = front.key_bias if front.key_bias is not None else rows.new_zeros(front.hidden_states.shape[1]).float()
        stop = front.spans["text"].stop
        made = rows.new_zeros(rows.shape[1]).float()
        if self.gate is not None:
            made = made + log_gate(self.gate)
        if counts is not None:
            made = made + mask_bias(counts)
            old = old.expand(len(rows), -1)
        return torch.cat([old[..., :stop], made, old[..., stop:]], dim=-1)
