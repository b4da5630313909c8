"""The value of a program of the intermediate form, to 50 digits.

Owns what guards mean when a program runs: it is the reference semantics of the intermediate form,
against which every pass can be held.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from ..ir.program import Program, series_of
from ..operations.reals import Value
from .exact import evaluate


def run(program: Program, inputs: Mapping[str, Value], on: Mapping[str, bool]) -> dict[str, Value]:
    """What a program leaves behind: the new value of each live output, by the name of its series.

    Parameters
    ----------
    program : Program
        Before or after any pass.
    inputs : mapping
        The values of its inputs by name (`lr`, `w[t - 1]`), at 50 digits.
    on : mapping
        The static choices. What the host decides itself need not be given.

    >>> from lucidgen.passes.examples import decayed
    >>> from lucidgen.operations.reals import real
    >>> inputs = {"w[t - 1]": 2.0, "grad": 1.0, "lr": 0.5, "weight_decay": 0.5}
    >>> inputs = {name: real(value) for name, value in inputs.items()}
    >>> print(run(decayed, inputs, {"use_weight_decay": True})["w"])
    1.0
    """
    known: dict[sympy.Symbol, Value] = {
        i.symbol: inputs[i.symbol.name] for i in program.inputs if i.symbol.name in inputs
    }
    choices = {name: on.get(name, False) for name in program.choices}
    for let in program.lets:
        if let.guard.holds(choices):
            known[let.target] = evaluate(let.value, known.__getitem__)
            if let.target.name in choices:
                choices[let.target.name] = bool(known[let.target])
    return {
        series_of(output.before): known[output.after]
        for output in program.outputs
        if output.live.holds(choices)
    }
