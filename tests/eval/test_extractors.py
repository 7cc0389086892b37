from pathlib import Path

import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from eval.extractors import (
    InceptionExtractor,
    ModuleExtractor,
    ScapesExtractor,
    SharedExtractor,
    find_extractor,
    register_extractor,
    to_levels,
)
from eval.testing import toy_extractor, toy_pictures
from lit_outpaint.models.probe import ScapesProbe


def test_scapes_features_and_logits_are_those_of_the_probe(family: Path) -> None:
    extractor = ScapesExtractor(family)
    pictures = toy_pictures(3, 32, 32)
    features = extractor.extract(pictures)
    with torch.no_grad():
        expected = ScapesProbe.from_pretrained(family / "probe")(pictures).scene
    torch.testing.assert_close(features.logits, expected, atol=1e-5, rtol=1e-5)
    assert features.pooled.shape == (3, extractor.num_features)
    with pytest.raises(ValueError, match="multiples of 16, got 20 x 32"):
        extractor.extract(toy_pictures(1, 32, 20))


@pytest.mark.slow
def test_inception_is_that_of_torch_fidelity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {})
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"])
    monkeypatch.undo()
    weights = tmp_path / "weights.pth"
    torch.save(network.state_dict(), weights)
    extractor = InceptionExtractor(weights)
    assert extractor.name.startswith("inception-v3-compat-")
    assert extractor.name.endswith("_tf1-bilinear-299")
    pictures = toy_pictures(2, 40, 40)
    pooled, logits = network(to_levels(pictures))
    found = extractor.extract(pictures)
    assert torch.equal(found.pooled, pooled)
    assert torch.equal(found.logits, logits)


def test_missing_weights_say_which_file_goes_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"6726825d\.pth; put https") as caught:
        InceptionExtractor()
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="trained probe"):
        ScapesExtractor(tmp_path)


def test_files_that_hold_more_than_tensors_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    torch.save({"a": Path("x")}, weights)
    with pytest.raises(ValueError, match=r"must hold the weights of torch-fidelity's Inception"):
        InceptionExtractor(weights)


def test_any_module_is_resized_as_its_name_says() -> None:
    seen: list[torch.Size] = []

    class _Mean(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            seen.append(pixels.shape)
            return pixels

    extractor = ModuleExtractor(_Mean(), "mean", 3, size_px=8, resize="area", mean=(0, 0, 0), std=(1, 1, 1))
    features = extractor.extract(toy_pictures(2))
    assert extractor.name == "mean_area-8"
    assert seen == [torch.Size([2, 3, 8, 8])]
    torch.testing.assert_close(features.pooled, (toy_pictures(2).mean(dim=(2, 3)) + 1) / 2)
    assert features.logits is None
    with pytest.raises(ValueError, match="given together"):
        ModuleExtractor(_Mean(), "mean", 3, size_px=8)


def test_features_do_not_depend_on_the_batch() -> None:
    extractor, pictures = toy_extractor(), toy_pictures(5)
    alone = torch.cat([extractor.extract(picture[None]).pooled for picture in pictures])
    torch.testing.assert_close(extractor.extract(pictures).pooled, alone)


def test_one_batch_is_extracted_once_until_it_changes() -> None:
    calls: list[int] = []
    inner = toy_extractor()
    plain = inner.extract
    inner.extract = lambda pictures: (calls.append(len(pictures)), plain(pictures))[1]  # type: ignore[method-assign]
    shared, batch = SharedExtractor(inner), toy_pictures(2)
    first = shared.extract(batch)
    assert shared.extract(batch) is first
    assert len(calls) == 1
    batch *= 0.5
    assert not torch.equal(shared.extract(batch).pooled, first.pooled)
    shared.extract(batch.clone())
    assert len(calls) == 3


def test_registered_names_give_one_object_and_unknown_ones_a_line(family: Path) -> None:
    assert find_extractor(f"scapes:{family}") is find_extractor(f"scapes:{family}")
    register_extractor("toy-for-test", toy_extractor)
    assert find_extractor("toy-for-test").name == "toy_native"
    with pytest.raises(ValueError, match="must be one of inception, scapes, toy-for-test, got 'absent'"):
        find_extractor("absent")
    with pytest.raises(ValueError, match="new and without a colon"):
        register_extractor("scapes", toy_extractor)
