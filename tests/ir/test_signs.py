"""Signs: which states no step makes negative; what is not proved is not claimed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lucidgen.ir.lower import lower, lower_rounds
from lucidgen.ir.program import Program, symbol
from lucidgen.ir.signs import Signs
from lucidgen.operations.reals import REALS, real
from lucidgen.spec import (
    Abs,
    Eq,
    Max,
    Min,
    OptimizerSpec,
    SpecError,
    column_mean,
    exp,
    grad,
    hyper,
    largest,
    mean,
    norm,
    over_group,
    row_mean,
    series,
    sqrt,
    t,
    total,
    w,
    when,
)
from lucidgen.spec.check import check
from lucidgen.specs.adafactor import Adafactor
from lucidgen.specs.adam import Adam
from lucidgen.verify import programs
from lucidgen.verify.random_specs import VALUES, random_spec

lr = hyper("lr", 0.1, at_least=0)
beta = hyper("beta", 0.9, at_least=0, below=1)
fading = hyper("fading", -0.8, at_most=0)
free = hyper("free", 0.5)
v, u, s, d = map(series, "vusd")

#: What v is in each step, of itself and of the gradient.
KEPT = {
    "an average": beta * v[t - 1] + (1 - beta) * grad[t] ** 2,
    "a step towards": v[t - 1] + t**fading * (grad[t] ** 2 - v[t - 1]),
    "the same, undone": v[t - 1] - (1 - beta) * (v[t - 1] - grad[t] ** 2),
    "a sum": v[t - 1] + grad[t] ** 2,
    "the larger one": Max(beta * v[t - 1], Abs(grad[t])),
    "the larger one of what may be negative": Max(grad[t] + v[t - 1], lr),
    "the smaller one": Min(v[t - 1], grad[t] ** 2) + lr,
    "a root and a product": sqrt(v[t - 1]) * lr,
    "a case": when(grad[t] > 0, v[t - 1], grad[t] ** 2 + v[t - 1]),
    "a case of the host": when(t > 3, v[t - 1] + norm(grad[t]), v[t - 1]),
    "rows": v[t - 1] * beta + row_mean(grad[t] ** 2),
    "columns": v[t - 1] + column_mean(v[t - 1] + grad[t] ** 2),
    "the largest": v[t - 1] + largest(Abs(grad[t])) + mean(grad[t] ** 2),
    "a power": v[t - 1] ** 3 + grad[t] ** 4,
}
NOT_KEPT = {
    "an average of gradients": beta * v[t - 1] + (1 - beta) * grad[t],
    "a difference": v[t - 1] - grad[t] ** 2,
    "too far": v[t - 1] + 2 * t * (grad[t] ** 2 - v[t - 1]),
    "any number": free * v[t - 1] + grad[t] ** 2,
    "a step as large as lr": v[t - 1] + lr * (grad[t] ** 2 - v[t - 1]),
    "an odd power": v[t - 1] + grad[t] ** 3,
    "the smaller one": Min(v[t - 1], grad[t]),
    "one case of two": when(grad[t] > 0, v[t - 1], grad[t]),
    "the largest": v[t - 1] + largest(grad[t]),
    "what is kept beside": v[t - 1] + w[t - 1],
}


def of(right: object, *more: Eq) -> Program:
    moved = Eq(w[t], w[t - 1] - lr * v[t] * grad[t])
    equations = (*more, Eq(v[t], right), moved)
    read = set().union(*(equation.right.free_symbols for equation in equations))
    arguments = tuple(a for a in (lr, beta, fading, free) if a in read)
    return lower(OptimizerSpec("Signed", arguments, equations))


@pytest.mark.parametrize("what", KEPT)
def test_a_state_that_no_step_makes_negative_is_known(what: str) -> None:
    assert Signs(of(KEPT[what])).states == {symbol("v[t - 1]")}


@pytest.mark.parametrize("what", NOT_KEPT)
def test_a_state_that_a_step_may_make_negative_is_not(what: str) -> None:
    assert not Signs(of(NOT_KEPT[what])).states


@pytest.mark.parametrize("start", [w[0], -lr, free, lr])
def test_of_a_state_that_begins_as_anything_but_zeros_nothing_is_known(start: object) -> None:
    assert not Signs(of(KEPT["an average"], Eq(v[0], start))).states


def test_states_are_known_together_or_not_at_all() -> None:
    both = of(beta * v[t - 1] + u[t - 1], Eq(u[t], u[t - 1] * beta + v[t - 1]))
    assert len(Signs(both).states) == 2
    # What makes one of them negative makes the other so.
    other = of(beta * v[t - 1] + u[t - 1], Eq(u[t], u[t - 1] * beta + v[t - 1] - grad[t]))
    assert not Signs(other).states


def test_what_is_made_of_states_has_a_sign() -> None:
    signs = Signs(of(KEPT["an average"], Eq(s[t], exp(lr) * v[t])))
    assert signs.is_nonnegative(symbol("v"))
    assert signs.is_nonnegative(symbol("lr") / (symbol("v") + symbol("lr")))
    assert not signs.is_nonnegative(symbol("grad"))
    assert not signs.is_nonnegative(symbol("nobody"))


def test_what_a_part_of_a_step_leaves_alone_may_be_made_negative_by_another() -> None:
    moved = Eq(w[t], w[t - 1] - lr * d[t] * v[t] * grad[t])
    equations = (Eq(v[t], v[t - 1] - grad[t]), Eq(d[t], over_group(total(v[t - 1]))), moved)
    (found,) = lower_rounds(OptimizerSpec("Parts", (lr,), equations))
    assert found.shares is not None
    assert found.shares.input("state")
    assert not Signs(found.shares).states


def test_of_known_optimizers() -> None:
    assert {s.name for s in Signs(lower(Adafactor)).states} == {"r[t - 1]", "c[t - 1]", "v[t - 1]"}
    assert {s.name for s in Signs(lower(Adam)).states} == {"v[t - 1]", "v_max[t - 1]"}


def test_what_is_claimed_of_random_specs_is_true() -> None:
    """From states that are not negative, steps leave those of which it is claimed so."""
    claimed = 0
    for seed in range(15):
        chance = random.Random(seed)
        try:
            spec = random_spec(chance.choice)
            check(spec)
            program = lower(spec)
        except (SpecError, ValueError):  # SymPy knows no Max of a constant and norm(0)
            continue
        states = Signs(program).states
        claimed += len(states)
        rng = np.random.default_rng(seed)
        on = {name: chance.random() < 0.5 for name in program.choices}
        inputs = {"t": real(chance.randint(1, 9))}
        for given in program.inputs:
            name = given.symbol.name
            array = rng.standard_normal((2, 2)) * 3
            array = np.abs(array) if given.symbol in states or given.kind == "shape" else array
            parts = {"element": array, "row": array[:, :1], "column": array[:1]}
            if given.kind == "hyper":
                inputs[name] = real(chance.choice(VALUES[name]))
            elif given.kind != "step":
                inputs[name] = real(parts.get(given.domain.value, array[0, 0]))
        found = programs.run(program, inputs, on)
        for before in states:
            value = found.get(before.name.removesuffix("[t - 1]"))
            for number in [] if value is None else np.ravel(np.asarray(value, dtype=object)):
                assert not REALS.isfinite(number) or number >= 0, (seed, before)
    assert claimed > 2
