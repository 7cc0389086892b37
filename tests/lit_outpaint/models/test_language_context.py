from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from lit_outpaint.data.features import Features
from lit_outpaint.models.attend import attend_by_mask
from lit_outpaint.models.context import ContextConfig, ContextDims, LanguageDims
from lit_outpaint.models.language_adapters import AdapterKind
from lit_outpaint.models.language_context import LanguageContext, LanguageContextConfig

DIMS = ContextDims(text_length=7, text_dim=16, visual_length=5, visual_dim=16)
LANGUAGE = LanguageDims(length=11, dim=24)
PLAIN = LanguageContextConfig(init="plain", heads=4)
ROWS: dict[AdapterKind, int] = {"cam": 11, "concat": 11, "clip_asks": 7, "transformer": 11, "resampler": 64}


def _features(padded: int = 0) -> Features:
    torch.manual_seed(0)
    language = torch.randn(2, 2, 11, 24)
    language[0, 0, 11 - padded :] = 0
    text = torch.randn(2, 2, 7, 16)
    return Features(text[0], text[1], torch.randn(2, 5, 16), language[0], language[1])


def _timesteps() -> Tensor:
    return torch.tensor([10, 900])


def test_the_published_sizes_give_333_rows() -> None:
    with torch.device("meta"):
        part = LanguageContextConfig(init="plain").build_for(ContextDims(), LanguageDims(256, 2048))
        features = Features(torch.empty(1, 77, 768), None, None, torch.empty(1, 256, 2048))
        context = part(features)
    assert context.hidden_states.shape == (1, 333, 768)
    assert part.rows == 333
    assert sum(parameter.numel() for parameter in part.parameters()) == 8_663_040


@pytest.mark.parametrize("adapter", get_args(AdapterKind))
def test_rows_of_clip_then_of_language(adapter: AdapterKind) -> None:
    part = replace(PLAIN, adapter=adapter).build_for(DIMS, LANGUAGE)
    features = _features()
    context = part(features, _timesteps())
    assert context.hidden_states.shape == (2, 7 + ROWS[adapter], 16)
    assert part.rows == 7 + ROWS[adapter]
    assert context.key_bias is None
    made = slice(7, part.rows)
    assert context.spans == {"text": slice(0, 7), "language": made, "language_local": made}
    assert torch.equal(context.hidden_states[:, :7], features.text_local)


@pytest.mark.parametrize("adapter", get_args(AdapterKind))
def test_every_weight_learns(adapter: AdapterKind) -> None:
    part = replace(PLAIN, adapter=adapter, init="gated").build_for(DIMS, LANGUAGE)
    context = part(_features(), _timesteps())
    assert context.key_bias is not None
    # A projection of the rows: their plain sum does not move under a norm's weights.
    ((context.hidden_states * torch.randn(16)).square().sum() + context.key_bias.sum()).backward()
    unused = [name for name, p in part.named_parameters() if p.grad is None or not p.grad.any()]
    # The bias of keys cancels in a softmax.
    assert all(name.endswith("attention.key.bias") for name in unused)


def test_a_closed_gate_is_the_base() -> None:
    features = _features()
    context = replace(PLAIN, init="gated").build_for(DIMS, LANGUAGE)(features)
    query = torch.randn(2, 1, 9, 16)
    rows = context.hidden_states[:, None]
    attended = attend_by_mask(query, rows, rows, context.key_bias)
    base = features.text_local[:, None]
    torch.testing.assert_close(attended, scaled_dot_product_attention(query, base, base), atol=1e-5, rtol=0)


def test_an_outpainting_context_holds_both_captions_and_the_picture() -> None:
    features = _features()
    part = LanguageContextConfig(canvas=ContextConfig(), heads=4).build_for(DIMS, LANGUAGE)
    context = part(features)
    assert part.rows == context.hidden_states.shape[1] == 7 + 11 + 11 + 7
    assert part.canvas_context is not None
    inner = part.canvas_context(features)
    assert torch.equal(context.hidden_states[:, :7], inner.hidden_states[:, :7])
    assert torch.equal(context.hidden_states[:, 29:], inner.hidden_states[:, 7:])
    assert context.key_bias is not None
    assert context.key_bias.shape == (36,)
    assert context.spans["language"] == slice(7, 29)
    assert context.spans["language_local"] == slice(18, 29)
    assert context.spans["visual"] == slice(29, 36)
    # One adapter serves both captions: exchanged captions exchange the rows.
    swapped = features._replace(text_local=features.text_global, text_global=features.text_local)
    swapped = swapped._replace(language_local=features.language_global, language_global=features.language_local)
    rows, other = context.hidden_states[:, 7:29], part(swapped).hidden_states[:, 7:29]
    torch.testing.assert_close(torch.cat([other[:, 11:], other[:, :11]], dim=1), rows)


