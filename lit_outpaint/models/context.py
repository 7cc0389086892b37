"""The conditioning part: captions and visual features become the rows W that cross-attention reads.

    W = [E_t, E_i']     (B, 2 L, D), text rows first
    E_t                 local and global caption, fused to L rows
    E_i'                visual features, matched from K to L rows

Key and value projections act on each row alone, so W needs no new weights inside the U-Net.

Letters: B batch, L text rows of one caption, K visual tokens, D width of the text encoder (and of W), V width of the
vision encoder. Source: Kwon et al. 2024, arXiv:2407.12642; what the paper leaves open is a field of `ContextConfig`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from lit_outpaint.data.features import Features
from lit_outpaint.models.regions import RegionContext

Fusion = Literal["tokens", "channels", "mean", "none"]
VisualInit = Literal["gated", "plain"]


class Context(NamedTuple):
    """What cross-attention reads."""

    hidden_states: Float[Tensor, "b rows d"]
    """W."""
    key_bias: Float[Tensor, " rows"] | None = None
    """Added to the attention logits of each row; None adds nothing."""
    spans: Mapping[str, slice] = MappingProxyType({})
    """Which rows hold what, by name: ``text``, ``visual``."""
    regions: RegionContext | None = None
    """What parts of the windows read beside it; None is no regions."""


class ChangingContext(NamedTuple):
    """What cross-attention reads where that differs from timestep to timestep."""

    at: Callable[[Tensor], Context]
    """The context of a timestep."""


class ContextDims(NamedTuple):
    """Sizes that the encoders of a model family fix."""

    text_length: int = 77
    text_dim: int = 768
    visual_length: int = 49
    visual_dim: int = 768


class LanguageDims(NamedTuple):
    """Sizes of the features that a language encoder gives of a caption."""

    length: int
    """Tokens."""
    dim: int
    """Width."""


@runtime_checkable
class ConditioningPart(Protocol):
    """A module that turns features into the rows of a context; ``ContextEncoder`` is the model of one.

    It is an ``nn.Module`` with ``save_pretrained`` and ``from_pretrained`` of diffusers (``ModelMixin, ConfigMixin``).
    """

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the features it reads."""
        ...

    @property
    def rows(self) -> int:
        """How many rows it makes."""
        ...

    @property
    def dims(self) -> ContextDims:
        """Sizes of the features it was made for."""
        ...

    def __call__(self, features: Features) -> Context:
        """Make the context of a batch."""
        ...


@dataclass(frozen=True, kw_only=True)
class ConditioningConfig:
    """A conditioning part in a configuration; the base of all that ``model.context`` may name by ``class_path``."""

    def build(self, dims: ContextDims) -> Any:
        """Make the `ConditioningPart` for encoders of these sizes."""
        raise NotImplementedError(f"{type(self).__name__} must say how its part is built")

    def build_for(self, dims: ContextDims, language: LanguageDims | None) -> Any:
        """The same beside a language encoder, of which parts that read no features of it need not know."""
        return self.build(dims)


@dataclass(frozen=True, kw_only=True)
class ContextConfig(ConditioningConfig):
    """How captions and visual features become context rows."""

    fusion: Fusion = "tokens"
    """How two captions become one text feature: a learned linear map along tokens (2 L to L) or channels (2 D to D),
    both starting as the average; the mean; or none, which keeps the rows of both."""
    visual_init: VisualInit = "gated"
    """gated: the visual rows start closed, so that step 0 reproduces the base model; plain: they start as wide open
    as the text rows, as in the paper."""
    gate_init: float = 1e-10
    """Start of the learned factor on the attention weights of the visual rows (gated only), in (0, 1]; 1 is as open as
    plain. At 0 it would have no gradient."""
    visual_norm: bool = True
    """Bring each visual token to mean 0 and variance 1, as the last layer of a text encoder does with its own. Raw ones
    (false) can be many times larger, and against logits to match no gate is closed."""

    def __post_init__(self) -> None:
        if not 0 < self.gate_init <= 1:
            raise ValueError(f"gate_init must lie in (0, 1] (1 = as open as plain), got {self.gate_init}")

    def build(self, dims: ContextDims) -> "ContextEncoder":
        """Make the module for encoders of these sizes."""
        return ContextEncoder(**dims._asdict(), **asdict(self))


