"""Faithfulness, with the shipped probe on real pictures of the scapes world."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.config import ScapesConfig
from data_prep.scapes.shards import ScapesSource
from eval.metrics import Faithfulness
from eval.testing import computed_on_ranks
from lit_outpaint.heldout.evalset import evalset_dir
from lit_outpaint.heldout.feed import PanoramaBatch, compared
from lit_outpaint.heldout.panoramas import load_panoramas
from lit_outpaint.protocols import ImageMetric, SampleId

MODELS = Path(__file__).parents[3] / "models" / "scapes"
COUNT, STEPS = 3, 2


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    evalset_dir(directory).mkdir()
    config = ScapesConfig(panoramas=COUNT, eval_windows=0, eval_steps=STEPS, panorama_directions=("right", "down"))
    ScapesSource(config).write_evalset(evalset_dir(directory))
    return directory


def _fed(data: Path, direction: str = "right", dark: bool = False, rows: slice = slice(None)) -> Faithfulness:
    metric = Faithfulness(data, MODELS)
    _feed(metric, data, direction, dark, rows)
    return metric


def _feed(
    metric: ImageMetric, data: Path, direction: str = "right", dark: bool = False, rows: slice = slice(None)
) -> None:
    truths, real, geometry = load_panoramas(data, direction, COUNT, STEPS)
    drawn = [np.zeros_like(picture) if dark else picture for picture in real]
    pairs = [compared(*each) for each in zip(truths, drawn, real, strict=True)][rows]
    if pairs:
        PanoramaBatch(pairs, geometry, STEPS).feed(metric)


def test_true_pictures_are_faithful_and_black_ones_are_not(data: Path) -> None:
    true, black = (
        {name.split(".n")[0]: value for name, value in _fed(data, dark=dark).compute().items()}
        for dark in (False, True)
    )
    for key in ("biome_obeyed_strip", "object_kind_present_window", "time_kept_last_step"):
        assert true[f"{key}.scapes-probe"] >= 0.9
        assert black[f"{key}.scapes-probe"] <= 0.5


def test_scores_of_drawn_and_real_pictures_are_equal_where_the_pictures_are(data: Path) -> None:
    scores = _fed(data).compute()
    for name, value in scores.items():
        if ".real-n" not in name:
            assert scores[name.replace(".n", ".real-n", 1)] == value
    assert sum(".step2" in name and "biome_obeyed" in name for name in scores) == 2


def test_what_the_truth_does_not_hold_is_not_asked(data: Path) -> None:
    metric = _fed(data, "down")
    absent = {name.split(".")[0] for name in metric.absent()}
    assert "time_kept_last_step" in absent, "there is no sky so far down"
    assert not absent & {name.split(".")[0] for name in metric.ratios()}


def test_ranks_score_like_one_process(data: Path) -> None:
    (scores,) = computed_on_ranks(
        lambda: [Faithfulness(data, MODELS)],
        lambda metric, rank, world_size: _feed(metric, data, rows=slice(rank, None, world_size)),
        2,
    )
    assert scores == pytest.approx(_fed(data).compute(), rel=1e-12)


def test_windows_of_other_panoramas_are_refused(data: Path) -> None:
    metric = Faithfulness(data, MODELS)
    windows = torch.zeros(1, 3, 128, 128)
    for sample in (SampleId("other", 1), SampleId("panorama_0000000", STEPS + 1), SampleId("panorama_0000000", 0)):
        with pytest.raises(ValueError, match="faithfulness needs windows of steps"):
            metric.update(windows, windows[:0], [""], [sample])
