"""lower: what is needed under which static choices, before and after the step."""

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
import sympy

from lucidgen.ir.lower import lower
from lucidgen.ir.program import Program
from lucidgen.operations.reals import real
from lucidgen.passes import optimize, resolve
from lucidgen.passes.examples import grad as gradient
from lucidgen.spec import (
    Eq,
    Max,
    OptimizerSpec,
    SpecError,
    columns,
    flag,
    grad,
    hyper,
    log,
    ndim,
    rows,
    series,
    sqrt,
    t,
    w,
    when,
)
from lucidgen.spec.domains import Domain
from lucidgen.verify import programs
from lucidgen.verify.exact import evaluate

lr = hyper("lr", 0.5, at_least=0)
decay = hyper("decay", 0.0, at_least=0, special=0)
beta = hyper("beta", 0.9, at_least=0, below=1)
fast = flag("fast", False)
g, m, v, s = series("g"), series("m"), series("v"), series("s")


def made(*equations: Eq) -> Program:
    read = set().union(*(e.right.free_symbols for e in equations))
    return lower(
        OptimizerSpec("Made", tuple(x for x in (lr, decay, beta, fast) if x in read), equations)
    )


def texts(program: Program) -> list[str]:
    return [str(let).split("  #")[0].rstrip() for let in program.lets]


def plainly(program: Program, on: Sequence[str] = ()) -> list[str]:
    """The lets in a step that is nobody's first, of gradients as they are."""
    flags = [name for name in program.choices if name not in program.conditions]
    return texts(resolve(program, {name: name in on for name in flags}))[1:]


step = Eq(w[t], w[t - 1] - lr * g[t])


def test_the_equations_read_the_gradient_that_clipping_and_maximizing_leave() -> None:
    program = made(Eq(g[t], grad[t] / 2), step)
    assert texts(program)[0].startswith("scaled_grad = Max(")
    assert texts(program)[1] == f"scaled_grad = {gradient}  if not scale_grad"
    assert plainly(program) == ["g = scaled_grad/2", "w = -g*lr + w[t - 1]"]


def test_comparisons_of_a_shape_are_one_choice_whichever_way_they_are_written() -> None:
    ways = when(ndim < 2, m[t], g[t]) + when(ndim > 1, 1, 2) * when(~(ndim >= 2), v[t - 1], 3)
    program = made(
        Eq(g[t], grad[t] + decay * w[t - 1]),
        Eq(m[t], beta * m[t - 1] + g[t]),
        Eq(v[t], beta * v[t - 1] + g[t]),
        Eq(w[t], w[t - 1] - lr * ways),
    )
    assert program.shapes == (("ndim_at_least_2", ndim >= 2),)
    assert [str(o.live) for o in program.outputs] == ["always", *["not ndim_at_least_2"] * 2]
    assert {i.kind for i in program.inputs} == {
        "step",
        "hyper",
        "scaling",
        "weight",
        "grad",
        "state",
    }


def test_a_number_of_the_shape_is_read_as_a_scalar() -> None:
    program = made(Eq(g[t], sqrt(rows) * grad[t]), step)
    assert [str(i.symbol) for i in program.input("shape")] == ["rows"]
    assert all(let.domain is Domain.HOST for let in optimize(program).host)


def test_what_changes_from_step_to_step_is_no_choice_of_the_shape() -> None:
    program = made(Eq(g[t], when(rows > t, grad[t], 1)), step)
    assert not program.shapes
    assert program.conditions == ("rows_above_t",)


def test_at_its_special_value_a_hyperparameter_is_in_no_equation() -> None:
    program = made(Eq(g[t], grad[t] + decay * w[t - 1]), step)
    assert plainly(program)[0] == "g = scaled_grad"
    assert plainly(program, ["use_decay"])[0] == "g = decay*w[t - 1] + scaled_grad"


def test_a_state_exists_where_an_equation_that_is_needed_reads_it() -> None:
    program = made(Eq(v[t], Max(v[t - 1], grad[t] ** 2)), Eq(g[t], when(fast, v[t], grad[t])), step)
    assert [str(o.before) for o in program.outputs] == ["w[t - 1]", "v[t - 1]"]
    assert str(program.outputs[1].live) == "fast"
    assert plainly(program) == ["g = scaled_grad", "w = -g*lr + w[t - 1]"]
    assert len(plainly(program, ["fast"])) == 3


def test_what_is_made_in_every_case_is_state_only_where_its_last_value_is_read() -> None:
    program = made(Eq(m[t], when(fast, m[t - 1], 1) + grad[t]), Eq(g[t], m[t] / 2), step)
    assert str(program.outputs[1].live) == "fast"


def test_what_one_case_needs_is_not_computed_in_the_other() -> None:
    program = made(Eq(m[t], grad[t] / 3), Eq(g[t], when(fast, m[t], grad[t])), step)
    assert plainly(program) == ["g = scaled_grad", "w = -g*lr + w[t - 1]"]


def test_a_first_update_is_a_case_of_its_own() -> None:
    program = made(Eq(m[1], grad[1]), Eq(m[t], m[t - 1] / 2 + grad[t]), Eq(g[t], m[t]), step)
    assert "first_m" in program.choices
    assert plainly(program, ["first_m"])[0] == "m = scaled_grad"
    assert plainly(program)[0] == "m = m[t - 1]/2 + scaled_grad"


