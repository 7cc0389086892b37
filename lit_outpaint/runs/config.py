"""What the command line of ``outpaint`` takes: the picture, the plan, edits, where to; not how a step is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from jsonargparse import Namespace

from lit_outpaint.canvas.plan import Plan, parse_plan, read_plan
from lit_outpaint.chat.ledger import Prices
from lit_outpaint.drawing.config import OutpainterConfig
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.protocols import CandidateScorer, Captioner
from lit_outpaint.system.ranks import RankConfig
from lit_outpaint.system.settings import OnResume, Role, roles, setting

@dataclass(frozen=True, kw_only=True)
class OutpaintConfig:
    """What to outpaint, and where to."""

    image: str | None = setting(None)
    """The picture to widen; or a directory of pictures, a run for each. See --fit for its size."""
    caption: str | None = None
    """Global caption: the whole scene, as wide as it will become. With a directory it may be left out: the captioner
    then describes each picture and imagines what lies around it."""
    captions_from: str | None = None
    """With a directory: file of the global captions, jsonl or json with image and caption, or text with a tab between
    them."""
    steps: str | None = setting(None, on_resume="adds")
    """Which side grows how often: right:8,left:4. With --resume: steps to add, as with the three that follow."""
    to: str | None = setting(None, on_resume="adds")
    """Size to fill around the picture, corners included: 2048x512."""
    loop: int | None = setting(None, on_resume="adds")
    """Steps to the right, this many, the last of which meets the left end: a ring, whose panorama wraps around."""
    plan: str | None = setting(None, on_resume="adds")
    """YAML file with a list of steps: texts such as right:8, or maps with direction, times, caption, window: [x, y]."""
    out: str | None = setting(None)
    """Run directory to make: panorama.png, canvas.zarr, steps.jsonl, run.yaml. With a directory of pictures, where the
    runs lie, one named after each picture."""
    resume: str | None = setting(None, on_resume="asks")
    """Run directory to continue; only a plan, an edit, --undo, --layout, --export, --model, --device and
    --batch_size go with it."""
    edit_step: int | None = setting(None, on_resume="edits")
    """With --resume: draw this step (its number in steps.jsonl) again, and all that builds on it."""
    edit_caption: str | None = setting(None, on_resume="edits")
    """Local caption of the step that is drawn again; its present one when absent."""
    edit_seed: int | None = setting(None, on_resume="edits")
    """Seed of the step that is drawn again; its present one when absent."""
    candidate: int | None = setting(None, on_resume="edits")
    """With --edit_step, after a run with --candidates: take this version of the step instead (0 is the first)."""
    model: str = setting("models/scapes/outpaint", on_resume="replaces")
    """Directory of an outpainting pipeline, as export writes it."""
    captions: str | None = None
    """File with one local caption per step (text or YAML); without it the captioner writes them."""
    layout: str | None = setting(None, identity=True, on_resume="asks")
    """Lay out the whole canvas before drawing, so that each thing stands in one place: auto does it by rules from
    --caption and goes on where steps are added, a file is taken as it is. It writes the local captions; layout.json of
    the run shows it. With --resume: draw again where another one, for example that of the run after an edit, asks for
    something else; --undo takes that back."""
    image_caption: str | None = None
    """With --layout auto: what the picture itself shows, so that it is not planned again; absent, its first place with
    as many of its things as there is room for."""
    captioner: Captioner | None = None
    """Who writes local captions, by class_path; rules when absent."""
    scorer: CandidateScorer | None = None
    """Who chooses where --candidates draws several versions, by class_path: lit_outpaint.drawing.candidates.SeamScorer (the
    default), eval.candidates.ClipScorer, or lit_outpaint.drawing.candidates.WeightedScorer over several."""
    fit: Literal["shrink", "keep"] = "shrink"
    """A picture larger than a window: scale its shorter side to one window, or keep it and grow around its middle. A
    smaller one is enlarged to a window, at most 4 times, or with keep refused."""
    export: str | None = setting(None, on_resume="asks")
    """What to write beside panorama.png, a list of page (opens in a browser), dzi, tiff, ome-zarr, jpeg and webp; with
    --resume of a finished run nothing else is done."""
    device: Literal["auto", "cpu", "cuda"] = setting("auto", on_resume="replaces")
    """Where to compute; auto takes a GPU if there is one."""
    dtype: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    """What convolutions and products compute in. The half types are faster on GPUs; in float32 alone a picture does not
    depend on the batch size to the last bit."""


ROLES: Final[dict[str, Role]] = {
    **roles(OutpaintConfig, OutpainterConfig, RegionalConfig, Prices, RankConfig),
    # Options of the parser's own.
    "undo": Role(identity=False, on_resume="edits"),
    "config": Role(identity=False),
}
"""Of all settings of ``outpaint``."""


def settings_that(on_resume: OnResume) -> list[str]:
    """Names of the settings that do this beside ``--resume``."""
    return [name for name, role in ROLES.items() if role.on_resume == on_resume]


def plan_given(settings: Namespace) -> Plan:
    """The plan that the command line gives, empty when it gives none."""
    given = [name for name in settings_that("adds") if settings[name] is not None]
    if len(given) > 1:
        raise ValueError(f"a plan is given by one of --{', --'.join(settings_that('adds'))}, got --{' and --'.join(given)}")
    if settings.plan is not None:
        return read_plan(Path(settings.plan))
    prefixes = {"steps": "", "to": "to:", "loop": "loop:"}
    return parse_plan(f"{prefixes[given[0]]}{settings[given[0]]}") if given else Plan()
