"""The panoramas that a report shows, with what the probe reads in each of their windows in words."""

from collections.abc import Sequence

import numpy as np

from eval import sources
from eval.finished import ShownPanorama
from eval.judge import Judge
from eval.readings import Reading
from eval.report.panoramas import Note
from lit_outpaint.heldout.evalset import EvalPanorama, WindowFacts
from lit_outpaint.heldout.walks import Geometry, Pixels


def shown_panoramas(
    count: int, truths: Sequence[EvalPanorama], drawn: Sequence[Pixels], judge: Judge, geometry: Geometry
) -> list[ShownPanorama]:
    """Evenly spread panoramas with their notes.

    Args:
        count: at most this many.
        truths: all that were asked for.
        drawn: what was drawn, one per truth.
        judge: reads the windows.
        geometry: direction, window and stride.
    """
    shown = []
    for index in sources.picks(count, len(truths)):
        truth = truths[index]
        windows = np.stack([geometry.window_at(drawn[index], step) for step in range(1, len(truth.steps) + 1)])
        readings = judge.read(judge.look(windows).maps)
        shown.append(
            ShownPanorama(
                key=truth.key,
                global_caption=truth.global_caption,
                captions=[truth.first_caption, *(step.local_caption for step in truth.steps)],
                notes=[note(reading, step.facts) for reading, step in zip(readings, truth.steps, strict=True)],
            )
        )
    return shown


def note(reading: Reading, facts: WindowFacts) -> Note:
    """What a reading says in words, and what of the truth it lacks."""
    things = sorted(f"{colour} {kind}" if colour else kind for kind, colour in reading.objects)
    sky = [reading.time or "no sky", reading.weather or "", "mountains" if reading.mountains else ""]
    biomes = [name for name, share in sorted(reading.biomes.items(), key=lambda item: -item[1]) if share >= 0.1]
    lacking = sorted({item.kind for item in facts.objects} - reading.kinds)
    sky_truths = ((facts.time, reading.time), (facts.weather, reading.weather))
    lacking += [truth for truth, seen in sky_truths if truth is not None and truth != seen]
    if facts.mountains is not None and facts.mountains != reading.mountains:
        lacking.append("mountains" if facts.mountains else "no mountains")
    parts = [", ".join(filter(None, sky)), " + ".join(biomes), ", ".join(things)]
    return Note("; ".join(filter(None, parts)), f"lacks {', '.join(lacking)}" if lacking else "")
