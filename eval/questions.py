"""The questions that the judge is asked about outpainted windows, in the order of the table."""

from typing import Literal, NamedTuple

from eval import scoring
from eval.figures import Target


class Question(NamedTuple):
    """One question, asked of every step of every panorama."""

    key: str
    title: str
    ask: scoring.Ask
    view: Literal["strip", "window"]
    """Whether the new strip alone is read, or the whole window after the step."""
    last_step_only: bool
    """Whether the figure is that of the last step (the curve always has all steps)."""
    target: Target | None
    definition: str
    """May name thresholds of the judge in braces."""


QUESTIONS = (
    Question(
        "biome_obeyed_strip",
        "biome obeyed (dominant in the new strip, mean over steps)",
        scoring.biome_obeyed,
        "strip",
        False,
        Target(">=", 0.92),
        "Strips whose dominant biome, as the probe reads it, is one with a true share of at least {min_biome_share} of "
        "the ground of that strip.",
    ),
    Question(
        "object_kind_present_window",
        "object kind present (window, mean over objects)",
        scoring.kinds_present,
        "window",
        False,
        Target(">=", 0.80),
        "Object kinds that the truth has in the window after a step and that the probe sees there (at least "
        "{min_object_px} label-map pixels). The known half of the window counts too. Kinds that the probe does not "
        "read in true windows either are not asked: {unread_kinds}.",
    ),
    Question(
        "time_kept_last_step",
        "time of day kept (window, last step)",
        scoring.time_kept,
        "window",
        True,
        Target(">=", 0.95),
        "Windows of the last step whose most frequent sky class among dawn, day, dusk, night is the panorama's.",
    ),
    Question(
        "object_kind_present_strip",
        "object kind present (new strip alone, mean over objects)",
        scoring.kinds_present,
        "strip",
        False,
        None,
        "The same asked of the new strip alone: kinds that the truth has in it and that the probe sees in it.",
    ),
    Question(
        "colour_bound_window",
        "colour bound (window, mean over coloured objects)",
        scoring.colours_bound,
        "window",
        False,
        None,
        "True (kind, colour) pairs of the window that the probe sees as such; a missing object counts as not bound.",
    ),
    Question(
        "colour_of_seen_window",
        "colour right where the kind is seen (window)",
        scoring.colours_of_seen,
        "window",
        False,
        None,
        "True (kind, colour) pairs whose kind is seen at all: seen in their colour.",
    ),
    Question(
        "kinds_unasked_window",
        "object kinds seen that the truth does not name (per window)",
        scoring.kinds_unasked,
        "window",
        False,
        None,
        "Kinds the probe sees in a window and the facts do not name. Objects cut by the border count: real is not 0.",
    ),
    Question(
        "weather_kept_last_step",
        "weather kept (window, last step)",
        scoring.weather_kept,
        "window",
        True,
        None,
        "Windows of the last step read as cloudy (clouds take at least {cloud_share} of the sky) or clear as in truth.",
    ),
    Question(
        "mountains_kept_last_step",
        "mountains kept (window, last step)",
        scoring.mountains_kept,
        "window",
        True,
        None,
        "Windows of the last step with mountains (at least {mountain_share} of all pixels) exactly when in truth.",
    ),
)
