import pytest
import torch

from lit_outpaint.data.features import Features
from lit_outpaint.models.context import (
    ConditioningPart,
    ContextConfig,
    ContextDims,
    ContextEncoder,
    Fusion,
    PromptConfig,
    PromptEncoder,
    interpolation_matrix,
    load_context,
)

DIMS = ContextDims(text_length=7, text_dim=8, visual_length=5, visual_dim=8)


def _features(dims: ContextDims = DIMS) -> Features:
    torch.manual_seed(0)
    text = (2, dims.text_length, dims.text_dim)
    return Features(torch.randn(text), torch.randn(text), torch.randn(2, dims.visual_length, dims.visual_dim))


@pytest.mark.parametrize(("fusion", "rows"), [("tokens", 14), ("channels", 14), ("mean", 14), ("none", 21)])
def test_rows_are_text_then_visual(fusion: Fusion, rows: int) -> None:
    part = ContextConfig(fusion=fusion).build(DIMS)
    context = part(_features())
    hidden_states, key_bias, spans = context.hidden_states, context.key_bias, context.spans
    assert isinstance(part, ConditioningPart)
    assert (part.rows, part.dims) == (rows, DIMS)
    assert spans == {"text": slice(0, rows - 7), "visual": slice(rows - 7, rows)}
    assert hidden_states.shape == (2, rows, 8)
    assert key_bias is not None
    assert key_bias[: rows - 7].tolist() == [0.0] * (rows - 7)
    torch.testing.assert_close(key_bias[rows - 7 :], torch.full((7,), 1e-10).log())


@pytest.mark.parametrize("fusion", ["tokens", "channels", "mean"])
def test_fusion_starts_as_the_average_of_the_captions(fusion: Fusion) -> None:
    features = _features()
    local, everywhere, _visual = features[:3]
    hidden_states = ContextConfig(fusion=fusion).build(DIMS)(features).hidden_states
    torch.testing.assert_close(hidden_states[:, :7], (local + everywhere) / 2)


def test_without_fusion_both_captions_keep_their_rows() -> None:
    features = _features()
    local, everywhere, _visual = features[:3]
    hidden_states = ContextConfig(fusion="none").build(DIMS)(features).hidden_states
    torch.testing.assert_close(hidden_states[:, :14], torch.cat([everywhere, local], dim=1))


def test_plain_adds_no_bias() -> None:
    assert ContextConfig(visual_init="plain").build(DIMS)(_features()).key_bias is None


def test_visual_features_of_another_width_are_projected() -> None:
    dims = DIMS._replace(visual_dim=6)
    context = ContextConfig().build(dims)
    assert context.visual_projection is not None
    assert context(_features(dims)).hidden_states.shape == (2, 14, 8)
    assert ContextConfig().build(DIMS).visual_projection is None


def test_matching_starts_as_interpolation() -> None:
    matrix = interpolation_matrix(5, 9)
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(9))
    torch.testing.assert_close(matrix @ torch.arange(5.0), torch.arange(9) / 2)


def test_visual_tokens_are_brought_to_the_scale_of_text() -> None:
    features = _features()
    _local, _everywhere, visual = features[:3]
    rows = ContextConfig().build(DIMS)(features).hidden_states
    scaled = ContextConfig().build(DIMS)(features._replace(visual=30 * visual + 5)).hidden_states
    raw = ContextConfig(visual_norm=False).build(DIMS)(features._replace(visual=30 * visual)).hidden_states
    torch.testing.assert_close(scaled, rows, atol=1e-4, rtol=1e-4)
    assert raw[:, 7:].std() > 20


def test_no_picture_gives_rows_of_zeros() -> None:
    features = _features()
    _local, _everywhere, visual = features[:3]
    hidden_states = ContextConfig().build(DIMS)(features._replace(visual=torch.zeros_like(visual))).hidden_states
    assert not hidden_states[:, 7:].any()


def test_every_weight_learns() -> None:
    context = ContextConfig().build(DIMS)
    made = context(_features())
    (made.hidden_states.square().sum() + made.key_bias.sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in context.parameters())


def test_saving_and_loading_keeps_weights_and_configuration(tmp_path) -> None:
    context = ContextConfig(fusion="channels", gate_init=0.25).build(DIMS)
    context.save_pretrained(tmp_path)
    loaded = ContextEncoder.from_pretrained(tmp_path)
    assert loaded.config.fusion == "channels"
    torch.testing.assert_close(loaded(_features()).hidden_states, context(_features()).hidden_states)
    torch.testing.assert_close(loaded.gate, context.gate)


def test_weights_of_a_conditioning_that_computes_something_else_are_refused(tmp_path) -> None:
    ContextConfig(fusion="mean", gate_init=0.25).build(DIMS).save_pretrained(tmp_path / "context")
    load_context(ContextConfig(fusion="mean").build(DIMS), tmp_path)
    with pytest.raises(ValueError, match="it has another fusion"):
        load_context(ContextConfig(fusion="none").build(DIMS), tmp_path)
    with pytest.raises(ValueError, match="it has another visual_norm"):
        load_context(ContextConfig(fusion="mean", visual_norm=False).build(DIMS), tmp_path)


def test_a_gate_out_of_range_is_refused() -> None:
    for gate_init in (0.0, 1.5):
        with pytest.raises(ValueError, match="gate_init must lie in"):
            ContextConfig(gate_init=gate_init)


def test_a_prompt_is_read_as_it_is(tmp_path) -> None:
    features, part = _features(), PromptConfig().build(DIMS)
    assert torch.equal(part(features).hidden_states, features.text_local)
    assert (part.needs, part.rows, part.dims) == (("text_local",), 7, DIMS)
    part.save_pretrained(tmp_path)
    assert PromptEncoder.from_pretrained(tmp_path).dims == DIMS
