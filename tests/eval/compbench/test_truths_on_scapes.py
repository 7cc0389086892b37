"""True pictures of prompts, read from their exact label maps instead of a network's: every statement must hold."""

import numpy as np
import pytest

from data_prep.scapes.compbench.prompts import Staged, make_prompts
from data_prep.scapes.palette import LABEL_BIOMES, LABEL_COLOURS, LABEL_KINDS, LABEL_SKIES
from data_prep.scapes.staging import VIEWS, Scene
from eval.compbench.atoms import answers
from eval.judge import read_labels, strip_of
from eval.readings import ClassNames, JudgeConfig, LabelMaps, Reading
from lit_outpaint.data.prompts import CATEGORIES, Category

NAMES = ClassNames(LABEL_KINDS, LABEL_COLOURS, LABEL_BIOMES, LABEL_SKIES)
HALF = slice(None, None, 2)


def _maps(scene: Scene, y: int) -> LabelMaps:
    labels = scene.world().labels(0, y)
    return LabelMaps(*(getattr(labels, name)[HALF, HALF].astype(np.int64) for name in LabelMaps._fields))


def _read(scene: Scene) -> Reading:
    return read_labels(_maps(scene, VIEWS[scene.view].y), NAMES, JudgeConfig())


def _read_strip(row: Staged) -> Reading:
    assert row.step is not None
    return read_labels(strip_of(_maps(row.scene, row.step.y), row.step.direction, 0.5), NAMES, JudgeConfig())


@pytest.mark.parametrize("category", CATEGORIES)
def test_true_picture_shows_all_that_its_prompt_says(category: Category) -> None:
    for row in make_prompts(11, 40, [category]):
        said = answers(row.prompt.atoms, _read(row.scene))
        wrong = [atom for atom, true in zip(row.prompt.atoms, said, strict=True) if not true]
        assert not wrong, (row.prompt.id, row.prompt.prompt)


@pytest.mark.parametrize("count", [10, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("category", CATEGORIES)
def test_true_strip_of_a_step_shows_all_that_its_prompt_says(category: Category, count: int) -> None:
    # Most scenes do not fit into a strip, so that one which does is drawn hundreds of times.
    for row in make_prompts(11, count, [category], per_step=True):
        said = answers(row.prompt.atoms, _read_strip(row))
        wrong = [atom for atom, true in zip(row.prompt.atoms, said, strict=True) if not true]
        assert not wrong, (row.prompt.id, row.prompt.prompt)


@pytest.mark.parametrize("category", ["colour", "spatial"])
def test_no_true_picture_satisfies_the_other_prompt_of_its_pair(category: Category) -> None:
    pairs: dict[str, list[Staged]] = {}
    for row in make_prompts(11, 40, [category]):
        if row.prompt.pair:
            pairs.setdefault(row.prompt.pair, []).append(row)
    whole = [pair for pair in pairs.values() if len(pair) == 2]
    assert len(whole) >= 15
    for one, other in whole:
        assert not all(answers(other.prompt.atoms, _read(one.scene)))
        assert not all(answers(one.prompt.atoms, _read(other.scene)))
