from pathlib import Path

import pytest

from lit_outpaint.runs.record import RUN_NAME, OutpaintRecord, mask_arguments, mask_secrets, versions

RECORD = OutpaintRecord(
    command=["outpaint", "--seed", "3"],
    config={"seed": 3, "caption": "a lake: \u00fcber Nacht"},
    steps=["right:2"],
    finished=False,
    pending="plan",
    image_sha256="00",
    model_fingerprint="11",
    versions=versions(),
)


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    RECORD.save(tmp_path)
    assert OutpaintRecord.load(tmp_path) == RECORD
    assert [path.name for path in tmp_path.iterdir()] == [RUN_NAME]


@pytest.mark.parametrize("text", ["", "steps: 3", "{", "- a", "command: 2024-13-45", "[" * 2000])
def test_a_damaged_record_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / RUN_NAME).write_text(text)
    with pytest.raises(ValueError, match="is no run record") as caught:
        OutpaintRecord.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_record_without_a_caption_is_refused(tmp_path: Path) -> None:
    RECORD.model_copy(update={"config": {"seed": 3, "caption": None}}).save(tmp_path)
    with pytest.raises(ValueError, match=r"run\.yaml is no run record \(config\.caption: must be a text"):
        OutpaintRecord.load(tmp_path)


def test_secrets_are_masked_wherever_they_stand() -> None:
    config = {"captioner": {"init_args": {"api_key": "s3", "model": "m", "keys": [{"token": "s3"}]}}, "password": None}
    assert "s3" not in str(mask_secrets(config))
    assert mask_secrets(config)["captioner"]["init_args"]["model"] == "m"
    arguments = ["--captioner.api_key", "s3", "--captioner.token=s3", "--caption", "a key", "--seed=3"]
    assert mask_arguments(arguments) == [
        "--captioner.api_key", "***", "--captioner.token=***", "--caption", "a key", "--seed=3",
    ]  # fmt: skip


def test_versions_name_what_the_pixels_depend_on() -> None:
    assert {"python", "torch", "diffusers", "zarr"} <= versions().keys()
