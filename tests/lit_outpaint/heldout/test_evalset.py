from pathlib import Path

import pytest

from lit_outpaint.data.schema import ShardError
from lit_outpaint.heldout.evalset import (
    PANORAMAS_NAME,
    WINDOWS_NAME,
    EvalPanorama,
    EvalStep,
    EvalWindow,
    ObjectFact,
    WindowFacts,
    read_panoramas,
    read_windows,
    write_rows,
)

FACTS = WindowFacts(
    time="night", weather=None, mountains=True, biomes={"lake": 1.0}, objects=[ObjectFact(kind="igloo", colour=None)]
)
STEP = EvalStep(local_caption="a lake", facts=FACTS, strip_facts=FACTS)
PANORAMA = EvalPanorama(
    key="p",
    image="p.png",
    window_px=128,
    stride_px=64,
    direction="right",
    global_caption="a wide view",
    first_caption="a lake",
    first_facts=FACTS,
    steps=[STEP, STEP],
)
WINDOW = EvalWindow(key="w", image="w.png", captions=["a lake"], dense_caption="a lake, calm", facts=FACTS)


def test_rows_survive_the_disk(tmp_path: Path) -> None:
    write_rows(tmp_path / PANORAMAS_NAME, [PANORAMA])
    write_rows(tmp_path / WINDOWS_NAME, [WINDOW, WINDOW])
    assert read_panoramas(tmp_path) == [PANORAMA]
    assert read_windows(tmp_path) == [WINDOW, WINDOW]


def test_a_missing_set_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="data_prep all"):
        read_panoramas(tmp_path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / WINDOWS_NAME).write_text("")
    with pytest.raises(ShardError, match="holds no rows"):
        read_windows(tmp_path)


@pytest.mark.parametrize("image", ["../../secret.png", "/etc/x.png"])
def test_a_picture_outside_the_set_is_refused_with_its_line(tmp_path: Path, image: str) -> None:
    row = WINDOW.model_dump_json()
    (tmp_path / WINDOWS_NAME).write_text(row + "\n" + row.replace("w.png", image) + "\n")
    with pytest.raises(ShardError, match=r"windows\.jsonl:2.*image"):
        read_windows(tmp_path)