def test_a_condition_on_scalars_is_computed_on_the_host_and_named_in_words() -> None:
    program = made(Eq(s[t], beta**t), Eq(g[t], when(s[t] > lr, grad[t], 0)), step)
    assert program.conditions == ("s_above_lr",)
    assert "s_above_lr = s > lr" in texts(program)
    assert texts(program)[-3:] == [
        "g = scaled_grad  if s_above_lr",
        "g = 0  if not s_above_lr",
        "w = -g*lr + w[t - 1]",
    ]


def test_a_condition_on_elements_is_a_select() -> None:
    program = made(Eq(g[t], when(grad[t] > 0, grad[t], 0)), step)
    assert program.conditions == ()
    assert plainly(program)[0] == "g = when(scaled_grad > 0, scaled_grad, 0)"


def test_all_cases_of_a_quantity_are_of_the_domain_of_the_whole() -> None:
    program = made(Eq(g[t], when(fast, grad[t], lr)), Eq(w[t], w[t - 1] - g[t]))
    assert {let.domain for let in program.lets if let.target.name == "g"} == {Domain.ELEMENT}


def test_equations_are_noted_by_their_numbers() -> None:
    program = made(Eq(m[t], grad[t] / 3), Eq(g[t], m[t] * 2), step)
    assert [(let.target.name, let.note) for let in program.lets][2:] == [
        ("m", (1,)),
        ("g", (2,)),
        ("w", (3,)),
    ]


MANY = [flag(f"f{i}", False) for i in range(10)]


@pytest.mark.parametrize(
    "update",
    [
        sum((when(f, decay * m[t] ** i, 0) for i, f in enumerate(MANY)), grad[t]),
        math.prod((when(f, i + grad[t], 1) for i, f in enumerate(MANY)), start=m[t]),
        Max(sum(when(f, grad[t], beta) for f in MANY[:5]), m[t])
        + sum(when(~f, m[t - 1], i) for i, f in enumerate(MANY[5:])),
        when(MANY[0], sum(when(f, i * m[t], 0) for i, f in enumerate(MANY, 1)), s[t]) / 3,
    ],
    ids=["sum", "product", "maximum", "branch"],
)
def test_many_choices_are_made_one_after_the_other(update: Any) -> None:
    """With every choice twice as many cases would be."""
    equations = (
        Eq(m[t], beta * m[t - 1] + grad[t]),
        Eq(s[t], s[t - 1] + 1),
        Eq(w[t], w[t - 1] - lr * decay * update),
    )
    program = lower(OptimizerSpec("Many", (lr, decay, beta, *MANY), equations))
    assert len(program.lets) < 100
    rng = random.Random(1)
    for _ in range(12):
        on = {name: rng.random() < 0.5 for name in program.choices} | {"scale_grad": False}
        given = {i.symbol.name: real(rng.uniform(0.5, 2)) for i in program.inputs}
        if not on["use_decay"]:
            given["decay"] = real(0)
        value = update.xreplace({f: sympy.sympify(on[f.name]) for f in MANY})
        known = {x: given[x.name] for x in (lr, decay, beta)}
        known |= {grad[t]: given["grad"], m[t - 1]: given["m[t - 1]"]}
        known[m[t]] = given["beta"] * given["m[t - 1]"] + given["grad"]
        known[s[t]] = given.get("s[t - 1]", real(0)) + 1
        step = given["lr"] * given["decay"] * evaluate(value, known.__getitem__)
        expected = given["w[t - 1]"] - step
        assert abs(programs.run(program, given, on)["w"] - expected) < 1e-40


def test_more_choices_than_a_guard_can_tell_apart_are_refused() -> None:
    flags = [flag(f"f{i}", False) for i in range(30)]
    total = sum(when(f, grad[t], 0) for f in flags)
    with pytest.raises(SpecError, match="Many has 31 choices, more than 18") as said:
        lower(OptimizerSpec("Many", (lr, *flags), (Eq(w[t], w[t - 1] - lr * total),)))
    assert "Make two optimizers of it" in str(said.value)


@pytest.mark.parametrize(
    "update", [grad[t] / decay, Max(1 / decay, grad[t]), when(fast, log(decay), 1) * grad[t]]
)
def test_what_a_special_value_makes_infinite_is_said_with_its_equation(update: Any) -> None:
    flags = (fast,) if update.has(fast) else ()
    equations = (Eq(g[t], update), step)
    with pytest.raises(SpecError, match="infinite or undefined with decay = 0, its") as said:
        lower(OptimizerSpec("Divided", (lr, decay, *flags), equations))
    (problem,) = said.value.problems
    assert problem.equation == str(equations[0])
    assert "Write when(decay, a, b)" in problem.remedy


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (rows > columns, "rows > columns"),
        (fast, "fast"),
        ((rows > columns) & fast, "rows > columns and fast"),
    ],
)
def test_what_is_no_number_in_a_case_is_refused_with_the_case(case: sympy.Basic, said: str) -> None:
    step = Eq(w[t], w[t - 1] - lr * sqrt(when(case, -1, 2)) * grad[t])
    arguments = (lr, fast) if fast in case.free_symbols else (lr,)
    with pytest.raises(SpecError, match=f"infinite or undefined where {said}\n"):
        lower(OptimizerSpec("Negative", arguments, (step,)))


def test_what_a_condition_keeps_from_a_special_value_may_divide_by_it() -> None:
    update = when(fast, when(decay, Max(1 / decay, grad[t]), grad[t]), 0)
    program = made(Eq(g[t], update), step)
    assert plainly(program, ["fast", "use_decay"])[0] == "g = Max(1/decay, scaled_grad)"
    assert plainly(program, ["fast"])[0] == "g = scaled_grad"
