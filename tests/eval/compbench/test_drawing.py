from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from eval.compbench.drawing import (
    DrawingConfig,
    check_same_drawing,
    draw_missing,
    load_pictures,
    text_to_image,
)
from lit_outpaint.heldout.rollout import Pixels

TEXTS = {"a": "a red barn", "b": "a cactus", "c": "a meadow"}


def _noise(prompts: Sequence[str], generators: Sequence[torch.Generator]) -> Pixels:
    return np.stack([torch.randint(0, 256, (4, 4, 3), generator=g).numpy().astype(np.uint8) for g in generators])


def test_picture_depends_on_seed_and_id_alone(tmp_path: Path) -> None:
    draw_missing(tmp_path / "one", TEXTS, _noise, DrawingConfig(batch_size=1))
    draw_missing(tmp_path / "all", TEXTS, _noise, DrawingConfig(batch_size=8))
    draw_missing(tmp_path / "other", TEXTS, _noise, DrawingConfig(seed=1))
    one, together, other = (load_pictures(tmp_path / name, list(TEXTS), "--images") for name in ("one", "all", "other"))
    np.testing.assert_array_equal(one, together)
    assert (one != other).any()
    assert (one[0] != one[1]).any()


def test_only_what_is_missing_is_drawn(tmp_path: Path) -> None:
    asked: list[str] = []

    def counted(prompts: Sequence[str], generators: Sequence[torch.Generator]) -> Pixels:
        asked.extend(prompts)
        return _noise(prompts, generators)

    draw_missing(tmp_path, {"b": TEXTS["b"]}, counted, DrawingConfig())
    before = (tmp_path / "b.png").read_bytes()
    draw_missing(tmp_path, TEXTS, counted, DrawingConfig())
    assert asked == [TEXTS["b"], TEXTS["a"], TEXTS["c"]]
    assert (tmp_path / "b.png").read_bytes() == before


def test_model_family_draws_windows(family: Path) -> None:
    drawer = text_to_image(family, DrawingConfig(num_inference_steps=2))
    pictures = drawer.draw(list(TEXTS.values()), [torch.Generator().manual_seed(i) for i in range(3)])
    assert pictures.shape[0] == 3
    assert pictures.dtype == np.uint8
    assert drawer.cut_off("a red barn") == ""
    assert drawer.cut_off("a red barn " * 200)


def test_pictures_of_other_settings_are_not_gone_on_with(tmp_path: Path, family: Path) -> None:
    check_same_drawing(tmp_path, family, DrawingConfig())
    check_same_drawing(tmp_path, family, DrawingConfig(batch_size=2))
    with pytest.raises(ValueError, match="seed"):
        check_same_drawing(tmp_path, family, DrawingConfig(seed=1))


def test_missing_picture_is_named(tmp_path: Path) -> None:
    draw_missing(tmp_path, {"a": "x"}, _noise, DrawingConfig())
    with pytest.raises(ValueError, match=r"--images.*b\.png"):
        load_pictures(tmp_path, ["a", "b"], "--images")
