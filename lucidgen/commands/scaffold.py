"""`lucidgen new`: a short spec file that builds at once, to start from.

Owns the text of new spec files and which names they can have.
"""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from typing import Any

import sympy

import lucidgen.spec

from ..errors import WrongUsage
from ..package.catalog import Entry
from ..package.render import formatted
from ..spec.draws import Draw
from ..spec.names import OPTIMIZER_CLASSES, SCHEDULER_CLASSES, is_class_name
from ..spec.quantities import At, Given, Series, Shape, t, w
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
{imports}
{made}
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

    >>> file_name("AdaBelief"), file_name("MyA2Grad"), file_name("NAdam"), file_name("SGDHot")
    ('ada_belief.py', 'my_a2_grad.py', 'nadam.py', 'sgd_hot.py')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z][A-Za-z0-9])|(?<=[A-Z]{3})(?=[A-Z][a-z])", "_", name)
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
    quantities = {at.series for at in equation.right.atoms(At)} | _symbols(equation.right)
    imports, made = _variables(base, quantities)
    words = set(re.findall(r"\w+", f"{right} Eq t w {'series' if made else ''}"))
    text = DERIVED.format(
        name=name,
        base=spec.name,
        language=", ".join(sorted(words & set(lucidgen.spec.__all__), key=str.lower)),
        imports="\n".join(
            f"from {module} import {', '.join(names)}" for module, names in sorted(imports.items())
        ),
        made="".join(f"\n{s.name} = {_declaration(s)}" for s in made) + "\n" * bool(made),
        left=str(equation.left),
        right=right,
    )
    return formatted({"spec.py": text})["spec.py"]


def _symbols(expr: sympy.Expr) -> set[object]:
    """The arguments in an expression."""
    given = (At, Shape, Given, Draw)
    return {s for s in expr.free_symbols if not isinstance(s, given) and s != t}


def _variables(base: Entry, wanted: set[Any]) -> tuple[dict[str, list[str]], list[Series]]:
    """The variables that hold quantities, by module, the base with them; and series in none.

    A module may have what it uses from another one, and what a transform made is in none.
    """
    first = f"lucidgen.specs.{base.file.name}"
    held = {
        module: {
            (type(value), value): variable
            # Of two variables that hold the same, the one that is called so comes last, and stays.
            for variable, value in sorted(
                vars(sys.modules[module]).items(), key=lambda pair: pair[0] == str(pair[1])
            )
            if isinstance(value, Series | sympy.Symbol)
        }
        for module in (
            first,
            *sorted(name for name in sys.modules if name.startswith("lucidgen.specs.")),
        )
    }
    looked_for = {(type(quantity), quantity) for quantity in wanted}
    declared = {f"lucidgen.specs.{Path(q.location.file).stem}" for q in wanted}
    order = sorted(held, key=lambda module: (module != first, module not in declared))
    imports, made = {first: [base.spec.name]}, []
    for kind in sorted(looked_for, key=lambda pair: str(pair[1])):
        module = next((module for module in order if kind in held[module]), None)
        if module is None:
            made.append(kind[1])
        elif held[module][kind] not in lucidgen.spec.__all__:
            imports.setdefault(module, []).append(held[module][kind])
    return imports, made


def _declaration(series: Series) -> str:
    """How a series is declared."""
    key = f', saved_as="{series.saved_as}"' * (series.saved_as != series.name)
    return f'series("{series.name}"{key}{", keep=True" * series.keep})'