class ContextEncoder(ModelMixin, ConfigMixin):
    """Turn caption and visual features into context rows; all of its few weights are trained.

    A caption that is left out (guidance, dropout) is the empty caption's features; a picture that is left out is
    visual features of zeros, which training shows the model by visual dropout.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        text_length: int = 77,
        text_dim: int = 768,
        visual_length: int = 49,
        visual_dim: int = 768,
        fusion: Fusion = "tokens",
        visual_init: VisualInit = "gated",
        gate_init: float = 1e-10,
        visual_norm: bool = True,
    ) -> None:
        super().__init__()
        self.visual_norm = visual_norm
        self.fusion = fusion
        self.text_fusion = _build_fusion(fusion, text_length, text_dim)
        self.visual_projection = nn.Linear(visual_dim, text_dim) if visual_dim != text_dim else None
        self.visual_match = _linear_from(interpolation_matrix(visual_length, text_length))
        self.gate = nn.Parameter(torch.tensor(float(gate_init))) if visual_init == "gated" else None

    @property
    def needs(self) -> tuple[str, ...]:
        """Both captions, and what is visible."""
        return ("text_local", "text_global", "visual")

    @property
    def rows(self) -> int:
        """2 L, or 3 L without fusion."""
        return self.config.text_length * (3 if self.fusion == "none" else 2)

    @property
    def dims(self) -> ContextDims:
        """Sizes of the features it was made for."""
        return ContextDims(**{name: self.config[name] for name in ContextDims._fields})

    def forward(self, features: Features) -> Context:
        """Build W.

        Args:
            features: ``text_local``, ``text_global`` and ``visual``.

        Returns:
            W of shape (B, 2 L, D), or (B, 3 L, D) without fusion, text rows first, and the bias of its rows.
        """
        assert features.text_local is not None
        assert features.text_global is not None
        assert features.visual is not None
        text = self.fuse_text(features.text_local, features.text_global)
        visual = self.match_visual(features.visual)
        hidden_states = torch.cat([text, visual], dim=1)
        spans = {"text": slice(0, text.shape[1]), "visual": slice(text.shape[1], hidden_states.shape[1])}
        if self.gate is None:
            return Context(hidden_states, None, spans)
        bias = log_gate(self.gate).expand(visual.shape[1])
        return Context(hidden_states, torch.cat([bias.new_zeros(text.shape[1]), bias]), spans)

    def fuse_text(
        self, text_local: Float[Tensor, "b l d"], text_global: Float[Tensor, "b l d"]
    ) -> Float[Tensor, "b rows d"]:
        """Fuse the two captions to E_t."""
        if self.text_fusion is None:
            captions = [text_global, text_local]
            return torch.stack(captions).mean(dim=0) if self.fusion == "mean" else torch.cat(captions, dim=1)
        if self.fusion == "tokens":
            return _along_tokens(self.text_fusion, torch.cat([text_global, text_local], dim=1))
        return self.text_fusion(torch.cat([text_global, text_local], dim=2))

    def match_visual(self, visual_features: Float[Tensor, "b k v"]) -> Float[Tensor, "b l d"]:
        """Match the visual features to the shape of a caption: E_i'."""
        if self.visual_norm:
            visual_features = nn.functional.layer_norm(visual_features, visual_features.shape[-1:])
        if self.visual_projection is not None:
            visual_features = self.visual_projection(visual_features)
        return _along_tokens(self.visual_match, visual_features)


