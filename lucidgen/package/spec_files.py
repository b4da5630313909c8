"""Reading and compiling a spec file: what becomes of it, or everything that is wrong with it.

Owns what happens to the interpreter while authors' files run in it. In which process that is, and
what if it ends there, is `workers`' business.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from ..paths import spec_folders
from ..spec.errors import Location, Problem, SpecError
from ..spec.loader import SpecFile, load
from ..spec.names import OPTIMIZER_CLASSES, SCHEDULER_CLASSES, is_class_name, spelled
from . import render
from .module import CompiledModule, compile_file
from .tasks import Answer, Finding, Rendered, Task


@contextmanager
def fresh_imports(folder: Path) -> Iterator[None]:
    """A place to run the spec files of a folder in.

    They import from each other by name, whichever family they are of. They and what they import
    beside them are read from their source and forgotten afterwards, so that a change is never
    missed; what they print goes to stderr, since stdout is the command's.
    """
    folder = folder.resolve()
    before = set(sys.modules)
    path_before = list(sys.path)
    sys.path[:0] = map(str, spec_folders(folder))
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    importlib.invalidate_caches()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.dont_write_bytecode = bytecode
        sys.path[:] = path_before
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


def answer(task: Task) -> Answer:
    """Read the spec file of a task in this process, and compile it if that is asked for."""
    with fresh_imports(task.folder or task.path.parent):
        loaded, error = load_what_loads([task.path])
        if error is not None:
            return _refusal(error.problems)
        file = loaded[0]
        classes = tuple((n, spec.location.line) for spec in file.classes for n in spec.names)
        if not task.runtime:
            return Answer(classes=classes)
        try:
            return Answer(classes=classes, module=_rendered(file, task))
        except SpecError as wrong:
            return _refusal(wrong.problems)
        except Exception as failure:
            text = f"{file.path.name} cannot be compiled: {type(failure).__name__}: {failure}"
            remedy = "If this does not say what to change, it is a bug in lucidgen."
            return _refusal([Problem(file.classes[0].location, text, remedy)])


def _refusal(problems: Sequence[Problem]) -> Answer:
    return Answer(
        tuple(
            Finding(p.location.file, p.location.line, p.what, p.remedy, p.equation)
            for p in problems
        )
    )


def _rendered(file: SpecFile, task: Task) -> Rendered:
    module = compile_file(file, task.targets)
    module.complete()
    problems = [*_misnamed(file), *_twins(module)]
    if problems:
        raise SpecError(problems)
    return render.rendered(module, task.runtime)


def _misnamed(file: SpecFile) -> Iterator[Problem]:
    """What is wrong with the name of a spec file as that of a module."""
    location, name = Location(str(file.path), 1), spelled(file.name)
    if name != file.name:
        text = f"Python reads the module's name {file.name!r} as {name!r}"
        yield Problem(location, text, f"Rename the file to {name}.py.")
    elif not is_class_name(name, OPTIMIZER_CLASSES | SCHEDULER_CLASSES):
        text = f"the module's name {name!r} is taken"
        yield Problem(location, text, "Rename the file, as in my_adam.py.")


def _twins(module: CompiledModule) -> Iterator[Problem]:
    """Readings of different classes whose functions would have the same name."""
    seen: dict[str, str] = {}
    for rule in module.own:
        if rule.name in seen:
            text = f"{rule.title} and {seen[rule.name]} would share the name {rule.name}_step"
            yield Problem(rule.spec.location, text, "Rename the class or the dialect.")
        seen[rule.name] = rule.title
