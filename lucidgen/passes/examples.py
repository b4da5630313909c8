"""Small programs for the examples in the docstrings of the passes, and their printing.

Owns nothing that the compiler uses.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from ..ir.guard import Guard
from ..ir.program import Input, Let, Output, Program, symbol
from ..spec.domains import Domain, domain_of
from ..spec.quantities import Bounds

BETA = Bounds(at_least=0, below=1)
HYPERS = {"lr": Bounds(at_least=0), "beta": BETA, "eps": Bounds(at_least=0), "weight_decay": None}

t, lr, beta, eps, weight_decay, w_before, grad, g, m, v, w = (
    symbol(name)
    for name in ("t", "lr", "beta", "eps", "weight_decay", "w[t - 1]", "grad", "g", "m", "v", "w")
)


def program(
    *lets: tuple[sympy.Symbol, sympy.Expr] | tuple[sympy.Symbol, sympy.Expr, str],
    choices: Sequence[str] = (),
    arrays: Sequence[str] = ("m", "v"),
) -> Program:
    """A program from (target, value) or (target, value, guard) tuples; it updates w."""
    always = Guard.always(tuple(choices))
    inputs = [
        Input(t, "step", Domain.HOST),
        *(Input(symbol(n), "hyper", Domain.HOST, b or Bounds()) for n, b in HYPERS.items()),
        *(
            Input(symbol(n), "state", Domain.ELEMENT)
            for n in arrays
            if symbol(n) not in {let[0] for let in lets}
        ),
        Input(w_before, "weight", Domain.ELEMENT),
        Input(grad, "grad", Domain.ELEMENT),
    ]
    domains = {i.symbol: i.domain for i in inputs}
    made = []
    for number, (target, value, *where) in enumerate(lets, start=1):
        guard = always
        if where:
            name = str(where[0])
            guard = Guard.of(name.removeprefix("not "), always.choices)
            guard = ~guard if name.startswith("not ") else guard
        domains[target] = domain_of(value, domains)
        made.append(Let(target, value, domains[target], guard, (number,)))
    outputs = (Output(w_before, w, Domain.ELEMENT, always),)
    start = Program("example", tuple(choices), tuple(inputs), (), (), outputs)
    return start.with_lets(made).check()


def show(shown: Program) -> None:
    """Print the lets only."""
    for let in shown.lets:
        print(str(let).split("  #")[0].rstrip())


decayed = program(
    (g, grad + weight_decay * w_before, "use_weight_decay"),
    (g, grad, "not use_weight_decay"),
    (w, w_before - lr * g),
    choices=("use_weight_decay",),
)
