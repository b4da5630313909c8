"""Emitted code as something to run: packages built in a folder, and all that can be asked of them.

Owns the enumeration of a spec's static choices and the constructor's arguments for each.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, count, product
from pathlib import Path
from types import ModuleType
from typing import Any

import sympy
from sympy.core.relational import Relational

from ..ir.choices import is_of_shape
from ..operations import reduces_matrices
from ..package import render
from ..package.documentation import unsupported
from ..package.module import compile_file
from ..spec.loader import SpecFile
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import Flag, Hyper, Shape
from ..targets.common.cases import compared_with_special
from .setting import Setting

#: A value away from every special one where it is legal, else how far from it; and no dyadic
#: fraction.
AWAY = 0.1

#: Shapes of parameters for specs that ask for them: each case of theirs holds for one, as far as
#: few elements go.
SHAPES = ((2, 4), (8,), (4, 2), (2, 1, 2, 2), (), (3, 3, 1), (1, 1))

#: A bound on gradients that clips some of those of a normal distribution.
BOUND = 0.7

_numbers = count(1)


def settings(spec: OptimizerSpec, main: OptimizerSpec | None = None) -> Iterator[Setting]:
    """The legal combinations of flags, special values and maximize of one reading of a class.

    Of combinations that compute the same, as where a flag concerns what another one has switched
    off, the first. Gradients that are changed anyway are clipped too in every second combination.
    Where equations ask for the shape of a parameter, each is there for each case of shapes, whose
    shapes take turns; the first is there for all of them.
    """
    fixed = set(unsupported(main or spec, spec)) | {a.name for a in spec.ignores}
    hypers = [h for h in spec.hypers if h.special is not None and h.name not in fixed]
    flags = [f for f in spec.flags if f.name not in fixed]
    seen = set()
    for number, on in enumerate(product((False, True), repeat=len(hypers) + len(flags) + 1)):
        values = {
            h.name: away(h) if yes else float(h.special) for h, yes in zip(hypers, on, strict=False)
        }
        chosen = dict(zip((f.name for f in flags), on[len(hypers) : -1], strict=True))
        bound = BOUND if on[-1] and sum(on) % 2 else math.inf
        made = Setting(spec, values, chosen, on[-1], bound)
        for shapes in _cases_of_shapes(made):
            setting = replace(made, shape=shapes[0])
            meaning = (setting.maximize, shapes, tuple(setting.live_equations().items()))
            if is_legal(setting) and meaning not in seen:
                seen.add(meaning)
                some = shapes if number == 0 else (shapes[number % len(shapes)],)
                yield from (replace(made, shape=shape) for shape in some)


def away(hyper: Hyper) -> float:
    """A legal value of a hyperparameter away from its special one."""
    near = (AWAY, hyper.special + AWAY, hyper.special - AWAY)
    return next(value for value in near if hyper.bounds.admits(value) and value != hyper.special)


def _cases_of_shapes(setting: Setting) -> Iterator[tuple[tuple[int, ...] | None, ...]]:
    """The shapes for which all comparisons of them have the same answers, for each such case."""
    asked = [e.right for e in setting.spec.equations if e.right.has(Shape)]
    if not asked:
        yield (None,)
        return
    comparisons = sorted(set().union(*(right.atoms(Relational) for right in asked)), key=str)
    cases: dict[tuple[bool, ...], list[tuple[int, ...]]] = {}
    for shape in SHAPES:
        one = replace(setting, shape=shape)
        if len(one.axes) > 1 or not any(map(reduces_matrices, one.live_equations().values())):
            answers = tuple(one.holds(asks) for asks in comparisons if is_of_shape(asks))
            cases.setdefault(answers, []).append(shape)
    yield from map(tuple, cases.values())


def pairwise(every: Sequence[Setting]) -> list[Setting]:
    """A sample of settings in which any two choices meet in each way in which they do in all.

    Most mistakes are of one choice or of two together, and the number of these grows slowly.
    """
    meetings = [set(combinations(_choices(setting), 2)) for setting in every]
    left, taken = set[Any]().union(*meetings), list[int]()
    while left:
        best = max(range(len(every)), key=lambda i: len(meetings[i] & left))
        taken.append(best)
        left -= meetings[best]
    return [every[i] for i in sorted(taken)]


def _choices(setting: Setting) -> list[tuple[str, Any]]:
    spec = setting.spec
    found: list[tuple[str, Any]] = []
    found += [(h.name, setting.is_away(h)) for h in spec.hypers if h.special is not None]
    found += [(flag.name, setting.flag(flag)) for flag in spec.flags]
    found += [("shape", setting.shape)]
    return [*found, ("maximize", setting.maximize), ("bound", setting.grad_bound < math.inf)]


def is_legal(setting: Setting) -> bool:
    """Whether the constraints across arguments hold."""
    spec = setting.spec
    values: dict[sympy.Basic, Any] = {h: sympy.sympify(setting.hyper(h)) for h in spec.hypers}
    values |= {f: sympy.sympify(setting.flag(f)) for f in spec.flags}
    conditions = [compared_with_special(r.condition) for r in spec.requirements]
    return all(condition.xreplace(values) is sympy.true for condition in conditions)


def arguments(setting: Setting, main: OptimizerSpec | None = None) -> dict[str, Any]:
    """The constructor's arguments for a setting."""
    spec = setting.spec
    fixed = set(unsupported(main or spec, spec))
    found: dict[str, Any] = {"maximize": setting.maximize}
    if setting.grad_bound < math.inf:
        found["max_grad_value"] = setting.grad_bound
    for argument in spec.parameters:
        if argument.name in fixed:
            continue
        if isinstance(argument, Flag):
            found[argument.name] = setting.flag(argument)
        elif isinstance(argument, Hyper):
            found[argument.name] = setting.hyper(argument)
        else:
            found[argument.name] = tuple(setting.hyper(s) for s in argument.symbols)
    return found


def build(specs: Sequence[OptimizerSpec], folder: Path) -> ModuleType:
    """The package of some specs, as the compiler emits it, written to a folder and imported.

    The folder must hold nothing of that name; each package gets a name of its own.
    """
    name = f"emitted_{next(_numbers)}"
    source = folder / f"{name}.py"
    source.write_text("")
    package = folder / name
    module = compile_file(SpecFile(source, "Optimizers.", tuple(specs)))
    for path, text in render.package([render.rendered(module)]).files.items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text, encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