def load_context(context: nn.Module, directory: str | Path) -> None:
    """Give a conditioning part the weights of an exported model's.

    Raises:
        FileNotFoundError: the directory holds no context/.
        ValueError: that model's conditioning is another one.
    """
    path = Path(directory) / "context" / "diffusion_pytorch_model.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{directory} must be an exported outpainting model, but it lacks {path}")
    stored_config = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
    own: Any = context
    # What has no weights counts, too; where the gate began is told by its weight.
    differing = [
        name
        for name, value in own.config.items()
        if not name.startswith("_") and name != "gate_init" and stored_config.get(name, value) != value
    ]
    if differing:
        raise ValueError(f"the context of {directory} must be what model.context says; it has another {differing[0]}")
    weights = {name: value.float() for name, value in load_file(path).items()}
    shapes = ({name: tuple(value.shape) for name, value in state.items()} for state in (weights, context.state_dict()))
    stored, wanted = shapes
    if stored != wanted:
        odd = sorted(name for name in {*stored, *wanted} if stored.get(name) != wanted.get(name))
        raise ValueError(f"the context of {directory} must be what model.context says; they differ in {', '.join(odd)}")
    context.load_state_dict(weights)


def log_gate(gate: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Bias that multiplies the attention weights of its rows by ``abs(gate)``, up to normalisation.

    The factor is what is learned, not its logarithm: a row's weight grows in proportion to the factor, so that its
    gradient is of ordinary size while the gate is closed. The gradient by the logarithm would carry the closed gate
    itself as a factor, and such a gate was seen to stay where it started. Needs float32 or bfloat16 gradients: in
    float16 the way through a closed gate underflows.
    """
    return gate.float().abs().clamp(min=1e-12).log()


def interpolation_matrix(source: int, target: int) -> Float[Tensor, "{target} {source}"]:
    """Weights that stretch ``source`` tokens over ``target`` rows by linear interpolation; rows sum to 1."""
    position = torch.arange(target) * ((source - 1) / max(1, target - 1))
    distance = (position[:, None] - torch.arange(source)[None, :]).abs()
    return (1 - distance).clamp(min=0)


def _build_fusion(fusion: Fusion, length: int, dim: int) -> nn.Linear | None:
    """Make the learned map of a fusion; None for fusions that learn nothing."""
    if fusion in ("mean", "none"):
        return None
    size = {"tokens": length, "channels": dim}[fusion]
    half = torch.eye(size) / 2
    return _linear_from(torch.cat([half, half], dim=1))


def _linear_from(weight: Float[Tensor, "o i"]) -> nn.Linear:
    """Make a linear map that starts with ``weight`` and no offset."""
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        linear.weight.copy_(weight)
        linear.bias.zero_()
    return linear


def _along_tokens(linear: nn.Linear, tokens: Float[Tensor, "b i d"]) -> Float[Tensor, "b o d"]:
    """Apply a linear map along the token axis."""
    return linear(tokens.transpose(1, 2)).transpose(1, 2)


@dataclass(frozen=True, kw_only=True)
class PromptConfig(ConditioningConfig):
    """The caption of the window alone, as stock text-to-image models read it: no weights of its own."""

    def build(self, dims: ContextDims) -> "PromptEncoder":
        """Make the module for encoders of these sizes."""
        return PromptEncoder(**dims._asdict())


class PromptEncoder(ModelMixin, ConfigMixin):
    """Hand the text rows of the prompt on as they are."""

    config_name = "config.json"

    @register_to_config
    def __init__(
        self, text_length: int = 77, text_dim: int = 768, visual_length: int = 49, visual_dim: int = 768
    ) -> None:
        super().__init__()
        # diffusers saves and asks a part for its type by its tensors, of which there is no other.
        self.register_buffer("anchor", torch.zeros(()))

    @property
    def needs(self) -> tuple[str, ...]:
        """The prompt."""
        return ("text_local",)

    @property
    def rows(self) -> int:
        """L."""
        return self.config.text_length

    @property
    def dims(self) -> ContextDims:
        """Sizes of the features it was made for."""
        return ContextDims(**{name: self.config[name] for name in ContextDims._fields})

    def forward(self, features: Features) -> Context:
        """The rows of ``text_local``, (B, L, D)."""
        assert features.text_local is not None
        return Context(features.text_local, None, {"text": slice(0, features.text_local.shape[1])})
