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
    new = rewritten(text, scored(tmp_path), tmp_path)
    expected = TABLE.replace("0.9", "0.5").replace("68 %", "97 %")
    assert new == f"# Readme\n\n{marked('outpaint', weights_hash(tmp_path, 'outpaint'), expected)}\n\nAfter it.\n"
    assert rewritten(new, tmp_path, tmp_path) == new


def test_tables_made_by_hand_keep_their_figures_and_their_hash(tmp_path: Path) -> None:
    text = f"<!-- copied baselines of weights aaaaaaaaaaaa -->\n{TABLE}\n<!-- /copied -->\n"
    assert blocks(text) == [("baselines", "aaaaaaaaaaaa")]
    assert rewritten(text, tmp_path, tmp_path) == text


def test_a_figure_that_was_not_scored_is_named(tmp_path: Path) -> None:
    text = marked("outpaint", "aaaaaaaaaaaa", TABLE + "\n| lost | 1 | 2 |")
    with pytest.raises(ValueError, match=r"lacks \['lost'\]"):
        rewritten(text, scored(tmp_path), tmp_path)


def test_the_hash_is_that_of_names_and_bytes_of_the_weights_that_decide(tmp_path: Path) -> None:
    for part in ("unet", "outpaint"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.safetensors").write_bytes(b"one")
    (tmp_path / "README.md").write_text("of no account")
    family, outpaint, card = (weights_hash(tmp_path, name) for name in ("family", "outpaint", "card"))
    assert len({family, outpaint, card}) == 3
    (tmp_path / "unet" / "a.safetensors").write_bytes(b"two")
    assert weights_hash(tmp_path, "family") != family
    assert weights_hash(tmp_path, "card") != card
    assert weights_hash(tmp_path, "outpaint") == outpaint
    (tmp_path / "outpaint" / "a.safetensors").rename(tmp_path / "outpaint" / "b.safetensors")
    assert weights_hash(tmp_path, "outpaint") != outpaint
