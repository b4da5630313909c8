"""A program is cut into phases where an element needs what a reduction of elements gives."""

from __future__ import annotations

import pytest

from lucidgen.ir.lower import lower
from lucidgen.ir.phases import Phase, phases
from lucidgen.ir.program import symbol
from lucidgen.operations import Reduction
from lucidgen.package.catalog import catalog
from lucidgen.passes import optimize
from lucidgen.passes.examples import beta, g, grad, lr, m, program, v, w, w_before
from lucidgen.spec import mean, norm, row_mean

a, b = symbol("a"), symbol("b")


def targets(phase: Phase) -> list[str]:
    return [str(let.target) for let in phase.lets]


@pytest.mark.parametrize("entry", catalog(None).entries, ids=lambda entry: entry.name)
def test_without_a_reduction_there_is_one_phase_with_everything(entry) -> None:
    for spec in entry.main.readings.values():
        made = optimize(lower(spec))
        found = phases(made)
        assert sorted(map(str, made.body)) == sorted(str(let) for p in found for let in p.lets)
        reduces = any(let.value.has(Reduction) for let in made.body)
        assert (len(found) > 1) is reduces


def test_a_let_is_computed_where_it_is_read_first() -> None:
    made = program((m, beta * grad), (v, lr * grad), (a, norm(v)), (w, w_before - a * m))
    first, second = phases(made)
    assert targets(first) == ["v"]
    assert targets(second) == ["m", "a", "w"]
    assert first.reductions == (norm(v),)
    assert (first.reads, first.writes) == ((grad,), ())
    assert (second.reads, second.writes) == ((w_before, grad), (w,))


def test_what_a_later_phase_reads_is_written_and_read_again() -> None:
    made = program((m, beta * grad), (a, norm(m)), (w, w_before - a * m))
    first, second = phases(made)
    assert (first.reads, first.writes) == ((grad,), (m,))
    assert (second.reads, second.writes) == ((w_before, m), (w,))


def test_who_reads_a_name_reads_what_it_names() -> None:
    made = program((g, grad), (m, g), (a, norm(m)), (w, w_before - a * m))
    first, second = phases(made)
    assert targets(first) == ["g", "m"]
    assert (first.reads, first.writes) == ((grad,), ())
    assert (second.reads, second.writes) == ((w_before, grad), (w,))


def test_reductions_that_wait_for_no_other_share_a_phase() -> None:
    made = program((a, norm(grad)), (b, row_mean(w_before)), (w, w_before - a * b * grad))
    first, second = phases(made)
    assert first.reductions == (norm(grad), row_mean(w_before))
    assert targets(second) == ["a", "b", "w"]


def test_a_reduction_of_rows_waits_for_no_pass_over_elements() -> None:
    made = program((a, row_mean(grad)), (b, mean(a)), (w, w_before - b * grad))
    first, second = phases(made)
    assert first.reductions == (row_mean(grad),)
    assert targets(second) == ["a", "b", "w"]


def test_a_reduction_of_what_a_reduction_gave_is_a_phase_later() -> None:
    made = program((w, w_before - norm(grad - mean(grad)) * grad))
    assert [phase.reductions for phase in phases(made)] == [
        (mean(grad),),
        (norm(grad - mean(grad)),),
        (),
    ]


def test_cases_that_exclude_each_other_do_not_wait_for_each_other() -> None:
    made = program(
        (g, grad * norm(grad), "fast"),
        (g, grad * lr, "not fast"),
        (a, norm(g), "not fast"),
        (w, w_before - a * g, "not fast"),
        (w, w_before - g, "fast"),
        choices=("fast",),
    )
    first, second = phases(made)
    assert [str(let) for let in first.lets] == [str(made.body[1])]
    assert first.reductions == (norm(grad), norm(g))
    assert targets(second) == ["g", "a", "w", "w"]
