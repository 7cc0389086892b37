import io
import json
import pickle
import re
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import webdataset
from PIL import Image

from lit_outpaint.cli.fit import main
from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.data.plain import PlainBatch, captions_of, to_window
from lit_outpaint.data.plain_index import PlainIndex
from lit_outpaint.data.schema import ShardError


def picture(number: int, size: tuple[int, int] = (48, 32), form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 20 + number).convert("RGB").save(buffer, form)
    return buffer.getvalue()


def write_tar(path: Path, samples: Mapping[str, Mapping[str, bytes]]) -> None:
    with tarfile.open(path, "w") as tar:
        for key, members in samples.items():
            for ending, data in members.items():
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    directory = tmp_path / "plain"
    directory.mkdir()
    facts = json.dumps({"caption": "unused", "global_caption": "a whole valley"}).encode()
    for shard in range(3):
        samples = {
            f"a/{shard}_{number}": {"png": picture(number), "txt": b"a red barn\n", "json": facts}
            for number in range(4)
        }
        write_tar(directory / f"part-{shard}.tar", samples)
    held_out = {
        f"v{number}": {"jpg": picture(number, form="JPEG"), "json": b'{"caption": "a lake"}'} for number in (0, 1)
    }
    write_tar(directory / "val-0.tar", held_out)
    return directory


def module(directory: Path, **options: object) -> OutpaintDataModule:
    data = OutpaintDataModule(
        str(directory),
        **{"batch_size": 3, "num_workers": 0, "plain_px": 128} | options,  # type: ignore[arg-type]
    )
    data.setup("fit")
    return data


def read(data: OutpaintDataModule) -> list[PlainBatch]:
    return list(data.train_dataloader())  # type: ignore[arg-type]


def test_a_batch_holds_windows_and_captions(plain: Path) -> None:
    batch = read(module(plain))[0]
    assert batch.pixel_values.shape == (3, 3, 128, 128)
    assert batch.mask.shape == (3, 1, 128, 128)
    assert -1 <= batch.pixel_values.min() < batch.pixel_values.max() <= 1
    assert set(batch.local_captions) == {"a red barn"}
    assert set(batch.global_captions) == {"a whole valley"}
    (held_out,) = module(plain).val_dataloader()
    assert held_out.local_captions == held_out.global_captions == ("a lake", "a lake")


def test_a_run_is_not_continued_on_other_samples(plain: Path, tmp_path: Path) -> None:
    begun_with = module(plain).state_dict()
    elsewhere = Path(shutil.copytree(plain, tmp_path / "elsewhere"))
    module(elsewhere).check_same_shards(begun_with)
    write_tar(elsewhere / "valley.tar", {"v": {"png": picture(9), "txt": b"a valley"}})
    with pytest.raises(ValueError, match="checksum of its samples"):
        module(elsewhere).check_same_shards(begun_with)
    assert len(list(module(elsewhere, batch_size=13).train_dataloader())) == 1, "val begins the names of held-out tars"


def test_samples_are_those_of_webdataset(plain: Path) -> None:
    shards = [str(path) for path in sorted(plain.glob("part-*.tar"))]
    reference = {
        sample["__key__"]: (to_window(sample["png"], 128), sample["txt"].strip())
        for sample in webdataset.WebDataset(shards, shardshuffle=False).decode("pil")
    }
    ours = {
        key: (window, caption)
        for batch in read(module(plain))
        for key, window, caption in zip(batch.keys, batch.pixel_values, batch.local_captions, strict=True)
    }
    assert ours.keys() == reference.keys()
    for key, (window, caption) in reference.items():
        assert torch.equal(ours[key][0], window)
        assert ours[key][1] == caption


@pytest.mark.parametrize("buffer", [None, 4])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_over_plain_shards_goes_on_where_it_stopped(plain: Path, workers: int, buffer: int | None) -> None:
    def loader(workers: int = 0) -> Any:
        return module(plain, num_workers=workers, shuffle_buffer=buffer).train_dataloader()

    undisturbed = [batch.keys for batch in loader()]
    first = loader(workers)
    iterator = iter(first)
    begun = [next(iterator).keys for _ in range(2)]
    second = loader(workers)
    second.load_state_dict(first.state_dict())
    assert begun + [batch.keys for batch in second] == undisturbed
    assert len({key for keys in undisturbed for key in keys}) == 12


