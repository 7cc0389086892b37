import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor

from data_prep.encode import to_pixel_values
from data_prep.scapes.windows import Place
from data_prep.scapes.world import World
from data_prep.testing import build_toy_shards
from data_prep.verify import verify
from lit_outpaint.callbacks.run_checkpoint import RunCheckpoint
from lit_outpaint.canvas.masks import MASK_KINDS
from lit_outpaint.data.batch import OutpaintBatch
from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.data.fingerprint import require_same_encoders
from lit_outpaint.data.integrity import check_shard_set
from lit_outpaint.data.reader import ViewChoice
from lit_outpaint.data.schema import ShardError
from lit_outpaint.data.shard_files import ShardFiles
from lit_outpaint.data.shard_set import load_card
from lit_outpaint.models.encoders import FrozenEncoders
from lit_outpaint.models.unet import ModelConfig
from lit_outpaint.module import OutpaintModule
from lit_outpaint.training.draws import SampleDraws


@pytest.fixture
def copy(shards: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shards, tmp_path / "copy"))


def setup(directory: Path, **options: object) -> OutpaintDataModule:
    module = OutpaintDataModule(str(directory), **{"batch_size": 3, "num_workers": 0} | options)  # type: ignore[arg-type]
    module.setup("fit")
    return module


def test_a_batch_has_the_shapes_of_the_design(shards: Path) -> None:
    batch = next(iter(setup(shards).train_dataloader()))
    assert batch.mask.shape == (3, 1, 128, 128)
    assert batch.moments.shape == (3, 8, 16, 16)
    assert batch.features.text_local.shape == batch.features.text_global.shape == (3, 77, 32)
    assert batch.empty.text_local.shape == (77, 32)
    assert batch.masked_image_latents is not None
    assert batch.masked_image_latents.shape == (3, 4, 16, 16)
    assert batch.features.visual is not None
    assert batch.features.visual.shape == (3, 49, 32)
    assert batch.pixel_values is None
    assert {tensor.dtype for tensor in batch if isinstance(tensor, Tensor)} == {torch.float32}


def test_training_and_validation_share_no_sample(shards: Path) -> None:
    module = setup(shards)
    loader = module.val_dataloader()
    assert not isinstance(loader, list)
    held_out = {key for batch in loader for key in batch.keys}
    trained = {key for batch in module.train_dataloader() for key in batch.keys}
    assert (len(trained), len(held_out)) == (12, 5)
    assert not trained & held_out


def test_a_batch_sees_the_picture_around_its_windows(models: Path, tmp_path: Path) -> None:
    set_of = build_toy_shards(tmp_path / "set", models, around=True, directions=("right", "down"))
    verify(set_of)
    window, picture = (setup(set_of, directions=["right"], visual_view=view) for view in ("window", "picture"))
    assert picture.card is not None
    assert picture.card.visual_views == ("window", "picture")
    one, other = (next(iter(module.train_dataloader())) for module in (window, picture))
    assert one.keys == other.keys
    assert torch.equal(one.moments, other.moments)
    assert not torch.equal(one.features.visual, other.features.visual)
    entry = next(entry for entry in check_shard_set(set_of)[1] if entry.key == one.keys[0])
    place = Place.parse(ShardFiles(set_of).record(entry).id)
    behind = World(place.world).render(place.x - 64, place.y)
    seen = FrozenEncoders.from_pretrained(models).encode_visual(to_pixel_values(behind[None]))
    torch.testing.assert_close(other.features.visual[:1], seen, rtol=2e-3, atol=2e-3)


def test_a_pair_of_ratios_may_be_a_list(shards: Path) -> None:
    assert setup(shards, views="online", mask_ratio=[0.25, 0.75]).ratios == (0.25, 0.75)