def test_lambda_scales_the_rows_of_language_alone() -> None:
    part = PLAIN.build_for(DIMS, LANGUAGE)
    half = replace(PLAIN, language_scale=0.5).build_for(DIMS, LANGUAGE)
    half.load_state_dict(part.state_dict())
    whole, scaled = part(_features()).hidden_states, half(_features()).hidden_states
    torch.testing.assert_close(scaled[:, 7:], whole[:, 7:] / 2)
    assert torch.equal(scaled[:, :7], whole[:, :7])


@pytest.mark.parametrize("adapter", ["cam", "concat", "transformer"])
def test_masked_padding_is_read_by_nobody(adapter: AdapterKind) -> None:
    part = replace(PLAIN, adapter=adapter, mask_padding=True).build_for(DIMS, LANGUAGE)
    context = part(_features(padded=3))
    assert context.key_bias is not None
    assert context.key_bias.shape == (2, 18)
    assert (context.key_bias[0, 15:] < -1000).all()
    assert not context.key_bias[0, :15].any()
    # What stands in the padding does not matter for the rows that count.
    short = replace(PLAIN, adapter=adapter, max_length=8).build_for(DIMS, LANGUAGE)
    short.load_state_dict(part.state_dict())
    rows = short(_features(padded=3)).hidden_states[0]
    torch.testing.assert_close(context.hidden_states[0, :15], rows)


@pytest.mark.parametrize("adapter", ["clip_asks", "resampler"])
def test_masked_padding_is_not_asked(adapter: AdapterKind) -> None:
    part = replace(PLAIN, adapter=adapter, mask_padding=True).build_for(DIMS, LANGUAGE)
    context = part(_features(padded=3), _timesteps())
    short = replace(PLAIN, adapter=adapter, max_length=8).build_for(DIMS, LANGUAGE)
    short.load_state_dict(part.state_dict())
    rows = short(_features(padded=3), _timesteps()).hidden_states[0]
    torch.testing.assert_close(context.hidden_states[0], rows, atol=1e-5, rtol=1e-5)


def test_rows_that_replace_clip() -> None:
    part = replace(PLAIN, keep_clip=False).build_for(DIMS, LANGUAGE)
    context = part(_features())
    assert context.hidden_states.shape == (2, 11, 16)
    assert part.rows == 11
    assert context.spans == {"language": slice(0, 11), "language_local": slice(0, 11)}


def test_a_resampler_reads_the_timestep() -> None:
    part = replace(PLAIN, adapter="resampler").build_for(DIMS, LANGUAGE)
    early = part(_features(), torch.tensor([900])).hidden_states
    late = part(_features(), torch.tensor([10])).hidden_states
    assert part.reads_timestep
    assert not PLAIN.build_for(DIMS, LANGUAGE).reads_timestep
    assert not torch.allclose(early, late)
    with pytest.raises(ValueError, match="timestep"):
        part(_features())


def test_saving_and_loading_keeps_weights_and_configuration(tmp_path) -> None:
    part = LanguageContextConfig(canvas=ContextConfig(fusion="mean"), heads=4, language_scale=0.7).build_for(
        DIMS, LANGUAGE
    )
    part.save_pretrained(tmp_path)
    loaded = LanguageContext.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded(_features()).hidden_states, part(_features()).hidden_states)
    assert loaded.rows == part.rows
    assert loaded.needs == part.needs


def test_bad_settings_are_refused() -> None:
    for settings, named in (
        ({"gate_init": 0.0}, "gate_init"),
        ({"depth": 0}, "depth"),
        ({"max_length": 0}, "max_length"),
        ({"keep_clip": False}, "keep_clip"),
        ({"keep_clip": False, "init": "plain", "canvas": ContextConfig()}, "canvas"),
    ):
        with pytest.raises(ValueError, match=named):
            LanguageContextConfig(**settings)
    with pytest.raises(ValueError, match="language"):
        LanguageContextConfig().build_for(DIMS, None)
    with pytest.raises(ValueError, match="language features"):
        PLAIN.build_for(DIMS, LANGUAGE)(_features()._replace(language_local=None))


@pytest.mark.parametrize(("adapter", "length"), [("clip_asks", 7), ("resampler", 64), ("cam", 11)])
def test_padding_hides_rows_of_tokens_and_no_others_however_many_there_are(adapter: AdapterKind, length: int) -> None:
    part = replace(PLAIN, adapter=adapter, mask_padding=True).build_for(DIMS, LanguageDims(length, 24))
    features = _features()._replace(language_local=torch.randn(2, length, 24))
    features.language_local[:, length - 3 :] = 0
    bias = part(features, _timesteps()).key_bias
    hidden = 0 if bias is None else int((bias[0] < -1000).sum())
    assert hidden == (3 if adapter == "cam" else 0)
