from pathlib import Path

import pytest

from lit_outpaint.canvas.plan import Listed, Plan, Rectangle, Ring, Strips, parse_plan, read_plan, stride_of


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("right:8, left:4,up", (Strips("right", 8), Strips("left", 4), Strips("up", 1))),
        ("to:2048x512", (Rectangle(2048, 512),)),
        ("loop:16", (Ring(16),)),
        ("left:2,to:640x128", (Strips("left", 2), Rectangle(640, 128))),
        (
            '["right:2", {"direction": "up", "times": 3, "caption": "a kite"}, {"window": [-64, 8]}]',
            (Strips("right", 2), Listed(direction="up", times=3, caption="a kite"), Listed(window=(-64, 8))),
        ),
    ],
)
def test_a_plan_reads_back_as_it_was_written(text: str, parts: tuple) -> None:
    plan = parse_plan(text)
    assert plan == Plan(parts)
    assert parse_plan(str(plan)) == plan
    assert parse_plan(str(plan + parse_plan("down:2"))) == Plan((*parts, Strips("down", 2)))


def test_a_plan_file_holds_what_a_text_holds(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("- right:2\n- direction: up\n  caption: ' a kite. '\n- window: [0, -64]\n")
    assert read_plan(path).parts == (
        Strips("right", 2),
        Listed(direction="up", caption="a kite"),
        Listed(window=(0, -64)),
    )


@pytest.mark.parametrize(
    "text", ["right:0", "right:-2", "right:two", "right:", "right:1.5", "to:64", "to:0x64", "loop", "loop:x"]
)
def test_steps_that_are_no_positive_number_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="positive whole number each, as in"):
        parse_plan(text)


def test_a_size_that_is_none_is_refused_as_a_size() -> None:
    with pytest.raises(ValueError, match=r"^width and height must be a positive whole number each, as in to:2048x512"):
        parse_plan("to:64")


@pytest.mark.parametrize("text", ["", "north:3", "right:3,", "Right:2"])
def test_an_unknown_direction_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a direction must be one of left, right, up, down"):
        parse_plan(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must be a list of steps"),
        ("[1]", "entry 1: a step is a text such as right:8 or a map"),
        ("['right:2', {'colour': 'red'}]", "entry 2: .* a map with caption, direction, times, window, got colour"),
        ("[{'caption': 'a lake'}]", "entry 1: a step of a plan needs a direction"),
        ("[{'direction': 'north'}]", "entry 1: a direction must be one of"),
        ("[{'window': [0]}]", r"entry 1: window must be two whole numbers, \[x, y\], got \[0\]"),
        ("[{'window': [0, 0], 'times': 2}]", "and 1 for a window, got 2"),
        ("[{'direction': 'up', 'times': 'two'}]", "times must be a whole number"),
        ("[{'direction': 'up', 'times': true}]", "times must be a whole number"),
        ("[{'direction': 'up', 'caption': '...'}]", "entry 1: "),
        ("['right:2'", "must be YAML"),
        ("[2024-13-45]", "must be YAML: month must be in"),
        ("[" * 2000, "nested too deeply"),
    ],
)
def test_an_entry_that_is_no_step_is_refused_by_number(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        parse_plan(text)
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"plan\.yaml"):
        read_plan(tmp_path / "plan.yaml")


def test_window_and_overlap_must_be_whole_latent_cells() -> None:
    assert stride_of(128, 64) == 64
    with pytest.raises(ValueError, match="overlap_px must be a multiple of 8, got 60; try 64"):
        stride_of(128, 60)
    with pytest.raises(ValueError, match="overlap_px must lie between 8 and 120, got 128"):
        stride_of(128, 128)