def test_online_views_allow_any_ratio(shards: Path) -> None:
    batch = next(iter(setup(shards, views="online", mask_ratio=(0.2, 0.9), batch_size=8).train_dataloader()))
    assert batch.pixel_values is not None
    assert batch.pixel_values.shape == (8, 3, 128, 128)
    assert len({float(mask.mean()) for mask in batch.mask}) > 2


def test_holes_lie_where_sample_and_epoch_say_and_are_no_stored_views(shards: Path) -> None:
    module = setup(shards, views="online", directions=["box"], mask_ratio=(0.3, 0.6), batch_size=12)
    masks, again = (next(iter(module.val_dataloader())).mask for _ in range(2))
    assert torch.equal(masks, again)
    assert len({mask.numpy().tobytes() for mask in masks}) == len(masks)
    choice = ViewChoice(directions=("box",), ratios=(0.3, 0.6), precomputed=None)
    assert choice.draw(0, 0, "a").place != choice.draw(0, 1, "a").place
    with pytest.raises(ShardError, match=r"no stored view grows 'box'.*views: online"):
        setup(shards, directions=["right", "box"])


def test_a_model_learns_from_every_kind_of_mask(shards: Path, models: Path) -> None:
    module = OutpaintModule(ModelConfig(pretrained=str(models)))
    for kind in MASK_KINDS:
        batch = next(iter(setup(shards, views="online", directions=[kind]).train_dataloader()))
        loss = module.drawn_losses(module.complete(batch), SampleDraws(batch.keys)).mean()
        loss.backward()
        assert set(batch.directions) == {kind}
        assert torch.isfinite(loss)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_ratio": 0.3}, "views: online"),
        ({"mask_ratio": 1.0}, "between 0 and 1"),
        ({"mask_ratio": (0.6, 0.4)}, "low end first"),
        ({"mask_ratio": [0.5]}, "one share or a pair"),
        ({"directions": []}, "at least one side"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"max_damaged": 1.5}, "max_damaged must be a share"),
        ({"visual_view": "picture"}, "prepare the shards with --around true"),
        ({"visual_view": "picture", "views": "online"}, "takes stored views"),
    ],
)
def test_a_wrong_setting_is_refused_before_step_0(shards: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        setup(shards, **options)


def test_a_batch_larger_than_the_set_is_refused(shards: Path) -> None:
    with pytest.raises(ValueError, match="lower batch_size"):
        setup(shards, batch_size=13)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10240])


def edit_card(directory: Path, **changes: object) -> None:
    card = json.loads((directory / "card.json").read_text())
    (directory / "card.json").write_text(json.dumps(card | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "train-00001.tar").unlink(), r"train-00001\.tar is missing"),
        (lambda d: truncate(d / "train-00000.tar"), r"train-00000\.tar has \d+ bytes"),
        (lambda d: (d / "index.jsonl").write_text(""), r"index\.jsonl has 0 bytes"),
        (lambda d: (d / "empty.safetensors").unlink(), r"empty\.safetensors is missing"),
        (lambda d: (d / "card.json").unlink(), "did not finish"),
        (lambda d: edit_card(d, schema_version=99), "schema version 99"),
        (lambda d: edit_card(d, views=["right.0.5"]), "was edited"),
        (lambda d: edit_card(d, extra=1), "extra"),
        (lambda d: (d / "card.json").write_text("{"), "is not a card"),
        (lambda d: shutil.rmtree(d), "is not a directory of shards"),
    ],
    ids=["missing", "truncated", "index", "empty", "no card", "schema", "edited", "unknown key", "no json", "no dir"],
)
def test_fit_refuses_a_damaged_set_with_one_clear_line(copy: Path, damage: object, message: str) -> None:
    damage(copy)  # type: ignore[operator]
    with pytest.raises(ShardError, match=message) as caught:
        setup(copy)
    assert "\n" not in str(caught.value)


def test_an_empty_directory_is_no_shard_set(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="it is not a shard set"):
        setup(tmp_path)


