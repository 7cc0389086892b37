import shutil
from pathlib import Path

import pytest

from lit_outpaint.data.fingerprint import encoder_fingerprints, family_window_px, require_same_encoders_at_hand
from lit_outpaint.data.shard_set import load_card


@pytest.fixture
def hub(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds the model ``somebody/family``, on a machine without network."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--somebody--family"
    shutil.copytree(models, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return repository


def test_a_hub_model_has_the_fingerprints_of_its_files(hub: Path, models: Path) -> None:
    assert encoder_fingerprints("somebody/family") == encoder_fingerprints(models)
    assert family_window_px("somebody/family") == 64


def test_a_model_that_is_nowhere_is_refused_in_one_line(hub: Path) -> None:
    with pytest.raises(ValueError, match="nobody/nothing is no directory, and the hub does not give it") as refusal:
        encoder_fingerprints("nobody/nothing")
    assert len(str(refusal.value).splitlines()) == 1


def test_encoders_are_compared_where_they_can_be_had_and_else_it_is_said(
    hub: Path, shards: Path, caplog: pytest.LogCaptureFixture
) -> None:
    card = load_card(shards)
    require_same_encoders_at_hand(card, "somebody/family")
    assert not caplog.records
    require_same_encoders_at_hand(card, "nobody/nothing")
    assert "cannot be compared with the model's: nobody/nothing is no directory" in caplog.text
    with pytest.raises(ValueError, match="has none"):
        require_same_encoders_at_hand(card, hub)


def test_a_clip_of_its_own_stands_in_for_the_vision_parts_alone(models: Path, tmp_path: Path) -> None:
    clip = Path(shutil.copytree(models / "image_encoder", tmp_path / "clip"))
    with pytest.raises(ValueError, match="image_processor"):
        encoder_fingerprints(models, clip)
    shutil.copy(models / "image_processor" / "preprocessor_config.json", clip)
    own = encoder_fingerprints(models)
    assert encoder_fingerprints(models, clip) == own
    data = bytearray((clip / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (clip / "model.safetensors").write_bytes(data)
    lent = encoder_fingerprints(models, clip)
    assert {part for part in own if own[part] != lent[part]} == {"image_encoder"}
