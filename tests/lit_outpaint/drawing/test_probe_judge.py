from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.measure import label

from lit_outpaint.drawing.judging import Look, PictureJudge, Wish, judge
from lit_outpaint.drawing.probe_judge import ProbeJudge, connected_pieces
from lit_outpaint.models.probe import ScapesProbe
from lit_outpaint.planning.placement import BOUND
from lit_outpaint.planning.regions import RegionPlan
from lit_outpaint.planning.rules import RulePlanner


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A probe with random weights."""
    directory = tmp_path_factory.mktemp("probe")
    torch.manual_seed(0)
    names = (["none", "barn", "tent"], ["none", "red", "blue"], ["none", "meadow", "lake"], ["none", "night", "cloud"])
    ScapesProbe(*names, ["meadow, night"], widths=[8, 8, 8, 8]).save_pretrained(directory)
    return directory


def test_pieces_are_those_of_an_independent_library() -> None:
    classes = np.random.default_rng(0).integers(0, 3, (24, 40))
    ours = connected_pieces(classes)
    expected = [part for kind in (1, 2) for part in _reference_pieces(classes == kind)]
    assert sorted(piece.tobytes() for piece in ours) == sorted(piece.tobytes() for piece in expected)
    assert [int(piece.sum()) for piece in ours] == sorted((int(piece.sum()) for piece in ours), reverse=True)
    assert connected_pieces(np.zeros((4, 4), dtype=int)) == []


def _reference_pieces(mask: np.ndarray) -> list[np.ndarray]:
    numbers = label(mask, connectivity=2)
    return [numbers == number for number in range(1, numbers.max() + 1)]


def test_it_checks_what_it_knows_of_a_plan(probe: Path) -> None:
    steering = ProbeJudge(path=str(probe))
    assert isinstance(steering, PictureJudge)
    plan = RulePlanner().plan("a red barn to the left of two blue tents in a meadow on a cloudy night").plan
    wish = steering.wish(plan, dict.fromkeys((region.id for region in plan.regions), BOUND))
    assert [(thing.kind, thing.colour) for thing in wish.things] == [
        ("barn", "red"),
        ("tent", "blue"),
        ("tent", "blue"),
    ]
    assert wish.scenery == {"meadow", "cloud", "night"}
    assert steering.wish(RulePlanner().plan("a barn by day without clouds").plan, {}).scenery == set()
    for prompt in ("a barn without a lake", "a barn but no big lake", "a tent without clouds or a lake"):
        assert steering.wish(RulePlanner().plan(prompt).plan, {}).scenery == set(), prompt
    assert all(thing.placed == BOUND for thing in wish.things)
    unknown = RegionPlan.from_grid("a cow", "1", ["a cow"])
    assert steering.wish(unknown, {}) == Wish()


def test_it_sees_the_pieces_of_its_label_maps(probe: Path) -> None:
    steering = ProbeJudge(path=str(probe), min_thing_px=1, min_scenery=0.001)
    pictures = np.random.default_rng(1).integers(0, 256, (2, 64, 48, 3), dtype=np.uint8)
    first, second = steering.look(pictures)
    with torch.no_grad():
        output = steering.probe(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1)
    kind = output.kind.argmax(dim=1)[0]
    assert sum(thing.share for thing in first.things) == pytest.approx(float((kind > 0).float().mean()))
    assert first != second
    for thing in first.things:
        left, top, right, bottom = thing.box
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1


def test_the_score_is_the_share_of_what_is_right() -> None:
    wish = Wish((), frozenset({"meadow", "night"}))
    assert judge(Wish(), Look()).score == 1
    half = judge(wish, Look((), frozenset({"meadow"})))
    assert half.score == 0.5
    assert not half.agrees
    assert half.missing_scenery == ("night",)


def test_a_probe_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"path.*{tmp_path.name}"):
        ProbeJudge(path=str(tmp_path))


def test_pictures_whose_sides_are_multiples_of_eight_alone_are_read(probe: Path) -> None:
    judge = ProbeJudge(path=str(probe))
    picture = np.random.default_rng(0).integers(0, 255, (1, 72, 88, 3), dtype=np.uint8)
    (look,) = judge.look(picture)
    assert all(0 <= side <= 1 for thing in look.things for side in thing.box)
