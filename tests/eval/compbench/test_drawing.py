import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.compbench.config import DrawingConfig
from eval.compbench.drawing import draw, find_pictures, load_pictures, num_cut
from lit_outpaint.diffusion.settings import Sampling

TEXTS = {"a": "a red barn", "b": "a cactus", "c": "a meadow"}
TWO_STEPS = Sampling(num_inference_steps=2)


def test_picture_depends_on_seed_and_id_alone(family: Path, tmp_path: Path) -> None:
    one = draw(tmp_path / "one", {"b": TEXTS["b"]}, family, DrawingConfig(sampling=TWO_STEPS))
    together = draw(tmp_path / "all", TEXTS, family, DrawingConfig(sampling=TWO_STEPS, batch_size=2))
    other = draw(tmp_path / "other", TEXTS, family, DrawingConfig(sampling=TWO_STEPS, seed=1))
    assert (one / "b.png").read_bytes() == (together / "b.png").read_bytes()
    assert (other / "b.png").read_bytes() != (one / "b.png").read_bytes()
    paths = find_pictures(together, list(TEXTS), "--images")
    assert [[path.name for path in mine] for mine in paths] == [["a.png"], ["b.png"], ["c.png"]]


def test_what_is_there_is_not_drawn_again(family: Path, tmp_path: Path) -> None:
    directory = draw(tmp_path, {"b": TEXTS["b"]}, family, DrawingConfig(sampling=TWO_STEPS))
    before = (directory / "b.png").stat().st_mtime_ns
    draw(tmp_path, TEXTS, family, DrawingConfig(sampling=TWO_STEPS))
    assert (directory / "b.png").stat().st_mtime_ns == before
    assert (directory / "c.png").is_file()


def test_pictures_of_other_weights_or_settings_are_not_gone_on_with(family: Path, tmp_path: Path) -> None:
    draw(tmp_path / "out", TEXTS, family, DrawingConfig(sampling=TWO_STEPS))
    with pytest.raises(ValueError, match="seed"):
        draw(tmp_path / "out", TEXTS, family, DrawingConfig(sampling=TWO_STEPS, seed=1))
    other = tmp_path / "family"
    shutil.copytree(family, other)
    weights = other / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="other weights"):
        draw(tmp_path / "out", TEXTS, other, DrawingConfig(sampling=TWO_STEPS))


def test_prompts_that_the_text_encoder_cuts_are_counted(family: Path) -> None:
    assert num_cut(family, ["a red barn", "a red barn " * 200]) == 1


def test_missing_picture_and_odd_size_are_named(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"--images.*b\.png"):
        find_pictures(tmp_path, ["a", "b"], "--images")
    Image.new("RGB", (4, 6)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"--true_pictures.*one size"):
        load_pictures([tmp_path / "a.png", tmp_path / "b.png"], "--true_pictures")
    assert np.array_equal(load_pictures([tmp_path / "a.png"], "--images")[0], np.zeros((4, 4, 3)))


def test_pictures_of_a_prompt_are_numbered_and_as_many_of_each(tmp_path: Path) -> None:
    for name in ("a-0", "a-1", "a-3", "b-0"):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    assert [[path.stem for path in mine] for mine in find_pictures(tmp_path, ["a"], "--images")] == [["a-0", "a-1"]]
    with pytest.raises(ValueError, match=r"as many pictures of each prompt, got \[1, 2\]"):
        find_pictures(tmp_path, ["a", "b"], "--images")
