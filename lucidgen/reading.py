"""Reading and compiling many spec files: everything that is wrong with any of them, at once.

Owns what happens to the interpreter while authors' files run in it, and names that must be unique
across files.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from .compiled import CompiledModule, compile_file
from .spec.errors import Location, Problem, SpecError
from .spec.loader import SpecFile, load


@contextmanager
def fresh_imports(folder: Path) -> Iterator[list[Path]]:
    """A place to run spec files in; gives the files in their folder that were imported.

    They are read from their source and forgotten afterwards, so that a change is never missed; what
    they print goes to stderr, since stdout is the command's.
    """
    found: list[Path] = []
    folder = folder.resolve()
    before = set(sys.modules)
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    importlib.invalidate_caches()
    try:
        with redirect_stdout(sys.stderr):
            yield found
    finally:
        sys.dont_write_bytecode = bytecode
        for name in sorted(set(sys.modules) - before):
            file = getattr(sys.modules[name], "__file__", None)
            if file and folder in Path(file).parents and not name.startswith("lucidgen.specs."):
                found.append(Path(file))
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
    files: Sequence[SpecFile], others: Mapping[str, Sequence[str]]
) -> list[CompiledModule]:
    """The files compiled, with names that are unique over them and over other modules."""
    problems = list(_clashes(files, others))
    modules = []
    for file in files if not problems else ():
        try:
            module = compile_file(file)
            module.complete()
            modules.append(module)
        except SpecError as error:
            problems.extend(error.problems)
        except Exception as error:
            location = file.specs[0].location
            text = f"{file.path.name} cannot be compiled: {type(error).__name__}: {error}"
            remedy = "If this does not say what to change, it is a bug in lucidgen."
            problems.append(Problem(location, text, remedy))
    if problems:
        raise SpecError(problems)
    return modules


def _clashes(files: Sequence[SpecFile], others: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Class names that cannot stand in one package, and names that cannot be Python's."""
    owners = {name: f"{module}.py" for module, names in others.items() for name in names}
    for file in files:
        lower: dict[str, str] = {}
        for spec in file.specs:
            remedy = "Give one of the two another name."
            if not spec.name.isidentifier() or spec.name.startswith("_"):
                yield Problem(spec.location, f"{spec.name!r} cannot be the name of a class",
                              "Write a name as in OptimizerSpec('MyAdam', ...).")  # fmt: skip
            if spec.name == "Optimizer":
                yield Problem(spec.location, "Optimizer is the name of the base class",
                              "Choose another name.")  # fmt: skip
            if spec.name in owners:
                yield Problem(spec.location,
                              f"the class {spec.name} is defined in {owners[spec.name]} too",
                              remedy)  # fmt: skip
            elif spec.name.lower() in lower:
                other = lower[spec.name.lower()]
                yield Problem(spec.location,
                              f"{spec.name} and {other} differ in case only", remedy)  # fmt: skip
            owners[spec.name] = lower[spec.name.lower()] = file.path.name
            lower[spec.name.lower()] = spec.name
            for reading, dialect in spec.readings.items():
                if not reading.isidentifier():
                    yield Problem(dialect.location, f"{reading!r} cannot be a dialect's name",
                                  "Choose a Python identifier, such as 'paper'.")  # fmt: skip
