"""`lucidgen new`: a short spec file that builds at once, to start from.

Owns the text of new spec files and which names they can have.
"""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path

import sympy

import lucidgen.spec

from ..errors import WrongUsage
from ..package.catalog import Entry
from ..package.render import formatted
from ..spec.names import OPTIMIZER_CLASSES, SCHEDULER_CLASSES, is_class_name
from ..spec.quantities import At, w
from ..targets.common.plain import SpecPrinter, text_of

FRESH = '''\
"""{name}: say in one sentence what it is."""

from lucidgen.spec import Eq, OptimizerSpec, grad, hyper, series, t, w

# The arguments of the class, with their defaults and legal ranges.
lr = hyper("lr", 1e-2, at_least=0, doc="Learning rate.")
beta = hyper("beta", 0.9, at_least=0, below=1, doc="Decay rate of the gradient's average.")

# A quantity that changes from step to step: m[t] is its value after step t, m[t - 1] before it.
# What is read at t - 1 is kept with each parameter, starts at 0, and is saved.
m = series("m")

{name} = OptimizerSpec(
    "{name}",
    summary="Follows a moving average of the gradient.",
    paper="",  # the source, with the number of the algorithm or equation
    arguments=(lr, beta),
    # In any order. grad[t] is the gradient, w[t] the parameter after the step.
    equations=(
        Eq(m[t], beta * m[t - 1] + (1 - beta) * grad[t]),
        Eq(w[t], w[t - 1] - lr * m[t]),
    ),
)
'''

DERIVED = '''\
"""{name}: {base} with a change; say in one sentence which."""

from lucidgen.spec import {language}
from {module} import {imports}

{name} = {base}.variant(
    "{name}",
    summary="{base} with a change.",
    paper="",  # the source, with the number of the algorithm or equation
    # Say only what changes: an equation replaces the one with the same left side. There are also
    # `add`, `drop` and `defaults`. A new argument is a hyper(...) of its own, listed in
    # arguments=(*{base}.arguments, ...). `lucidgen show {base}` prints every equation.
    replace=(
        # This is still the one of {base}: change it.
        Eq({left}, {right}),
    ),
)
'''


def file_name(name: str) -> str:
    """The spec file's name for a class.

    >>> file_name("AdaBelief"), file_name("MyAdamW"), file_name("NAdam"), file_name("SGDHot")
    ('ada_belief.py', 'my_adamw.py', 'nadam.py', 'sgd_hot.py')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z][A-Za-z])|(?<=[A-Z]{3})(?=[A-Z][a-z])", "_", name)
    return f"{words.lower()}.py"


def check_name(name: str) -> None:
    """Raise WrongUsage unless the name can be a class's."""
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name) or keyword.iskeyword(name):
        raise WrongUsage(f"{name!r} cannot be the name of a class; write it as in MyAdam")
    if name == "Optimizer":
        raise WrongUsage("Optimizer is the name of the base class; choose another")
    if not is_class_name(name, OPTIMIZER_CLASSES):
        raise WrongUsage(f"{name} is the name of something in every package; choose another")
    stem = Path(file_name(name)).stem
    if keyword.iskeyword(stem) or not is_class_name(stem, OPTIMIZER_CLASSES | SCHEDULER_CLASSES):
        raise WrongUsage(f"{name!r} would give the file {file_name(name)}; choose another name")


def new_spec(name: str, base: Entry | None) -> str:
    """The text of a new spec file: a small optimizer, or a variant of another."""
    if base is None:
        return FRESH.format(name=name)
    spec = base.main
    equation = spec.by_moment("t")[w]
    right = text_of(equation.right, spec, SpecPrinter)
    own = _variables(
        base, {at.series for at in equation.right.atoms(At)} | _symbols(equation.right)
    )
    words = set(re.findall(r"\w+", f"{right} Eq t w"))
    text = DERIVED.format(
        name=name,
        base=spec.name,
        language=", ".join(sorted(words & set(lucidgen.spec.__all__), key=str.lower)),
        module=f"lucidgen.specs.{base.file.name}",
        imports=", ".join([spec.name, *own]),
        left=str(equation.left),
        right=right,
    )
    return formatted({"spec.py": text})["spec.py"]


def _symbols(expr: sympy.Expr) -> set[object]:
    return {symbol for symbol in expr.free_symbols if not isinstance(symbol, At)}


def _variables(base: Entry, wanted: set[object]) -> list[str]:
    """The names under which a spec's module holds quantities."""
    module = sys.modules[f"lucidgen.specs.{base.file.name}"]
    return sorted(
        variable
        for variable, value in vars(module).items()
        if variable not in lucidgen.spec.__all__
        and type(value).__hash__ is not None
        and any(type(value) is type(other) and value == other for other in wanted)
    )
