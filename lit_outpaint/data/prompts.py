"""Prompts with ground truth, on disk: one JSON object a line, shared by who writes them and who scores pictures.

Like the record of a shard it is a contract between packages that do not import each other: the world writes it, the
evaluation reads it. Every prompt is taken apart into *atoms*, statements that a judge answers with yes or no (GenEval
2's word, Kamath et al. 2025, arXiv:2512.16853). This module knows no torch.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError

from lit_outpaint.canvas.geometry import Direction
from lit_outpaint.data.schema import Strict, check_key
from lit_outpaint.system.text_files import read_text, text_lines

Category = Literal["presence", "colour", "spatial", "counting", "scene", "complex", "dense"]
CATEGORIES: Final[tuple[Category, ...]] = ("presence", "colour", "spatial", "counting", "scene", "complex", "dense")

Relation = Literal["left_of", "right_of", "above", "below", "between"]
Side = Literal["left", "middle", "right"]


class Thing(Strict):
    """What a prompt calls something."""

    kind: str
    colour: str | None = None
    """None where the prompt does not name it."""


class PresentAtom(Strict):
    """There is such a thing, whatever its colour."""

    type: Literal["present"] = "present"
    kind: str


class ColourAtom(Strict):
    """Things of a kind come in exactly the colours that the prompt gives them.

    A prompt with a red and a blue barn has two such atoms; both name ``red`` and ``blue`` as allowed.
    """

    type: Literal["colour"] = "colour"
    kind: str
    colour: str
    allowed: tuple[str, ...]
    """Colours that things of this kind may have; ``colour`` is one of them."""


class CountAtom(Strict):
    """There are exactly this many things of a kind (and of a colour, where one is given)."""

    type: Literal["count"] = "count"
    thing: Thing
    count: int = Field(ge=1)


class RelationAtom(Strict):
    """A thing stands in a relation to another one; between two others."""

    type: Literal["relation"] = "relation"
    relation: Relation
    thing: Thing
    others: tuple[Thing, ...] = Field(min_length=1, max_length=2)


class SideAtom(Strict):
    """A thing stands on one side of the picture."""

    type: Literal["side"] = "side"
    thing: Thing
    side: Side


class TimeAtom(Strict):
    """The time of day."""

    type: Literal["time"] = "time"
    time: str


class WeatherAtom(Strict):
    """The weather."""

    type: Literal["weather"] = "weather"
    weather: str


class MountainsAtom(Strict):
    """Mountains stand behind the horizon, or none do."""

    type: Literal["mountains"] = "mountains"
    mountains: bool


class BiomeAtom(Strict):
    """A biome covers a good part of the ground."""

    type: Literal["biome"] = "biome"
    biome: str


Atom = Annotated[
    PresentAtom | ColourAtom | CountAtom | RelationAtom | SideAtom | TimeAtom | WeatherAtom | MountainsAtom | BiomeAtom,
    Field(discriminator="type"),
]

ATOM_TYPES: Final = ("present", "colour", "count", "relation", "side", "time", "weather", "mountains", "biome")


class Step(Strict):
    """The step of outpainting that a prompt is for."""

    direction: Direction
    """Side of the known window that grows."""
    stride_px: int = Field(gt=0)
    """Width of the new strip, of which the statements are made."""
    global_caption: str = Field(min_length=1)
    """Of the scene around; says nothing of the things that are asked for."""


class Prompt(Strict):
    """One line of a prompt file."""

    id: Annotated[str, AfterValidator(check_key)]
    """Also the name of its picture, ``ID.png``."""
    category: Category
    prompt: str = Field(min_length=1)
    atoms: tuple[Atom, ...] = Field(min_length=1)
    """Each is a statement of its own; the prompt holds when all do."""
    pair: str | None = None
    """Shared by two prompts of the same things that contradict each other, so that no one picture satisfies both."""
    step: Step | None = None
    """Set where the prompt is the local caption of a step; its statements are then of the new strip alone."""

    def line(self) -> str:
        """The prompt as a line of a file; one without a step as before there were any, so that runs can be compared."""
        return self.model_dump_json(exclude={"step"} if self.step is None else None)


def true_pictures_dir(prompts: Path) -> Path:
    """Where the true pictures of a prompt file lie, unless told: beside it, with ``_true`` behind its name."""
    return prompts.with_name(f"{prompts.stem}_true")


def known_pictures_dir(prompts: Path) -> Path:
    """Where the windows before the steps of a prompt file lie: beside it, with ``_known`` behind its name."""
    return prompts.with_name(f"{prompts.stem}_known")


def write_prompts(path: Path, prompts: Iterable[Prompt]) -> None:
    """Write one JSON object a line, with a stable order of fields so that equal prompts give equal bytes."""
    path.write_text("".join(prompt.line() + "\n" for prompt in prompts), encoding="utf-8")


def read_prompts(path: Path) -> list[Prompt]:
    """Read a prompt file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, a line does not fit, an id comes twice, or only some prompts are for steps.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"--prompts must be a file, found no {path}; write one with `python -m data_prep compbench`"
        )
    prompts: list[Prompt] = []
    ids: set[str] = set()
    for number, line in text_lines(read_text(path, "--prompts")):
        try:
            prompt = Prompt.model_validate_json(line)
        except ValidationError as error:
            raise ValueError(f"{path}:{number} is no prompt: {_first_problem(error)}") from error
        if prompt.id in ids:
            raise ValueError(f"{path}:{number}: ids must differ, but {prompt.id} comes twice")
        ids.add(prompt.id)
        prompts.append(prompt)
    if not prompts:
        raise ValueError(f"{path} must hold at least one prompt, but it is empty")
    if len({prompt.step is None for prompt in prompts}) > 1:
        raise ValueError(f"{path} must hold prompts for whole pictures or for steps, but it holds both")
    return prompts


def _first_problem(error: ValidationError) -> str:
    first: Any = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'line'}: {first['msg']}"
