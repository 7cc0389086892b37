from importlib import import_module, resources
from pathlib import Path
from tomllib import loads

import jinja2
import pytest

from lit_outpaint.system.templates import macros, template

ROOT = Path(__file__).parents[3]
PLACES = sorted(
    path.parent.relative_to(ROOT)
    for top in ("lit_outpaint", "data_prep", "eval", "slurm")
    for path in (ROOT / top).rglob("templates")
)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_every_template_is_read_and_shipped(place: Path) -> None:
    package = ".".join(place.parts)
    import_module(package)
    for file in resources.files(package).joinpath("templates").iterdir():
        template(package, file.name)
    shipped = loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert "templates/*" in shipped[package]


def test_texts_are_escaped_once_and_missing_values_refused() -> None:
    table = macros("eval.report", "parts.html").table(["<b>"], [["a & b (c)"]])
    assert "<th>&lt;b&gt;</th>" in table
    assert '<td class="pair">a &amp; b (c)</td>' in table
    with pytest.raises(jinja2.UndefinedError, match="title"):
        template("eval.report", "page.html").render(subtitle="b")
