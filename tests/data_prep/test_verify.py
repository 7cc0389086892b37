import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from data_prep.__main__ import main
from data_prep.tars import TarWriter, read_samples
from data_prep.testing import build_toy_shards
from data_prep.verify import verify
from lit_outpaint.data.schema import SUFFIXES, Card, ShardError
from lit_outpaint.system.files import file_sha256

SHARD = "train-00000.tar"


@pytest.fixture
def copy(shards: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shards, tmp_path / "copy"))


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def forge_card(directory: Path) -> None:
    """Make a card that fits the changed shard, as whoever tampers with both would."""
    card = json.loads((directory / "card.json").read_text())
    path = directory / SHARD
    card["shards"]["train"][0] |= {"size": path.stat().st_size, "sha256": file_sha256(path)}
    forged = Card.model_validate(card)
    (directory / "card.json").write_text(forged.model_copy(update={"sha256": forged.digest()}).model_dump_json())


def rewrite(directory: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    """Write the first shard again with every sample changed, under a card that fits it."""
    samples = list(read_samples(directory / SHARD, SUFFIXES))
    with TarWriter(directory / SHARD) as tar:
        for key, members in samples:
            tar.add(key, change({suffix: member.data for suffix, member in members.items()}))
    forge_card(directory)


@pytest.mark.parametrize("none", ["panoramas", "eval_windows"])
def test_a_set_without_some_of_the_held_out_pictures_passes(models: Path, tmp_path: Path, none: str) -> None:
    sizes = {"windows": 2, "val_windows": 0, "panoramas": 1, "eval_windows": 1} | {none: 0}
    assert main(["verify", str(build_toy_shards(tmp_path / "set", models, **sizes))]) == 0


def test_a_whole_set_passes(shards: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(shards), "--models", str(models)]) == 0
    assert "is whole" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: flip(d / SHARD, 3000), "differs from its checksum"),
        (lambda d: flip(d / "index.jsonl", 12), "differs from its checksum"),
        (lambda d: flip(d / "evalset/panoramas.jsonl", 12), "differs from its checksum"),
        (lambda d: (d / "train-00001.tar").unlink(), r"train-00001\.tar is missing"),
        (lambda d: (d / "evalset/windows.jsonl").unlink(), r"windows\.jsonl is missing"),
        (lambda d: (d / SHARD).write_bytes((d / SHARD).read_bytes()[:5000]), "has 5000 bytes"),
        (lambda d: flip(d / "card.json", 400), r"card\.json"),
        (lambda d: rewrite(d, lambda m: m | {"json": b"{}".ljust(len(m["json"]))}), "does not fit the schema"),
        (lambda d: rewrite(d, lambda m: m | {"webp": b"0" * len(m["webp"])}), "cannot be decoded"),
        (lambda d: rewrite(d, lambda m: m | {"safetensors": b"0" * len(m["safetensors"])}), "truncated|damaged"),
        (lambda d: rewrite(d, lambda m: {"pkl": m["webp"], "json": m["json"], "safetensors": m["safetensors"]}), "pkl"),
    ],
    ids=[
        "flipped byte", "flipped index", "flipped evaluation set", "missing shard", "missing evaluation row file",
        "truncated shard", "edited card", "forged record", "forged picture", "forged features", "smuggled pickle",
    ],
)  # fmt: skip
def test_damage_is_found_and_said_in_one_line(
    copy: Path, damage: Callable[[Path], None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(copy)
    with pytest.raises(ShardError, match=message):
        verify(copy)
    assert main(["verify", str(copy)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_an_escaping_member_is_refused_even_with_a_fitting_card(copy: Path) -> None:
    data = (copy / SHARD).read_bytes()
    with tarfile.open(copy / SHARD) as tar:
        first = tar.next()
    assert first is not None
    escaping = tarfile.TarInfo("../../etc/x.webp")
    escaping.size = first.size
    (copy / SHARD).write_bytes(escaping.tobuf(tarfile.USTAR_FORMAT) + data[512:])
    forge_card(copy)
    with pytest.raises(ShardError, match="is refused"):
        verify(copy)


def test_other_encoders_are_named(shards: Path, models: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(models, tmp_path / "models"))
    flip(other / "text_encoder/model.safetensors", -1)
    with pytest.raises(ShardError, match="another text_encoder"):
        verify(shards, other)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("writers", {"local_captions": {"somebody else": 17}}, "writers of the texts"),
        ("counts", {"used": 18}, "images used: it says 18, counted are 17"),
        (
            "text",
            {"captions": 36, "truncated": 0, "token_histogram": {}},
            "captions encoded: it says 36, counted are 34",
        ),
        ("text", {"captions": 34, "truncated": 0, "token_histogram": {}}, "lengths of the captions"),
    ],
)
def test_a_card_that_says_other_numbers_than_are_counted_is_wrong(
    copy: Path, models: Path, field: str, value: dict[str, object], message: str
) -> None:
    card = Card.model_validate(json.loads((copy / "card.json").read_text()) | {field: value})
    (copy / "card.json").write_text(card.model_copy(update={"sha256": card.digest()}).model_dump_json())
    with pytest.raises(ShardError, match=message):
        verify(copy, models)


def test_a_set_from_before_a_field_was_added_stays_whole(copy: Path, models: Path) -> None:
    content = json.loads((copy / "card.json").read_text())
    for added in ("sha256", "writers", "counts", "masked_latents", "language", "language_shapes"):
        del content[added]
    content["sha256"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (copy / "card.json").write_text(json.dumps(content))
    assert verify(copy, models).masked_latents
