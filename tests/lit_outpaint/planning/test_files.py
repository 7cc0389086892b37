import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_outpaint.planning.boxes import RegionBox
from lit_outpaint.planning.files import parse_plan_text, plan_text, read_plan_file
from lit_outpaint.planning.regions import Region, RegionPlan
from lit_outpaint.system.text import encodable

WORDS = st.text(min_size=1).filter(lambda text: any(map(str.isalnum, text)) and text.isprintable())


@settings(deadline=None)
@given(WORDS, st.lists(WORDS, max_size=4), st.one_of(st.none(), st.floats(0, 1)), st.text(max_size=5))
def test_a_plan_survives_its_file(base: str, prompts: list[str], base_ratio: float | None, negative: str) -> None:
    regions = tuple(
        Region(
            id=f"r{i}",
            prompt=prompt,
            box=RegionBox(i / 7, 0.1, (i + 1) / 7, 1 / 3),
            base_ratio=base_ratio,
            negative_prompt=encodable(negative),  # Files lose the others, see `lit_outpaint.system.text`.
            thing=prompt,
            level="sky" if i else "surface",
        )
        for i, prompt in enumerate(prompts)
    )
    for plan in (
        RegionPlan(base_prompt=base, regions=regions),
        RegionPlan(base_prompt=base, regions=regions, unit="px", period_px=640),
    ):
        assert parse_plan_text(plan_text(plan)) == plan


def test_a_grid_and_boxes_without_ids_are_plans(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text('{"prompt": "a scene", "grid": "1; 1", "regional_prompts": ["a sky", "a barn"], "base_ratio": 0.4}')
    grid = read_plan_file(file)
    boxes = [{"prompt": region.prompt, "box": [*region.box.as_tuple()]} for region in grid.regions]
    file.write_text(json.dumps({"prompt": "a scene", "regions": boxes, "base_ratio": 0.4}))
    assert read_plan_file(file) == grid


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "JSON"),
        ('{"prompt": "a', "JSON"),
        ("[" * 100_000, "JSON"),
        ("[]", "a JSON object"),
        ('{"regions": []}', "prompt"),
        ('{"prompt": 3}', "prompt"),
        ('{"prompt": ""}', "base_prompt"),
        ('{"prompt": "x", "regions": [{"prompt": "a barn"}]}', "regions.0.box"),
        ('{"prompt": "x", "regions": [{"prompt": "a barn", "box": [0, 0, 1]}]}', "regions.0.box"),
        ('{"prompt": "x", "regions": [{"prompt": "a barn", "box": [0, 0, 1, "1"]}]}', "regions.0.box.3"),
        ('{"prompt": "x", "regions": [{"prompt": "a barn", "box": [0, 0, NaN, 1]}]}', "finite"),
        ('{"prompt": "x", "regions": [{"prompt": "a barn", "box": [0, 0, 1e999, 1]}]}', "regions.0.box.2"),
        ('{"prompt": "x", "regions": [{"prompt": "a barn", "box": [0, 0, 2, 1]}]}', "box of region barn"),
        ('{"prompt": "x", "regions": [{"prompt": "a barn", "box": [0, 0, 1, 1], "ratio": 1}]}', "regions.0.ratio"),
        ('{"prompt": "x", "grid": "1,1"}', "regional_prompts"),
        ('{"prompt": "x", "grid": "1,1", "regional_prompts": ["a"]}', "2 cells"),
        ('{"prompt": "x", "grid": "1,b", "regional_prompts": ["a", "b"]}', "'b'"),
        ('{"prompt": "x", "grid": "1,1", "regional_prompts": ["a", "b"], "unit": "px"}', "unit"),
        ('{"prompt": "x", "grid": "1", "regional_prompts": ["a"], "regions": []}', "regions and grid"),
        ('{"prompt": "x", "period_px": 100}', "period_px"),
    ],
)
def test_what_is_no_plan_is_refused_in_one_line_with_file_and_field(tmp_path: Path, text: str, field: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"mine\.json") as caught:
        read_plan_file(file)
    assert field in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff")
    for name in ("absent", "bytes"):
        with pytest.raises(ValueError, match=f"a plan file .*{name}"):
            read_plan_file(tmp_path / name)
