from pathlib import Path

import pytest

from data_prep.scapes.score_tables import blocks, marked, rewritten, weights_hash

METRICS = """# Scores

| figure | value | real |
| --- | --- | --- |
| time kept | 97 % | 100 % |
| seam, with a \\| in it | 0.5 | - |
| other | 1 | 2 |

all targets are met.
"""
TABLE = (
    "| figure | value | real |\n| --- | --- | --- |\n| seam, with a \\| in it | 0.9 | - |\n| time kept | 68 % | 100 % |"
)


def scored(folder: Path) -> Path:
    (folder / "outpaint").mkdir()
    (folder / "outpaint" / "metrics.md").write_text(METRICS)
    return folder


def test_rows_keep_their_places_and_take_the_new_values_and_the_rest_stays(tmp_path: Path) -> None:
    text = f"# Readme\n\n{marked('outpaint', 'aaaaaaaaaaaa', TABLE)}\n\nAfter it.\n"
    assert blocks(text) == [("outpaint", "aaaaaaaaaaaa")]
    new = rewritten(text, scored(tmp_path), "bbbbbbbbbbbb")
    expected = TABLE.replace("0.9", "0.5").replace("68 %", "97 %")
    assert new == f"# Readme\n\n{marked('outpaint', 'bbbbbbbbbbbb', expected)}\n\nAfter it.\n"
    assert rewritten(new, tmp_path, "bbbbbbbbbbbb") == new


def test_a_figure_that_was_not_scored_is_named(tmp_path: Path) -> None:
    text = marked("outpaint", "aaaaaaaaaaaa", TABLE + "\n| lost | 1 | 2 |")
    with pytest.raises(ValueError, match=r"lacks \['lost'\]"):
        rewritten(text, scored(tmp_path), "bbbbbbbbbbbb")


def test_the_hash_is_that_of_names_and_bytes_of_the_weights_alone(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "a.safetensors").write_bytes(b"one")
    first = weights_hash(tmp_path)
    (tmp_path / "README.md").write_text("of no account")
    assert weights_hash(tmp_path) == first
    (tmp_path / "unet" / "a.safetensors").write_bytes(b"two")
    assert weights_hash(tmp_path) != first
    (tmp_path / "unet" / "a.safetensors").write_bytes(b"one")
    (tmp_path / "unet" / "a.safetensors").rename(tmp_path / "b.safetensors")
    assert weights_hash(tmp_path) != first