def test_the_index_is_built_once(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [batch.keys for batch in read(module(plain))]

    def refuse(*args: object) -> None:
        raise AssertionError("the tars were walked again")

    with monkeypatch.context() as patch:
        patch.setattr(PlainIndex, "_parse", refuse)
        assert [batch.keys for batch in read(module(plain))] == first
    write_tar(plain / "part-3.tar", {"new": {"webp": picture(1, form="WEBP"), "txt": b"new"}})
    assert "new" in {key for batch in read(module(plain, batch_size=1)) for key in batch.keys}


class _Spoil:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return Path.touch, (Path("spoiled"),)  # type: ignore[return-value]


def test_nothing_is_unpickled(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    members = {"png": picture(0), "txt": b"a", "pyd": pickle.dumps(_Spoil()), "pth": pickle.dumps(_Spoil())}
    write_tar(plain / "part-9.tar", {"evil": members})
    assert "evil" in {key for batch in read(module(plain, batch_size=1)) for key in batch.keys}
    assert not (tmp_path / "spoiled").exists()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"png": b"no picture", "txt": b"a"}, "bad.png is in no known format"),
        ({"png": picture(0)[:200], "txt": b"a"}, "the image bad.png cannot be read"),
        ({"png": picture(0), "txt": b" \n"}, "needs a caption"),
        ({"png": picture(0), "txt": b"\xff\xfe"}, "its caption cannot be read"),
        ({"png": picture(0), "json": b"{"}, "its caption cannot be read"),
        ({"png": picture(0), "json": b"[1]"}, "needs a caption"),
    ],
    ids=["no picture", "cut off", "blank", "not utf-8", "broken json", "no facts"],
)
def test_a_sample_that_cannot_be_used_is_named_and_another_takes_its_place(
    plain: Path, members: dict[str, bytes], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_tar(plain / "part-9.tar", {"bad": members, "good": {"png": picture(1), "txt": b"a"}})
    keys = [key for batch in read(module(plain, batch_size=2)) for key in batch.keys]
    assert len(keys) == 14
    assert "bad" not in keys
    (line,) = caplog.messages
    assert line.startswith(f"sample bad in {plain / 'part-9.tar'} is damaged, another sample takes its place: ")
    assert message in line
    assert "\n" not in line
    with pytest.raises(ShardError, match=r"1 of 14 samples are damaged, more than data\.max_damaged 0 allows.*bad"):
        read(module(plain, batch_size=1, max_damaged=0.0))


def test_what_file_managers_and_others_put_into_tars_is_passed_over(plain: Path) -> None:
    # Names of macOS and hidden ones stand between the members of a sample, as tar writes them there.
    path = plain / "part-9.tar"
    with tarfile.open(path, "w") as tar:
        directory = tarfile.TarInfo("c.jpg")
        directory.type = tarfile.DIRTYPE
        tar.addfile(directory)
        for name in ("c/._1.png", "c/1.png", "c/.DS_Store", "c/._1.txt", "c/1.txt", "._2.png", "./2.png", "./2.txt"):
            data = picture(3) if name.endswith("png") else b"a"
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    (plain / "._part-0.tar").write_bytes(b"no tar")
    wanted = {sample["__key__"] for sample in webdataset.WebDataset([str(path)], shardshuffle=False)}
    found = {key for batch in read(module(plain, batch_size=1)) for key in batch.keys}
    # webdataset besides makes a sample of a hidden file alone.
    assert {key for key in found if not key.startswith("a/")} == wanted - {"c/"} == {"c/1", "./2"}


def test_shards_that_cannot_be_used_are_named_before_step_0(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ShardError, match="holds none"):
        module(tmp_path / "empty")
    write_tar(plain / "part-8.tar", {"lonely": {"txt": b"no picture beside it"}})
    with pytest.raises(ShardError, match=r"part-8\.tar must hold samples with a picture"):
        module(plain)
    (plain / "part-8.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(ShardError, match=r"part-8\.tar is not an uncompressed tar"):
        module(plain)
    whole = (plain / "part-0.tar").read_bytes()
    (plain / "part-8.tar").write_bytes(whole[: whole.index(b"_3.png") + 600])
    with pytest.raises(ShardError, match=r"part-8\.tar"):
        module(plain)


def test_plain_shards_lie_in_a_directory() -> None:
    with pytest.raises(ValueError, match="lie in a directory"):
        OutpaintDataModule("https://example.org/plain", plain_px=64)


def test_fit_trains_on_plain_shards_past_a_damaged_sample(
    plain: Path, models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray((plain / "part-1.tar").read_bytes())
    place = content.rindex(b"\x89PNG")
    content[place : place + 4] = b"none"
    (plain / "part-1.tar").write_bytes(content)
    words = (
        f"fit --data.shards={plain} --data.plain_px=128 --data.batch_size=2 --data.num_workers=0 --runs_dir={tmp_path}"
        f" --name=plain --model.base.pretrained={models} --trainer.accelerator=cpu --trainer.max_steps=6"
        " --trainer.limit_val_batches=1 --trainer.num_sanity_val_steps=0 --trainer.log_every_n_steps=1"
        " --trainer.enable_progress_bar=false --trainer.enable_model_summary=false"
    )
    assert main(words.split()) == 0
    log = (tmp_path / "plain" / "metrics.csv").read_text()
    assert re.search(r"train/loss", log)
    assert sum("sample a/1_3 in" in line for line in caplog.messages) == 1
    assert (tmp_path / "plain" / "last.ckpt").exists()


def test_captions_and_crops_change_from_epoch_to_epoch_and_resume_exactly(plain: Path) -> None:
    captions = [f"caption {number}" for number in range(3)]
    facts = {"png": picture(0), "json": json.dumps({"captions": captions}).encode()}
    write_tar(plain / "part-0.tar", {f"s{number}": facts for number in range(4)})

    def epoch(number: int, **options: object) -> dict[str, tuple[str, torch.Tensor]]:
        data = module(plain, captions="all", crops="random", flips=True, **options)
        loader = data.train_dataloader()
        loader.epoch_sampler.set_epoch(number)
        rows = [zip(b.keys, b.local_captions, b.pixel_values, strict=True) for b in loader]
        return {key: (caption, window) for batch in rows for key, caption, window in batch if key.startswith("s")}

    seen = [epoch(number) for number in range(3)]
    everywhere = set.intersection(*(set(one) for one in seen))
    assert everywhere, "an epoch drops no more than a batch"
    for key in everywhere:
        assert sorted(one[key][0] for one in seen) == captions
    assert not all(torch.equal(seen[0][key][1], seen[1][key][1]) for key in everywhere)
    again = epoch(1, batch_size=2)
    for key in again.keys() & seen[1].keys():
        assert again[key][0] == seen[1][key][0]
        assert torch.equal(again[key][1], seen[1][key][1])


@pytest.mark.parametrize("option", [{"flips": True}, {"crops": "random"}])
def test_prepared_shards_are_neither_mirrored_nor_cut_again(option: dict, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plain_px"):
        OutpaintDataModule(str(tmp_path), **option)


@pytest.mark.parametrize("damage", ["header", "cut", "twice"])
def test_a_tar_that_is_damaged_between_samples_is_named(plain: Path, tmp_path: Path, damage: str) -> None:
    whole = tmp_path / "whole.tar"
    write_tar(whole, {str(number): {"png": picture(number), "txt": b"a lake"} for number in range(4)})
    data = bytearray(whole.read_bytes())
    header = data.index(b"2.png")
    if damage == "header":
        data[header : header + 50] = b"\xff" * 50
    changed = {"header": data, "cut": data[: header + 100], "twice": data + data}[damage]
    (plain / "train-9.tar").write_bytes(bytes(changed))
    with pytest.raises(ShardError, match=r"train-9\.tar is damaged, or continues, after"):
        PlainIndex.of([plain / "train-9.tar"])


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"caption": ["a barn", "a red barn"]}, (["a barn", "a red barn"], "")),
        ({"captions": "a barn", "global_caption": "a wide view"}, (["a barn"], "a wide view")),
        ({"captions": [" a barn ", ""], "caption": "a lake"}, (["a barn"], "")),
        ({"captions": None, "caption": "a lake"}, (["a lake"], "")),
    ],
)
def test_captions_are_texts_or_lists_of_them(facts: dict, expected: tuple) -> None:
    assert captions_of({"json": json.dumps(facts).encode()}) == expected


@pytest.mark.parametrize("facts", [{"captions": [{"caption": "a barn"}]}, {"caption": 3}, {"captions": {"a": "b"}}])
def test_what_is_no_text_is_no_caption(facts: dict) -> None:
    with pytest.raises(ValueError, match="must be a text or a list of texts"):
        captions_of({"json": json.dumps(facts).encode()})
