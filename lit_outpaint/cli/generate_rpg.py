"""``generate --method rpg``: its settings, and what it draws with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jsonargparse import ArgumentParser, Namespace

from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.drawing.loop_config import LoopConfig, LoopParts
from lit_outpaint.models.regional_config import RegionalConfig
from lit_outpaint.planning.options import PlanOptions
from lit_outpaint.runs.pictures import PictureRecord
from lit_outpaint.system.files import file_sha256
from lit_outpaint.system.named import class_path


class RpgSettings(NamedTuple):
    """All settings of the method."""

    plan: PlanOptions = PlanOptions()
    """Where plans come from."""
    regional: RegionalConfig = RegionalConfig()
    """How regions act."""
    loop: LoopConfig = LoopConfig()
    """How the loop edits."""
    parts: LoopParts = LoopParts()
    """What it works with."""


_KINDS = (("plan", PlanOptions), ("regional", RegionalConfig), ("loop", LoopConfig), ("parts", LoopParts))


def add_arguments(parser: ArgumentParser) -> None:
    """Add the settings of the method to the verb's."""
    for _, kind in _KINDS:
        parser.add_class_arguments(kind)


def taken(settings: Namespace) -> RpgSettings:
    """The method's part of the settings."""

    def of(kind: type[Any]) -> Any:
        return kind(**{field.name: settings[field.name] for field in fields(kind)})

    return RpgSettings(of(PlanOptions), of(RegionalConfig), of(LoopConfig), of(LoopParts))


def described(settings: RpgSettings) -> dict[str, Any]:
    """The settings as plain values, as the record of a run holds them; empty where all are as usual."""
    plain: dict[str, Any] = {}
    for name, kind in _KINDS:
        own, usual = getattr(settings, name), kind()
        for field in fields(kind):
            value = getattr(own, field.name)
            if value != getattr(usual, field.name):
                plain[field.name] = _plain(value)
    if settings.plan.plan_file is not None and Path(settings.plan.plan_file).is_file():
        plain["plan_file_sha256"] = file_sha256(Path(settings.plan.plan_file))
    return plain


def rpg_method(
    pipeline: Any,
    sampling: Sampling,
    settings: RpgSettings,
    model: str,
    size: tuple[int, int],
    negative_prompt: str | None,
) -> Any:
    """What draws; with rounds, the closed loop around it. Imports what it takes, which a parser need not wait for.

    Raises:
        ValueError: a part of the loop is not there.
    """
    from lit_outpaint.diffusion.schedule import check_num_steps, scheduler_class
    from lit_outpaint.drawing.closed_loop import ClosedLoopMethod
    from lit_outpaint.drawing.inpainting import Inpainter
    from lit_outpaint.drawing.probe_judge import ProbeJudge
    from lit_outpaint.drawing.rpg import RpgMethod
    from lit_outpaint.models.overlay import OVERLAY_NAME, family_of
    from lit_outpaint.pipeline import load_pipeline

    method = RpgMethod(pipeline, sampling, settings.plan, settings.regional, size, negative_prompt)
    if settings.loop.rounds == 0:
        return method
    parts = settings.parts
    family = family_of(Path(model)) if (Path(model) / OVERLAY_NAME).is_file() else Path(model)
    steering = parts.judge or ProbeJudge(path=str(family / "steering_probe"))
    usual_scorer = family / "probe"
    scoring = parts.scorer or (ProbeJudge(path=str(usual_scorer)) if usual_scorer.is_dir() else None)
    repairer = None
    if parts.repair_model != "none":
        outpaint = load_pipeline(parts.repair_model or family / "outpaint").to(pipeline.device)
        if sampling.scheduler is not None:
            outpaint.scheduler = scheduler_class(sampling.scheduler).from_config(outpaint.scheduler.config)
        check_num_steps(outpaint.scheduler, sampling.num_inference_steps)
        repairer = Inpainter(outpaint, sampling, settings.regional)
    return ClosedLoopMethod(method, repairer, steering, scoring, settings.loop)


def loop_summary(records: Sequence[PictureRecord]) -> str:
    """How often the loop's pictures agree with their prompts, by the judge that scores, beside their rivals; or ""."""
    scored = [record.notes for record in records if "best_of_agrees" in record.notes]
    if not scored:
        return ""
    first, last, rival = (
        sum(bool(notes[name]) for notes in scored) for name in ("first_agrees", "agrees", "best_of_agrees")
    )
    mean = sum(len(notes["rounds"]) for notes in scored) / len(scored)
    return (
        f"pictures in which everything is right, of {len(scored)}: {first} as first drawn, {last} after the loop, "
        f"{rival} of the best of as many drawings ({mean:.1f} a picture)"
    )


def check_used(settings: RpgSettings) -> None:
    """Refuse settings of the loop where there is none.

    Raises:
        ValueError: some are given, and no rounds.
    """
    if settings.loop.rounds == 0:
        given = described(settings._replace(plan=PlanOptions(), regional=RegionalConfig()))
        if given:
            raise ValueError(f"--{next(iter(given))} is of the closed loop; give --rounds, or leave it out")


def _plain(value: Any) -> Any:
    """A value for the record of a run; of an object that YAML names, its class and what it says of itself."""
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, Sequence):
        return [_plain(part) for part in value]
    if is_dataclass(value):
        return {"class": type(value).__name__, **{one.name: _plain(getattr(value, one.name)) for one in fields(value)}}
    told = value.identity() if hasattr(value, "identity") else {"name": getattr(value, "name", "")}
    return {"class": class_path(type(value)), **_plain(told)}
