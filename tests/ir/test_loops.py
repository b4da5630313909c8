"""A program as loops over memory: what is read again, computed again, and stored when."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
import sympy

from lucidgen.ir.loops import Loop, is_of_elements, loops, reductions_apart
from lucidgen.ir.lower import lower
from lucidgen.ir.program import Let, Output, Program, symbol
from lucidgen.operations.reals import REALS, Value, real
from lucidgen.package.catalog import catalog
from lucidgen.passes import optimize
from lucidgen.passes.examples import beta, g, grad, lr, m, program, w, w_before
from lucidgen.passes.name import name
from lucidgen.spec import SpecError, mean, norm
from lucidgen.spec.check import check
from lucidgen.spec.domains import Domain
from lucidgen.verify import programs
from lucidgen.verify.exact import evaluate
from lucidgen.verify.random_specs import random_spec

a, m_before = symbol("a"), symbol("m[t - 1]")


def said(loop: Loop) -> tuple[str, str, str]:
    """What a loop computes, reads and stores."""
    lets = (*loop.lets, *loop.reductions)
    return (
        " ".join(str(let.target) for let in lets),
        " ".join(map(str, loop.reads)),
        " ".join(str(store.after) for store in loop.stores),
    )


def updating_m(*lets: tuple[sympy.Symbol, sympy.Expr]) -> Program:
    """A program that updates the state m, too."""
    made = program(*lets, arrays=("m[t - 1]",))
    output = Output(m_before, m, Domain.ELEMENT, made.always)
    return replace(made, outputs=(*made.outputs, output)).check()


def test_what_is_no_state_is_computed_again() -> None:
    made = program((g, beta * grad), (a, norm(g)), (w, w_before - a * g))
    assert list(map(said, loops(made))) == [
        ("g a", "grad", ""),
        ("g w", "w[t - 1] grad", "w"),
    ]


def test_a_state_is_stored_where_a_reduction_needs_it_and_read_again() -> None:
    made = updating_m((m, beta * m_before + grad), (a, norm(m)), (w, w_before - a * m))
    first, second = map(said, loops(made))
    assert first == ("m a", "m[t - 1] grad", "m")
    assert second == ("w", "w[t - 1] m", "w")


def test_a_state_whose_old_value_is_read_later_is_stored_later() -> None:
    made = updating_m((m, beta * m_before + grad), (a, norm(m)), (w, w_before - a * m_before))
    first, second = map(said, loops(made))
    assert first == ("m a", "m[t - 1] grad", "")
    assert second == ("m w", "m[t - 1] w[t - 1] grad", "w m")


def test_a_state_that_no_reduction_needs_is_stored_by_the_last_loop() -> None:
    made = updating_m((m, beta * m_before + grad), (a, norm(grad)), (w, w_before - a * grad))
    first, second = map(said, loops(made))
    assert first == ("a", "grad", "")
    assert second == ("m w", "m[t - 1] w[t - 1] grad", "w m")


def test_a_reduction_of_what_a_reduction_gave_is_a_loop_later() -> None:
    made = program((w, w_before - norm(grad - mean(grad)) * lr))
    apart = name(reductions_apart(made)).check()
    assert [[str(let.value) for let in loop.reductions] for loop in loops(apart)] == [
        ["mean(grad)"],
        ["norm(grad - mean_grad)"],
        [],
    ]


# Loops leave what the program leaves


def readings() -> Iterator[Program]:
    for entry in catalog(None).entries:
        for spec in entry.main.readings.values():
            yield optimize(lower(spec))


def drawn(count: int) -> Iterator[Program]:
    """Random programs that reduce."""
    found = 0
    for seed in itertools.count():
        try:
            spec = random_spec(random.Random(seed).choice)
            check(spec)
            made = optimize(lower(spec))
        except (SpecError, ValueError):
            continue
        if has_loops(made):
            found += 1
            yield made
        if found == count:
            return


def has_loops(made: Program) -> bool:
    apart = reductions_apart(made)
    return any(is_of_elements(let.value, apart.domains) for let in apart.body)


def run(made: Program, inputs: Mapping[str, Value], on: Mapping[str, bool]) -> dict[str, Value]:
    """What loops leave, each of which knows the memory and what reductions gave, and no more."""
    memory = {i.symbol: inputs[i.symbol.name] for i in made.inputs}
    numbers = {i.symbol for i in made.inputs if i.domain is not Domain.ELEMENT}
    choices = {name: on.get(name, False) for name in made.choices}
    given = {s: memory[s] for s in numbers}

    def perform(let: Let, known: dict[sympy.Symbol, Value]) -> None:
        if let.guard.holds(choices):
            known[let.target] = evaluate(let.value, known.__getitem__)

    for let in made.host:
        perform(let, given)
        if let.target.name in choices and let.target in given:
            choices[let.target.name] = bool(given[let.target])
    arrays = {o.after: o.before for o in made.outputs}
    for loop in loops(made):
        for let in loop.before:
            perform(let, given)
        known = dict(given)
        for read in loop.reads:
            held = memory.get(arrays.get(read, read))
            if held is not None:
                known[read] = held
        for let in (*loop.lets, *loop.reductions):
            perform(let, known)
        given |= {let.target: known[let.target] for let in loop.reductions if let.target in known}
        for store in loop.stores:
            if store.live.holds(choices):
                memory[store.before] = known[store.after]
    memory |= {o.before: given[o.after] for o in made.outputs if o.after in given}
    return {
        o.before.name.removesuffix("[t - 1]"): memory[o.before]
        for o in made.outputs
        if o.live.holds(choices)
    }


#: Two matrices of three rows and two columns.
EXTENTS = {
    Domain.ELEMENT: (2, 3, 2),
    Domain.ROW: (2, 3, 1),
    Domain.COLUMN: (2, 1, 2),
    Domain.MATRIX: (2, 1, 1),
}

SOME = [0, 8, pytest.param(200, marks=pytest.mark.complete)]


@pytest.mark.parametrize("randomly", SOME, ids=lambda count: f"{count} random specs")
def test_loops_leave_what_the_program_leaves(randomly: int) -> None:
    """Those of the built-in optimizers, or of random ones."""
    rng = np.random.default_rng(3)
    compared = 0
    for made in filter(has_loops, drawn(randomly) if randomly else readings()):
        apart = name(reductions_apart(made)).check()
        for number, values in enumerate(itertools.product((False, True), repeat=len(made.choices))):
            if number and rng.random() > 0.15:
                continue
            on = dict(zip(made.choices, values, strict=True))
            inputs = {
                i.symbol.name: real(rng.uniform(0.1, 0.9, EXTENTS.get(i.domain, ())))
                for i in made.inputs
            }
            expected, found = programs.run(made, inputs, on), run(apart, inputs, on)
            assert found.keys() == expected.keys()
            for key, value in expected.items():
                for ours, theirs in np.broadcast(found[key], value):
                    assert (
                        ours == theirs
                        or not REALS.isfinite(theirs)
                        or (abs(ours - theirs) <= 1e-40 * (1 + abs(theirs)))
                    ), (made.name, key, on)
                    compared += 1
    assert compared > 100
