"""Settings of classes, read from the text of their modules: names, types, defaults and help, and nothing is imported.

The classes that the training verbs fill import torch, Lightning and diffusers; their text says the same at once. Read
are arguments of ``__init__`` with their docstring, and fields of dataclasses with the docstring under each.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

PACKAGES: Final = ("lit_outpaint", "lightning")
"""Names that come from elsewhere, such as ``timedelta``, are left as they are written."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting, or a group of them."""

    name: str
    type: str
    """As it would be written in an annotation."""
    default: str | None = None
    """In the words of a configuration; None where a value must be given."""
    help: str = ""
    takes_class: bool = False
    """Its value may be an object, which a configuration names by ``class_path``."""
    inner: tuple[Setting, ...] = ()
    """Settings of the dataclass that it holds."""


def settings_of(module: str, name: str, method: str = "__init__") -> tuple[Setting, ...]:
    """Settings of a class, or of one of its methods.

    Raises:
        LookupError: the module has no such class.
    """
    home, found = _class(module, name)
    if method == "__init__" and _is_dataclass(found):
        return tuple(_fields(home, found))
    function = _method(found, method)
    if function is None:
        return settings_of(home, ast.unparse(found.bases[0]), method)
    told = _told(ast.get_docstring(function) or "") or _told(ast.get_docstring(found) or "")
    arguments = function.args
    plain = [argument for argument in (*arguments.posonlyargs, *arguments.args) if argument.arg != "self"]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults)) + [*arguments.defaults]
    pairs = [*zip(plain, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return tuple(
        _setting(home, argument.arg, argument.annotation, default, told.get(argument.arg, ""))
        for argument, default in pairs
    )


def summary_of(module: str, name: str, method: str | None = None) -> str:
    """First paragraph of the docstring of a class or of one of its methods, in one line."""
    _, found = _class(module, name)
    told = ast.get_docstring((_method(found, method) if method else None) or found) or ""
    return " ".join(told.split("\n\n")[0].split())


def _setting(home: str, name: str, annotation: ast.expr | None, default: ast.expr | None, told: str) -> Setting:
    """An argument or field; opened where it holds a dataclass of its own."""
    inner: tuple[Setting, ...] = ()
    made_of = "" if default is None else ast.unparse(default)
    if isinstance(annotation, ast.Name) and made_of in (
        f"{annotation.id}()",
        f"field(default_factory={annotation.id})",
    ):
        place, found = _class(home, annotation.id)
        inner = settings_of(place, found.name)
    seen: list[str] = []
    kind = "Any" if annotation is None else ast.unparse(_Opened(home, seen).visit(_copy(annotation)))
    return Setting(
        name=name,
        type=kind.replace("None", "null"),
        default=None if default is None else _shown(home, default),
        help=told,
        takes_class=bool(seen) and not inner,
        inner=inner,
    )


def _fields(home: str, found: ast.ClassDef) -> Iterator[Setting]:
    for node, following in zip(found.body, [*found.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            told = ""
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                told = inspect.cleandoc(str(following.value.value))
            yield _setting(home, node.target.id, node.annotation, node.value, " ".join(told.split()))


def _told(docstring: str) -> Mapping[str, str]:
    """Help of each argument, from the section ``Args`` of a docstring in Google's style."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", docstring, re.MULTILINE | re.DOTALL)
    entries = re.split(r"^    (\w+): ?", section[1], flags=re.MULTILINE)[1:] if section else []
    return {name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)}


def _shown(home: str, default: ast.expr) -> str:
    """A default in the words of a configuration; a name stands for what its module gives it."""
    if isinstance(default, ast.Name):
        found = _find(home, default.id)
        if found and isinstance(found[1], ast.expr):
            return _shown(found[0], found[1])
    if isinstance(default, ast.Call) and ast.unparse(default.func) == "get_args":
        _, choices = _find(home, ast.unparse(default.args[0])) or (home, default)
        default = choices.slice if isinstance(choices, ast.Subscript) else default
    if isinstance(default, ast.Constant):
        return {"None": "null", "True": "true", "False": "false"}.get(str(default.value), str(default.value))
    return ast.unparse(default)


class _Opened(ast.NodeTransformer):
    """Puts the text of aliases in their place, and notes classes."""

    def __init__(self, home: str, classes: list[str]) -> None:
        self.home, self.classes = home, classes

    def visit_Name(self, node: ast.Name) -> ast.expr:
        found = _find(self.home, node.id)
        if found and isinstance(found[1], ast.ClassDef):
            self.classes.append(node.id)
        elif found and isinstance(found[1], ast.expr):
            return _Opened(found[0], self.classes).visit(_copy(found[1]))  # type: ignore[no-any-return]
        return node


def _class(module: str, name: str) -> tuple[str, ast.ClassDef]:
    found = _find(module, name)
    if found is None or not isinstance(found[1], ast.ClassDef):
        raise LookupError(f"{module} has no class {name}")
    return found[0], found[1]


def _method(found: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((node for node in found.body if isinstance(node, ast.FunctionDef) and node.name == name), None)


def _is_dataclass(found: ast.ClassDef) -> bool:
    return any(ast.unparse(mark).startswith("dataclass") for mark in found.decorator_list)


@cache
def _find(module: str, name: str) -> tuple[str, ast.ClassDef | ast.expr] | None:
    """The module that defines a name of ``module``, and what stands there; None where it comes from elsewhere."""
    path = _path(module)
    for node in _tree(path).body if path else ():
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return module, node.value
        if isinstance(node, ast.AnnAssign) and node.value and ast.unparse(node.target) == name:
            return module, node.value
        if isinstance(node, ast.ImportFrom):
            original = next((alias.name for alias in node.names if name == (alias.asname or alias.name)), None)
            if original is not None:
                return _find(node.module or module, original)
    return None


@cache
def _path(module: str) -> Path | None:
    """The file of a module of `PACKAGES`, found without an import of the package."""
    package, *parts = module.split(".")
    spec = importlib.util.find_spec(package) if package in PACKAGES else None
    if spec is None or not spec.submodule_search_locations:
        return None
    place = Path(spec.submodule_search_locations[0]).joinpath(*parts)
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _copy(expression: ast.expr) -> ast.expr:
    """An expression that may be changed; the tree is kept for others."""
    return ast.parse(ast.unparse(expression), mode="eval").body
