"""What can be wrong with what a spec says of other libraries' states.

Owns the rule about `saved_elsewhere`; what its lines mean is in `elsewhere`. `check.py` runs it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import sympy
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFunction

from .elsewhere import LIBRARIES, Kept, Meaning, NotUnderstoodError, Renamed, Setting, meaning
from .errors import Problem, nearest
from .optimizer import OptimizerSpec
from .quantities import Flag, Hyper


def saved_elsewhere(spec: OptimizerSpec) -> Iterator[Problem]:
    """Libraries are known; what they keep is a state of this reading, an argument or a value."""
    if not isinstance(spec.saved_elsewhere, Mapping):
        yield Problem(
            spec.location,
            f"saved_elsewhere of {spec.name} is {spec.saved_elsewhere}",
            "Write {'mlx': {'its key': m[t], ...}}.",
        )
        return
    for library, lines in spec.saved_elsewhere.items():
        if library not in LIBRARIES:
            yield Problem(
                spec.location,
                f"saved_elsewhere of {spec.name} names {library!r}, whose states cannot be "
                f"read{nearest(str(library), LIBRARIES)}",
                f"Name one of {', '.join(LIBRARIES)}.",
            )
        elif not isinstance(lines, Mapping):
            yield Problem(
                spec.location,
                f"what {library} saves of {spec.name} is {lines}",
                "Write {'its key': m[t], ...}.",
            )
        else:
            for key, value in lines.items():
                for what, remedy in _wrong_line(spec, key, value):
                    label = f"what {library} saves of {spec.name} as {key!r}"
                    yield Problem(spec.location, f"{label}: {what}", remedy)


def _wrong_line(spec: OptimizerSpec, key: object, value: object) -> Iterator[tuple[str, str]]:
    """What is wrong with a line, and the remedy."""
    if not isinstance(key, str) or not key:
        yield "a key must be a text", "Write {'its key': m[t]}."
        return
    try:
        said = meaning(value)
    except NotUnderstoodError as error:
        yield error.what, error.remedy
        return
    yield from _unfit(spec, said)


def _unfit(spec: OptimizerSpec, said: Meaning) -> Iterator[tuple[str, str]]:
    """What a line says that does not fit the spec."""
    if isinstance(said, Kept):
        yield from _unknown("state", [said.at.series.name], [s.name for s in spec.states])
        read = {symbol for equation in spec.equations for symbol in equation.symbols}
        used = [symbol.name for symbol in spec.hypers if symbol in read]
        symbols = sorted(symbol.name for symbol in said.factor.free_symbols)
        yield from _unknown("hyperparameter in its equations", symbols, used)
    elif isinstance(said, Renamed):
        names = [argument.name for argument in said.arguments]
        yield from _unknown("argument", names, [argument.name for argument in spec.parameters])
    elif isinstance(said, Setting):
        symbols = sorted(symbol.name for symbol in said.condition.free_symbols)
        known = [symbol.name for symbol in (*spec.hypers, *spec.flags)]
        yield from _unknown("argument", symbols, known)
        if not _is_condition(said.condition):
            yield (
                f"{said.condition} is not a condition",
                "Use a flag, a hyperparameter with special=..., or a comparison.",
            )


def _unknown(
    kind: str, names: Collection[str], known: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Names that the spec has not in this role."""
    for name in names:
        if name not in known:
            yield (
                f"{name} is no {kind}{nearest(name, known)}",
                f"It has {', '.join(known) or 'none'}.",
            )


def _is_condition(condition: sympy.Basic) -> bool:
    if isinstance(condition, Hyper):
        return condition.special is not None
    if isinstance(condition, BooleanFunction):
        return all(map(_is_condition, condition.args))
    return isinstance(condition, Flag | Relational) or condition is sympy.true
