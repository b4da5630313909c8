"""Which targets there are: those of lucidgen, and those that other packages add.

Owns the list. Importing this module is cheap: a target, and SymPy with it, is loaded when it is
asked for.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Failure, WrongUsage, nearest
from ..paths import templates_folder

if TYPE_CHECKING:
    from .common.target import Target

#: The modules of this folder that are targets, in the order in which they are made and shown.
BUILT_IN = ("numpy", "mlx", "metal", "cuda", "cpp")

#: The entry points by which other packages add targets: `name = "package.module:TARGET"`.
GROUP = "lucidgen.targets"


@cache
def names() -> tuple[str, ...]:
    """The names of all targets."""
    return (*BUILT_IN, *_added())


def check(wanted: Iterable[str]) -> None:
    """Refuse what is no target's name; loads none.

    Raises
    ------
    WrongUsage
        If there is no such target.
    """
    for name in sorted(set(wanted) - set(names())):
        raise WrongUsage(
            f"there is no target {name!r}{nearest(name, names())}; there are {', '.join(names())}"
        )


def chosen(wanted: Iterable[str] | None) -> tuple[str, ...]:
    """The names of these targets, in their order; of all if None.

    Raises
    ------
    WrongUsage
        If there is no such target, or none at all, or one lacks another that it needs.
    """
    if wanted is None:
        return names()
    found = {name for text in wanted for name in text.replace(",", " ").split()}
    check(found)
    ordered = tuple(name for name in names() if name in found)
    if not ordered:
        raise WrongUsage(f"no target is named; there are {', '.join(names())}")
    for target in map(load, ordered):
        missing = [name for name in target.needs if name not in found]
        if missing:
            together = ",".join(name for name in names() if name in {*found, *missing})
            raise WrongUsage(
                f"a package with the target {target.name} needs {' and '.join(missing)} as well: "
                f"--target {together}"
            )
    return ordered


def targets(of: Iterable[str] | None = None) -> tuple[Target, ...]:
    """The targets of these names; all of them by default."""
    return tuple(load(name) for name in (names() if of is None else of))


@cache
def load(name: str) -> Target:
    """The target of a name.

    Raises
    ------
    WrongUsage
        If there is none.
    Failure
        If another package adds it and it cannot be loaded, or is no target.
    """
    if name in BUILT_IN:
        found: Target = importlib.import_module(f".{name}", __package__).TARGET
        return found
    check([name])
    return _loaded(_added()[name])


def _loaded(point: EntryPoint) -> Target:
    from .common.target import Target

    try:
        found = point.load()
    except Exception as error:
        raise Failure(
            f"{_whose(point)} cannot be loaded: {type(error).__name__}: {error}; mend that "
            "package, or uninstall it"
        ) from error
    if not isinstance(found, Target) or found.name != point.name:
        what = (
            f"the target {found.name!r}" if isinstance(found, Target) else f"{found!r}, no Target"
        )
        raise Failure(f"{_whose(point)} is {what}; its package must be mended, or uninstalled")
    return found


def added() -> tuple[Target, ...]:
    """The targets of other packages."""
    return targets(_added())


def sources(target: Target) -> list[Path]:
    """The files that a target of another package is made of: a change makes output stale."""
    module = sys.modules[_added()[target.name].module]
    own = [Path(module.__file__)] if module.__file__ else []
    templates = sorted(target.templates.rglob("*.j2")) if target.templates else []
    return [*own, *templates]


def template_folders() -> list[Path]:
    """The folders in which templates are looked for, lucidgen's own first."""
    others = [target.templates for target in added() if target.templates]
    return [templates_folder() / "package", *others]


@cache
def _added() -> dict[str, EntryPoint]:
    """The targets of other packages, by name, in the order of their names."""
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        first = found.setdefault(point.name, point)
        if point.name in BUILT_IN or not point.name.isidentifier():
            raise Failure(f"{_whose(point)} cannot have this name; its package must be mended")
        if first.value != point.value:
            raise Failure(f"{_whose(first)} and {_whose(point)} have one name; uninstall either")
    return found


def _whose(point: EntryPoint) -> str:
    of = f" of {point.dist.name}" if point.dist else ""
    return f"the target {point.name!r}{of} ({point.value})"
