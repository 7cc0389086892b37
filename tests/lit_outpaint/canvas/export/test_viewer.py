import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lit_outpaint.canvas.export.viewer.page import write_page
from lit_outpaint.canvas.store import Canvas

SIZE = "--window-size=1200,700"


class _Page(HTMLParser):
    """What a browser would make of the page: elements, their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.title = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.lasttag == "script" and data.strip():
            self.scripts.append(data)
        if self.elements and self.lasttag == "title" and data.strip():
            self.title = data


def _write(canvas: Canvas, directory: Path, facts: dict) -> _Page:
    write_page(canvas, directory, facts)
    return _Page((directory / "index.html").read_text(encoding="utf-8"))


def test_the_page_needs_nothing_but_its_own_folder(cross: Canvas, tmp_path: Path, facts: dict) -> None:
    page = _write(cross, tmp_path / "view", facts)
    wanted = [attrs.get("src") or attrs.get("href") for tag, attrs in page.elements if tag in ("script", "link", "img")]
    wanted = [name for name in wanted if name]
    assert wanted == ["page.css", "openseadragon.min.js", "page.js"]
    assert all((tmp_path / "view" / name).is_file() for name in wanted)
    own = (tmp_path / "view" / "page.js").read_text()
    assert not any(call in own for call in ("fetch(", "XMLHttpRequest", "innerHTML", "insertAdjacentHTML", "eval("))


def test_the_library_is_the_pinned_one_and_brings_its_licence(cross: Canvas, tmp_path: Path, facts: dict) -> None:
    _write(cross, tmp_path / "view", facts)
    library = (tmp_path / "view" / "openseadragon.min.js").read_bytes()
    assert library.startswith(b"//! openseadragon 6.1.1")
    assert len(library) < 400_000
    assert "Redistribution and use" in (tmp_path / "view" / "openseadragon.LICENSE.txt").read_text()


def test_hostile_captions_stay_data(cross: Canvas, tmp_path: Path, facts: dict) -> None:
    page = _write(cross, tmp_path / "view", {**facts, "seed": 2**60 + 1})
    assert [attrs.get("id") or attrs.get("src") for tag, attrs in page.elements if tag == "script"] == [
        "data",
        "openseadragon.min.js",
        "page.js",
    ]
    (data,) = page.scripts
    assert "<" not in data
    told = json.loads(data)
    assert told["head"]["global_caption"] == facts["global_caption"]
    assert told["steps"][0]["local_caption"] == facts["global_caption"]
    assert told["steps"][0]["seed"] == str(2**62 + 1)
    assert told["head"]["seed"] == str(2**60 + 1)
    assert told["source"]["Image"]["Size"] == {"Width": "333", "Height": "158"}
    assert page.title.startswith('<script>alert("1")')  # As text: the parser has undone the escapes.


@pytest.mark.slow
def test_a_browser_draws_the_page_from_the_file_system(
    cross: Canvas, tmp_path: Path, facts: dict, browse: Callable[..., bytes]
) -> None:
    _write(cross, tmp_path / "view", facts)
    index, shot = tmp_path / "view" / "index.html", tmp_path / "shot.png"
    browse(index, SIZE, f"--screenshot={shot}")
    page = _Page(browse(index, SIZE, "--dump-dom").decode())
    assert sum(tag == "li" for tag, _ in page.elements) == 2  # The step list was filled by the page's script.
    assert not any(attrs.get("id") is None and tag == "b" for tag, attrs in page.elements)  # Captions' tags are text.
    colours = Image.open(shot).convert("RGB").crop((0, 150, 850, 650)).getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 10_000  # Noise of the tiles, not the flat stage.


@pytest.mark.slow
def test_zooming_in_draws_tiles_of_finer_levels(tmp_path: Path, facts: dict, browse: Callable[..., bytes]) -> None:
    (tmp_path / "canvas").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (600, 4000, 3), dtype=np.uint8)
    _write(Canvas.create(tmp_path / "canvas", noise), tmp_path / "view", facts)
    index = tmp_path / "view" / "index.html"
    plain = index.read_text()
    for zoom, level in ((1, 10), (2, 11), (4, 12)):  # 4,000 px are level 12.
        script = f"""<script>
          const drawn = new Set();
          const tell = (event) => {{ drawn.add(event.tile.level); document.title = [...drawn].join(); }};
          viewer.addHandler("tile-drawn", tell);
          viewer.addHandler("open", () => viewer.viewport.zoomTo({zoom} * viewer.viewport.getHomeZoom(), null, true));
        </script>"""
        index.write_text(plain.replace("</body>", f"{script}</body>"))
        assert str(level) in _Page(browse(index, SIZE, "--dump-dom").decode()).title.split(",")


@pytest.mark.slow
@pytest.mark.parametrize("key", ["-", "+", "ArrowLeft"])
def test_keys_stay_within_the_limits(
    cross: Canvas, tmp_path: Path, facts: dict, browse: Callable[..., bytes], key: str
) -> None:
    _write(cross, tmp_path / "view", facts)
    index = tmp_path / "view" / "index.html"
    script = f"""<script>
      viewer.addHandler("open", () => {{
        for (let i = 0; i < 30; i++) document.dispatchEvent(new KeyboardEvent("keydown", {{ key: "{key}" }}));
        const view = viewer.viewport, before = view.getBounds(false).toString();
        view.applyConstraints();
        document.title = String(before === view.getBounds(false).toString());
      }});
    </script>"""
    index.write_text(index.read_text().replace("</body>", f"{script}</body>"))
    assert _Page(browse(index, SIZE, "--dump-dom").decode()).title == "true"
