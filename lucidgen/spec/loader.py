"""Spec files: what they define, or what is wrong with them.

Owns running a spec file and turning whatever goes wrong in it into `SpecError`. A spec that is
imported from another file (`from lucidgen.specs.adam import Adam`) belongs to that file.
"""

from __future__ import annotations

import importlib
import linecache
import math
import re
import sys
import traceback
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

from ..operations import EVERYWHERE, Where, names
from . import check, check_schedule
from .errors import Location, Problem, SpecError
from .extent import NAME_THEM
from .optimizer import OptimizerSpec
from .quantities import NO_TRUTH
from .schedule import Schedule


@dataclass(frozen=True)
class SpecFile:
    """A spec file that was read: its docstring and what it defines, in order.

    `specs` are optimizers; a file may hold these, schedules, or both.
    """

    path: Path
    doc: str
    specs: tuple[OptimizerSpec, ...]
    schedules: tuple[Schedule, ...] = ()

    @property
    def name(self) -> str:
        """The name of the module that is generated from it."""
        return self.path.stem

    @property
    def classes(self) -> tuple[OptimizerSpec | Schedule, ...]:
        """Everything that becomes a class."""
        return (*self.specs, *self.schedules)


def load(path: Path) -> SpecFile:
    """Run a spec file and check all its optimizers and schedules.

    Raises
    ------
    SpecError
        With every problem of the file: of its equations and, if Python itself stumbled, where.
    """
    path = path.resolve()
    module, problems = _run(path)
    own = dict.fromkeys(v for v in vars(module).values() if _is_defined_in(path, v))
    for spec in own:
        try:
            if isinstance(spec, Schedule):
                check_schedule.check(spec)
            else:
                check.check(spec)
        except SpecError as error:
            problems.extend(error.problems)
    problems += _clashes(list(own))
    if not own and not problems:
        problems.append(
            Problem(
                Location(str(path), 1),
                "the file defines no optimizer and no schedule",
                "Assign an OptimizerSpec(...), a variant or a Schedule(...) to a name at the top "
                "level. What only helps other files lies in a folder with an __init__.py.",
            )
        )
    if problems:
        raise SpecError(problems)
    specs = tuple(spec for spec in own if isinstance(spec, OptimizerSpec))
    schedules = tuple(spec for spec in own if isinstance(spec, Schedule))
    return SpecFile(path, (module.__doc__ or "").strip(), specs, schedules)


def _is_defined_in(path: Path, value: object) -> TypeGuard[OptimizerSpec | Schedule]:
    """Whether a value is a spec that this file defines: not a dialect, and not imported."""
    if not isinstance(value, OptimizerSpec | Schedule):
        return False
    is_dialect = isinstance(value, OptimizerSpec) and value.is_dialect
    return not is_dialect and Path(value.location.file).resolve() == path


def _clashes(specs: list[OptimizerSpec | Schedule]) -> list[Problem]:
    """Classes whose generated functions would have the same name."""
    seen: dict[str, OptimizerSpec | Schedule] = {}
    problems = []
    for spec in specs:
        first = seen.setdefault(spec.name.lower(), spec)
        if first is not spec:
            problems.append(
                Problem(
                    spec.location,
                    f"{spec.name} and {first.name} ({first.location}) differ in case at most",
                    "Give one of the two another name.",
                )
            )
    return problems


def _run(path: Path) -> tuple[ModuleType, list[Problem]]:
    """The module that the file makes, as far as it runs, and what stopped it."""
    builtin = importlib.import_module("lucidgen.specs")
    is_builtin = path.parent in (Path(folder).resolve() for folder in builtin.__path__)
    name = f"lucidgen.specs.{path.stem}" if is_builtin else f"lucidgen_spec_{path.stem}"
    if is_builtin and name in sys.modules:
        return sys.modules[name], []
    found = spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        return module, [_python_error(path, error)]
    finally:
        sys.path.remove(str(path.parent))
    return module, []


def _python_error(path: Path, error: BaseException) -> Problem:
    """An exception in a spec file as a problem at the author's own line."""
    if isinstance(error, SyntaxError) and error.filename:
        location = Location(error.filename, error.lineno or 1)
        return Problem(location, f"not valid Python: {error.msg}", "Correct the syntax.")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() == path
    ]
    location = Location(str(path), (frames[-1].lineno if frames else 1) or 1)
    text = str(error).strip() or "no message"
    code = _code_of(frames[-1]) if frames else ""
    known = _taken_for_a_value(text, code) if isinstance(error, TypeError) else None
    if known is not None:
        return Problem(location, *known)
    if isinstance(error, RecursionError):
        what = "an expression, or a function of this file, is nested too deeply for Python"
        return Problem(location, what, f"{NAME_THEM.capitalize()}.", code.strip())
    remedy = "Correct this line; what comes after it in the file was not read."
    return Problem(location, f"{type(error).__name__}: {text}", remedy)


def _code_of(frame: traceback.FrameSummary) -> str:
    """The part of the author's lines that was running."""
    first = frame.lineno or 1
    return " ".join(
        linecache.getline(frame.filename, n) for n in range(first, (frame.end_lineno or first) + 1)
    )


#: What is written in Python for values at hand, and what says it of quantities.
_SAID_OTHERWISE = (
    (r"\b(max|min|maximum|minimum)\(", "Max(a, b) or Min(a, b) for the larger or the smaller"),
    (r"\b(and|or|not)\b", "(a) & (b), (a) | (b) and ~(a) to join conditions"),
    (r"<[^,]*<|>[^,]*>", "(a < b) & (b < c) for a chain of comparisons"),
    (r"\b(if|elif|while|assert)\b", "when(condition, a, b) for a case"),
)


def _taken_for_a_value(message: str, code: str) -> tuple[str, str] | None:
    """What is wrong, and what to write, where Python wants a value and gets a quantity."""
    if message.startswith(NO_TRUTH):
        what = f"{message.removeprefix(NO_TRUTH)} is neither true nor false when the file is read"
        said = [text for pattern, text in _SAID_OTHERWISE if re.search(pattern, code)]
        return what, f"Write {'; '.join(said or [text for _, text in _SAID_OTHERWISE])}."
    if re.match(r"Cannot (convert|round)|loop of ufunc", message):
        what = "a quantity has no number when the file is read"
        called = re.findall(r"\b(?:math|np|numpy)\.(\w+)\(", code)
        scalar = [name for name in called if name in names(EVERYWHERE)]
        scalar = scalar or [name for name in names(Where.HOST) if hasattr(math, name)]
        return what, (
            f"Write {', '.join(scalar)} from lucidgen.spec, for equations; functions of Python, "
            "math and NumPy take numbers."
        )
    if re.match(r"'(Hyper|Given|Flag|Shape|Draw|At|Add|Mul|Pow)' object is not subscr", message):
        return "what is no series has no times", (
            "Write lr, not lr[t], for an argument, the loss, a shape or a random number; what has "
            'a value at each time is a series: m = series("m").'
        )
    return None
