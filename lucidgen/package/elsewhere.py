"""What a spec says of other libraries' states, as the data of a generated rule.

Owns the text of `Elsewhere(...)`; what its lines mean is in `spec.elsewhere`, what is done with
them in the runtime.
"""

from __future__ import annotations

from collections.abc import Callable

import sympy

from ..spec.elsewhere import Kept, Meaning, Renamed, Setting, StepCount, meaning
from ..spec.optimizer import OptimizerSpec

#: The text of a function of arguments: of a number or of a condition.
FunctionText = Callable[[sympy.Basic], str]


def elsewhere_text(spec: OptimizerSpec, number: FunctionText, condition: FunctionText) -> str:
    """A mapping from libraries to `Elsewhere(...)`, as code."""
    return _mapping(
        {
            library: _elsewhere(
                spec, {key: meaning(value) for key, value in lines.items()}, number, condition
            )
            for library, lines in spec.saved_elsewhere.items()
        }
    )


def _elsewhere(
    spec: OptimizerSpec,
    lines: dict[str, Meaning],
    number: FunctionText,
    condition: FunctionText,
) -> str:
    saved_as = {series.name: series.saved_as for series in spec.states}
    kept = {key: said for key, said in lines.items() if isinstance(said, Kept)}
    settings = {key: said for key, said in lines.items() if isinstance(said, Setting)}
    tables = {
        "states": {key: repr(saved_as[said.at.series.name]) for key, said in kept.items()},
        "factors": {key: number(1 / s.factor) for key, s in kept.items() if s.factor != 1},
        "arguments": {
            key: repr(tuple(argument.name for argument in said.arguments))
            for key, said in lines.items()
            if isinstance(said, Renamed)
        },
        "settings": {key: repr(said.value) for key, said in settings.items()},
        "conditions": {
            key: condition(said.condition)
            for key, said in settings.items()
            if said.condition is not sympy.true
        },
    }
    counts = [repr(key) for key, said in lines.items() if isinstance(said, StepCount)]
    fields = [f"{name}={_mapping(table)}" for name, table in tables.items() if table]
    fields += [f"step={key}" for key in counts[:1]]
    return f"Elsewhere({', '.join(fields)})"


def _mapping(items: dict[str, str]) -> str:
    return f"{{{', '.join(f'{key!r}: {value}' for key, value in items.items())}}}"
