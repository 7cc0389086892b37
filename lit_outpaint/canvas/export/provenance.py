"""How a picture came to be, as a text that goes into its files: captions per step, seed, model, plan, versions.

Every format that can hold it gets the same XMP packet, which exiftool and most viewers read: the text is JSON in
``dc:description``, and the IPTC source type says that a model drew part of the picture. What could tell of the machine
or the account that drew it (paths, commands, addresses) is left out by listing what goes in.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import count, islice
from pathlib import PurePath
from typing import Any

from lit_outpaint.canvas.store import Canvas

MAX_TEXT_BYTES = 4 << 20
"""Readers of PNG refuse texts of more than 8 MB; this is about 20,000 steps."""
_STEP_FIELDS = ("step", "direction", "strip", "local_caption", "caption_source", "seed")
_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmp:CreatorTool="lit_outpaint"
 Iptc4xmpExt:DigitalSourceType="{source_type}">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def steps_of(canvas: Canvas) -> Iterator[dict[str, Any]]:
    """What each finished step did, by number, one in memory at a time; strips are in pixels of the picture."""
    box = canvas.box
    for number in islice(filter(canvas.is_done, count()), canvas.num_steps):
        record = canvas.record(number)
        strip = record.strip_box.shift(-box.x0, -box.y0)
        writer = _without_path(record.caption_source)
        yield {**record.model_dump(include=set(_STEP_FIELDS)), "caption_source": writer, "strip": strip.as_tuple()}


def head_of(canvas: Canvas, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is said once: the run's own facts, size, and where the first image lies in the picture."""
    box, image = canvas.box, canvas.image_box
    return {
        "software": "lit_outpaint",
        **facts,
        "size_px": [box.width, box.height],
        "first_image": list(image.shift(-box.x0, -box.y0).as_tuple()),
    }


def provenance_json(canvas: Canvas, facts: Mapping[str, Any], max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text, in ASCII; without the steps, then the plan, then the caption's end, where it would be too long.

    Args:
        canvas: whose journal is read.
        facts: what the run knows beside the journal, such as its seed and model.
        max_bytes: most that the file can hold.
    """
    head = head_of(canvas, facts)
    steps, room = [], max_bytes - len(inert_json({**head, "steps": []}))
    for step in steps_of(canvas):
        room -= len(inert_json(step)) + len(", ")
        if room < 0:
            break
        steps.append(step)
    if room >= 0:
        return inert_json({**head, "steps": steps})
    head["steps_left_out"] = f"{canvas.num_steps} steps do not fit here; see steps.jsonl"
    if len(inert_json(head)) > max_bytes:
        head["plan"] = "does not fit here; see run.yaml"
    if len(inert_json(head)) > max_bytes:
        head |= _with_caption_cut(head, max_bytes)
    return inert_json(head)


def xmp_packet(canvas: Canvas, facts: Mapping[str, Any], max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text as an XMP packet of at most ``max_bytes``."""
    frame = _PACKET.format(source_type=_SOURCE_TYPE, text="")
    text = provenance_json(canvas, facts, max_bytes - len(frame.encode()))
    return _PACKET.format(source_type=_SOURCE_TYPE, text=text)


def _with_caption_cut(head: Mapping[str, Any], max_bytes: int) -> dict[str, Any]:
    """As much of the caption as there is room for, and a word that it is not all."""
    caption = str(head.get("global_caption") or "")

    def cut(length: int) -> dict[str, Any]:
        return {"global_caption": caption[:length], "global_caption_cut": "does not fit here whole; see run.yaml"}

    lengths = range(1, len(caption) + 1)
    return cut(bisect_right(lengths, max_bytes, key=lambda length: len(inert_json({**head, **cut(length)}))))


def _without_path(writer: str) -> str:
    """The name of who wrote a caption; of a model that a server calls by its path, the last part stays."""
    kind, colon, model = writer.partition(":")
    return f"{kind}:{PurePath(model).name}" if colon and PurePath(model).is_absolute() else writer


def inert_json(value: Any) -> str:
    """JSON that stays text inside XML and inside a script element: nothing in it begins a tag, comment or entity."""
    text = json.dumps(value)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
