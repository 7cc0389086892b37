"""Parts that a file names by class and arguments, as YAML does: ``{"class_path": ..., "init_args": {...}}``.

Checkpoints and model directories hold such descriptions in place of pickled objects: what a configuration may name can
be loaded again, and nothing else.
"""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from importlib import import_module
from typing import Any

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings


def described(part: Any) -> dict[str, Any] | None:
    """The description of a part: of a dataclass, of a description itself, or None of None.

    Raises:
        ValueError: it is neither, so that nobody could tell what it was made with.
    """
    if part is None or isinstance(part, dict):
        return part
    if isinstance(part, Namespace):
        return part.as_dict()
    if not is_dataclass(part) or isinstance(part, type):
        raise ValueError(
            f"{type(part).__qualname__} must be a dataclass, so that its arguments can be kept in checkpoints"
        )
    return {"class_path": class_path(type(part)), "init_args": asdict(part)}


def class_path(kind: type) -> str:
    """Where a class is imported from."""
    return f"{kind.__module__}.{kind.__qualname__}"


def build(description: dict[str, Any], kind: Any) -> Any:
    """Make the part that a description names.

    Args:
        description: of `described`.
        kind: class or protocol that it must be of.

    Raises:
        ValueError: there is no such class, it is not of ``kind``, or the arguments do not fit it.
    """
    if is_dataclass(kind):  # jsonargparse takes a dataclass for itself alone, unless it is told
        set_parsing_settings(subclasses_enabled=[kind])
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--part", type=kind)
    try:
        return parser.instantiate_classes(parser.parse_object({"part": description})).part
    except Exception as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{description.get('class_path')} cannot be made: {said[:300]}") from error


def class_named(path: str, kind: type) -> type:
    """The class that a path names.

    Raises:
        ValueError: there is none, or it is no subclass of ``kind``.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} must be a class that can be imported, but: {error}") from error
    if not isinstance(found, type) or not issubclass(found, kind):
        raise ValueError(f"{path} must be a {kind.__name__}, got {found!r}")
    return found
