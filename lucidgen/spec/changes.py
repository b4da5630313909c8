"""What a variant or a dialect changes of its base's equations.

Owns replacing, adding, dropping and saving under other keys, and what can be wrong with each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from .declared import refuse_single
from .equation import Eq, refuse_other
from .errors import Location, Problem, nearest
from .names import spelled
from .quantities import Series


def changed_equations(
    base: str,
    equations: Iterable[Eq],
    location: Location,
    *,
    replace: Iterable[Eq] = (),
    add: Iterable[Eq] = (),
    drop: Iterable[Any] = (),
) -> tuple[tuple[Eq, ...], tuple[Problem, ...]]:
    """The equations of the spec named `base` after the changes, and what is wrong with those."""
    for field_name, value in (("replace", replace), ("add", add), ("drop", drop)):
        refuse_single(field_name, value)
    for equation in (*replace, *add):
        refuse_other(equation)
    problems = []
    changed = {equation.key: equation for equation in equations}
    for left in drop:
        key = Eq(left, 0).key
        if changed.pop(key, None) is None:
            known = nearest(key[0], [name for name, _ in changed])
            problems.append(
                Problem(
                    location,
                    f"cannot drop {left}: {base} has no such equation",
                    f"Its equations define {left_sides(changed.values())}{known}.",
                )
            )
    for equation in replace:
        if equation.key not in changed:
            known = nearest(equation.key[0], [name for name, _ in changed])
            problems.append(
                Problem(
                    equation.location,
                    f"cannot replace {equation.left}: {base} has no such equation",
                    f"Put it under `add`, or replace one of {left_sides(changed.values())}{known}.",
                    str(equation),
                )
            )
        changed[equation.key] = equation
    for equation in add:
        if equation.key in changed:
            problems.append(
                Problem(
                    equation.location,
                    f"cannot add {equation.left}: {base} defines it already",
                    "Put the equation under `replace`.",
                    str(equation),
                )
            )
        changed[equation.key] = equation
    return tuple(changed.values()), tuple(problems)


def renamed_states(
    equations: tuple[Eq, ...], keys: Mapping[Series, str], location: Location
) -> tuple[tuple[Eq, ...], tuple[Problem, ...]]:
    """The equations with series that are saved under other keys, and what is wrong with those."""
    known = {e.series for e in equations if e.series}
    problems = tuple(
        Problem(
            location,
            f"cannot save {series} as {key!r}: no equation defines it",
            f"The equations define {left_sides(equations)}; write {{series: 'key'}}.",
        )
        for series, key in keys.items()
        if series not in known
    )
    renamed = {
        series: dataclasses.replace(series, saved_as=spelled(key)) for series, key in keys.items()
    }
    return tuple(equation.renamed(renamed) for equation in equations), problems


def left_sides(equations: Iterable[Eq]) -> str:
    """The left sides of equations, for messages."""
    return ", ".join(str(equation.left) for equation in equations)