def test_features_of_other_encoders_are_refused(shards: Path, models: Path, tmp_path: Path) -> None:
    card = load_card(shards)
    require_same_encoders(card, models)
    other = Path(shutil.copytree(models, tmp_path / "other"))
    weights = bytearray((other / "vae/diffusion_pytorch_model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "vae/diffusion_pytorch_model.safetensors").write_bytes(weights)
    with pytest.raises(ShardError, match=r"another vae than"):
        require_same_encoders(card, other)


class KeyRecorder(LightningModule):
    """Trains one number and remembers which samples it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[str, ...]] = []

    def training_step(self, batch: OutpaintBatch, batch_idx: int) -> Tensor:
        self.seen.append(batch.keys)
        return (self.weight - batch.moments.mean()) ** 2

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    shards: Path,
    root: Path,
    steps: int,
    when: dict[str, Any],
    resume: Path | None = None,
    accumulate: int = 1,
    module: KeyRecorder | None = None,
) -> KeyRecorder:
    checkpoints = RunCheckpoint(root, save_last=True, save_top_k=0, **when)
    trainer = Trainer(
        max_steps=steps, accelerator="cpu", logger=False, callbacks=[checkpoints], enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, accumulate_grad_batches=accumulate,
    )  # fmt: skip
    module = module or KeyRecorder()
    trainer.fit(module, datamodule=setup(shards), ckpt_path=resume, weights_only=True if resume else None)
    return module


@pytest.mark.parametrize(
    "when", [{"every_n_train_steps": 1}, {"save_on_train_epoch_end": True}], ids=["batch", "epoch"]
)
@pytest.mark.parametrize("stop", [2, 4, 6])
def test_a_resumed_fit_sees_the_samples_of_an_undisturbed_one(
    shards: Path, tmp_path: Path, stop: int, when: dict[str, Any]
) -> None:
    undisturbed = fit(shards, tmp_path / "a", 10, when)
    begun = fit(shards, tmp_path / "b", stop, when)
    resumed = fit(shards, tmp_path / "c", 10, when, resume=tmp_path / "b" / "last.ckpt")
    assert begun.seen + resumed.seen == undisturbed.seen
    assert torch.equal(resumed.weight, undisturbed.weight)


def test_no_checkpoint_is_written_while_gradients_add_up(shards: Path, tmp_path: Path) -> None:
    class Saves(KeyRecorder):
        places: ClassVar[list[int]] = []

        def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            self.places.append(checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["processed"])

    when = {"every_n_train_steps": 1}
    begun = fit(shards, tmp_path / "a", 1, when, accumulate=2)
    fit(shards, tmp_path / "b", 2, when, resume=tmp_path / "a" / "last.ckpt", accumulate=2, module=Saves())
    assert len(begun.seen) == 2
    assert Saves.places
    assert all(place % 2 == 0 for place in Saves.places)


def test_all_captions_come_as_words_in_training_and_held_out_samples_keep_theirs(copy: Path, models: Path) -> None:
    data = setup(copy, captions="all")
    data.trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    data.trainer.strategy._lightning_module = system = OutpaintModule(ModelConfig(pretrained=str(models)))
    loader = data.train_dataloader()
    records = {entry.key: loader.shards.files.record(entry) for entry in loader.shards.entries}  # type: ignore[union-attr]
    most = max(len(record.local_captions) for record in records.values())
    seen: dict[str, set[str]] = {}
    for number in range(most):
        loader.epoch_sampler.set_epoch(number)
        for batch in loader:
            assert batch.features.text_local is None
            for key, (local, _) in zip(batch.keys, batch.captions, strict=True):
                seen.setdefault(key, set()).add(local)
    assert seen == {key: set(record.local_captions) for key, record in records.items()}
    completed = system.complete(batch)
    words = [local for local, _ in batch.captions]
    torch.testing.assert_close(completed.features.text_local, system.encoders.encode_text(words))
    (held_out,) = list(data.val_dataloader())[:1]
    assert held_out.features.text_local is not None
