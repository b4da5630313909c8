"""Reading and compiling many spec files: everything that is wrong with any of them, at once.

Owns what happens to the interpreter while authors' files run in it, and names that must be unique
across files.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from ..spec.errors import Location, Problem, SpecError
from ..spec.loader import SpecFile, load
from .module import CompiledModule, compile_file


@contextmanager
def fresh_imports(folder: Path) -> Iterator[None]:
    """A place to run spec files in.

    They and what they import beside them are read from their source and forgotten afterwards, so
    that a change is never missed; what they print goes to stderr, since stdout is the command's.
    """
    folder = folder.resolve()
    before = set(sys.modules)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    importlib.invalidate_caches()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.dont_write_bytecode = bytecode
        for name in sorted(set(sys.modules) - before):
            file = getattr(sys.modules[name], "__file__", None)
            if file and folder in Path(file).parents and not name.startswith("lucidgen.specs."):
                del sys.modules[name]


def load_what_loads(paths: Sequence[Path]) -> tuple[list[SpecFile], SpecError | None]:
    """The spec files that can be read, and everything that is wrong with the others."""
    loaded: list[SpecFile] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            loaded.append(load(path))
        except SpecError as error:
            problems.extend(error.problems)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            problems.append(Problem(Location(str(path), 1), text, "Correct the file."))
    return loaded, SpecError(problems) if problems else None


def load_all(paths: Sequence[Path]) -> list[SpecFile]:
    """The spec files, or SpecError with everything that is wrong with any of them."""
    loaded, error = load_what_loads(paths)
    if error is not None:
        raise error
    return loaded


def compile_all(
    files: Sequence[SpecFile],
    others: Mapping[str, Sequence[str]],
    targets: Iterable[str] | None = None,
) -> list[CompiledModule]:
    """The files compiled, with names that are unique over them and over other modules."""
    problems = list(_clashes(files, others))
    modules = []
    for file in files if not problems else ():
        try:
            module = compile_file(file, targets)
            module.complete()
            modules.append(module)
            problems.extend(_twins(module))
        except SpecError as error:
            problems.extend(error.problems)
        except Exception as error:
            location = file.classes[0].location
            text = f"{file.path.name} cannot be compiled: {type(error).__name__}: {error}"
            remedy = "If this does not say what to change, it is a bug in lucidgen."
            problems.append(Problem(location, text, remedy))
    if problems:
        raise SpecError(problems)
    return modules


def _clashes(files: Sequence[SpecFile], others: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Classes that cannot stand in one package."""
    owners = {name: f"{module}.py" for module, names in others.items() for name in names}
    modules = {*others, *(file.name for file in files)}
    for file in files:
        for spec in file.classes:
            if spec.name in modules:
                text = f"the class {spec.name} and the module {spec.name}.py hide each other"
                yield Problem(spec.location, text, "Rename the file, as in my_adam.py.")
            if spec.name in owners:
                text = f"the class {spec.name} is defined in {owners[spec.name]} too"
                yield Problem(spec.location, text, "Give one of the two another name.")
            owners[spec.name] = file.path.name


def _twins(module: CompiledModule) -> Iterator[Problem]:
    """Readings of different classes whose functions would have the same name."""
    seen: dict[str, str] = {}
    for rule in module.own:
        if rule.name in seen:
            text = f"{rule.title} and {seen[rule.name]} would share the name {rule.name}_step"
            yield Problem(rule.spec.location, text, "Rename the class or the dialect.")
        seen[rule.name] = rule.title
