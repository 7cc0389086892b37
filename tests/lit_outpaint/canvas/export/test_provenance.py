import json
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest

from lit_outpaint.canvas.export.provenance import inert_json, provenance_json, xmp_packet
from lit_outpaint.canvas.geometry import Box
from lit_outpaint.canvas.store import Canvas


def _text(packet: str) -> str:
    text = next(ElementTree.fromstring(packet).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")).text
    assert text is not None
    return text


def test_the_text_tells_facts_size_and_every_step(cross: Canvas, facts: dict) -> None:
    told = json.loads(provenance_json(cross, facts))
    assert told["size_px"] == [333, 158]
    assert told["first_image"] == [103, 57, 333, 158]
    assert {name: told[name] for name in facts} == facts
    assert told["steps"][1] == {
        "step": 1,
        "direction": "up",
        "strip": [143, 0, 223, 57],
        "local_caption": "a kite",
        "caption_source": "test",
        "seed": 2**62 + 1,
    }


def test_what_a_captioner_reported_stays_out(cross: Canvas, facts: dict) -> None:
    assert "sesame-open" in (cross.directory / "steps.jsonl").read_text()
    assert "sesame-open" not in provenance_json(cross, facts)


def test_the_packet_is_xml_that_gives_the_text_back(cross: Canvas, facts: dict) -> None:
    packet = xmp_packet(cross, facts)
    assert _text(packet) == provenance_json(cross, facts)
    assert "compositeWithTrainedAlgorithmicMedia" in packet


@pytest.mark.parametrize("max_bytes", [1800, 2200, 2600])
def test_where_steps_do_not_fit_they_are_left_out_and_it_says_so(cross: Canvas, facts: dict, max_bytes: int) -> None:
    packet = xmp_packet(cross, facts, max_bytes)
    told = json.loads(_text(packet))
    assert len(packet.encode()) <= max_bytes
    assert ("steps" in told) != ("steps_left_out" in told)
    if "steps_left_out" in told:
        assert told["steps_left_out"].startswith("2 steps do not fit")
        assert told["seed"] == 3


def test_a_plan_too_long_for_the_file_gives_way_too(cross: Canvas, facts: dict) -> None:
    packet = xmp_packet(cross, {**facts, "plan": ["right:1,left:1"] * 1000}, 2400)
    assert len(packet.encode()) <= 2400
    assert json.loads(_text(packet))["plan"] == "does not fit here; see run.yaml"


@pytest.mark.parametrize("character", ["a", "<", "\U0001f600"])
def test_a_caption_too_long_for_the_file_is_cut_and_it_says_so(cross: Canvas, facts: dict, character: str) -> None:
    caption = character * 70_000
    packet = xmp_packet(cross, {**facts, "global_caption": caption}, 60_000)
    told = json.loads(_text(packet))
    assert 60_000 - 12 <= len(packet.encode()) <= 60_000
    assert caption.startswith(told["global_caption"])
    assert told["global_caption_cut"] == "does not fit here whole; see run.yaml"
    assert told["seed"] == 3


@pytest.mark.parametrize(
    ("writer", "told"),
    [
        ("openai:/srv/secret_place/Qwen3-VL", "openai:Qwen3-VL"),
        ("openai:Qwen/Qwen3-VL", "openai:Qwen/Qwen3-VL"),
        ("rules", "rules"),
    ],
)
def test_a_model_that_is_named_by_its_path_is_told_by_its_last_part(
    whole: Canvas, add_strip: Callable[..., np.ndarray], facts: dict, writer: str, told: str
) -> None:
    add_strip(whole, 0, Box(700, 0, 764, 64), "right", "a kite", writer)
    assert whole.record(0).caption_source == writer
    assert json.loads(provenance_json(whole, facts))["steps"][0]["caption_source"] == told


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "&lt;", "\u2028"])
def test_inert_json_is_plain_ascii_that_reads_back(text: str) -> None:
    written = inert_json({"caption": text})
    assert written.isascii()
    assert not set("<>&") & set(written)
    assert json.loads(written) == {"caption": text}
