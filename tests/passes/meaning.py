"""What the tests of single passes share: the value of a program, and its lets as text."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_

import numpy as np
import sympy

from lucidgen.ir.program import Input, Output, Program, symbol
from lucidgen.ir.signs import Signs
from lucidgen.operations.reals import REALS, Value, real
from lucidgen.spec.domains import Domain, domain_of
from lucidgen.verify import programs

#: What there is one value for in a parameter.
SHAPES = {
    Domain.ELEMENT: (2, 3),
    Domain.ROW: (2, 1),
    Domain.COLUMN: (1, 3),
    Domain.MATRIX: (1, 1),
}

#: How many random points a program is compared at, under each choice.
POINTS = 3


def texts(program: Program) -> list[str]:
    """Its lets, each as one line: `m = beta*g  if use_momentum`."""
    return [str(let).split("  #")[0].rstrip() for let in program.lets]


def assert_unchanged(before: Program, after: Program, *, but: Sequence[str] = ()) -> None:
    """Both programs are valid and have the same value, at random points, under every choice.

    A value that does not exist before, such as 0/0, may be anything after.

    Parameters
    ----------
    before, after : Program
        The two.
    but : sequence of str
        Choices that are left off, as after `resolve`.
    """
    before.check()
    after.check()
    rng = np.random.default_rng(7)
    compared = 0
    for on in _assignments(before):
        if any(on[name] for name in but):
            continue
        for _ in range(POINTS):
            inputs = {i.symbol.name: _drawn(i, rng) for i in before.inputs}
            inputs |= {s.name: abs(inputs[s.name]) for s in Signs(before).states}
            expected, found = (programs.run(p, inputs, on) for p in (before, after))
            assert expected.keys() == found.keys()
            for name, value in expected.items():
                for a, b in np.broadcast(value, found[name]):
                    if REALS.isfinite(a):
                        assert abs(a - b) <= 1e-40 * (1 + abs(a)), (name, on)
                        compared += 1
    assert compared


def updating(program: Program, *names: str) -> Program:
    """The program in which these quantities are states, too: each is an output where it is made."""
    states, outputs = [], []
    for name in names:
        lets = [let for let in program.lets if let.target.name == name]
        before = symbol(f"{name}[t - 1]")
        live = reduce(or_, (let.guard for let in lets))
        states.append(Input(before, "state", lets[0].domain))
        outputs.append(Output(before, lets[0].target, lets[0].domain, live))
    inputs = (*program.inputs, *states)
    return replace(program, inputs=inputs, outputs=(*program.outputs, *outputs)).check()


def assert_own_domain(program: Program) -> None:
    """No let computes anything that does not vary over its own domain."""
    for let in program.lets:
        for part in sympy.preorder_traversal(let.value):
            if part.is_Atom or part == let.value:
                continue
            negated = part.is_Mul and part.could_extract_minus_sign() and (-part).is_Symbol
            assert negated or domain_of(part, program.domains) is let.domain, let


def _assignments(program: Program) -> Iterator[dict[str, bool]]:
    """Every answer to the choices that the host does not compute."""
    names = [name for name in program.choices if name not in program.conditions]
    for answers in itertools.product([False, True], repeat=len(names)):
        yield dict(zip(names, answers, strict=True))


def _drawn(given: Input, rng: np.random.Generator) -> Value:
    """A legal value of an input."""
    if given.kind == "step":
        return real(int(rng.integers(1, 9)))
    if given.kind == "shape":
        return real(int(rng.integers(1, 9)))
    if given.kind == "hyper" or given.kind == "scaling":
        bounds = given.bounds
        low = next((b for b in (bounds.above, bounds.at_least) if b is not None), -2.0)
        high = next((b for b in (bounds.below, bounds.at_most) if b is not None), low + 4.0)
        return real(float(rng.uniform(low, high)))
    shape = SHAPES.get(given.domain)
    return real(float(rng.standard_normal()) if shape is None else rng.standard_normal(shape))
