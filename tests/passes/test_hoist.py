"""hoist: each let computes in its own domain; branches and last values stay what they are."""

import numpy as np
import pytest
from meaning import assert_own_domain, assert_unchanged, texts

from lucidgen import spec
from lucidgen.ir.lower import lower
from lucidgen.ir.program import Program, symbol
from lucidgen.passes.examples import beta, eps, g, grad, lr, m, program, t, v, w, w_before
from lucidgen.passes.hoist import hoist
from lucidgen.spec import Eq, OptimizerSpec, group, hyper, mean, norm, series, sqrt
from lucidgen.spec.domains import Domain

c, s = symbol("c"), symbol("s")

WHOLE = [
    w_before - lr / (1 - beta**t) * grad,
    w_before * (1 - lr * beta) - lr * grad / (sqrt(v) * sqrt(1 - beta**t) + eps),
    w_before - lr * norm(grad) / (norm(w_before) + eps) * grad,
    w_before - (beta * m + (1 - beta) * grad) / mean(grad) * sqrt(lr),
]


@pytest.mark.parametrize("value", WHOLE)
def test_each_let_computes_in_its_own_domain(value) -> None:
    before = program((w, value))
    after = hoist(before)
    assert_own_domain(after)
    assert_unchanged(before, after)


def test_scalars_are_computed_on_the_host_where_numbers_are_doubles() -> None:
    after = hoist(program((w, w_before * beta + (1 - beta) * grad)))
    assert [str(let.value) for let in after.host] == ["1 - beta"]
    assert float(np.float32(1) - np.float32(0.999)) != pytest.approx(1 - 0.999, rel=1e-6)


def test_signs_stay_and_become_subtractions() -> None:
    assert texts(hoist(program((w, w_before - lr * beta * grad)))) == [
        "_1 = beta*lr",
        "w = -_1*grad + w[t - 1]",
    ]


def test_what_two_lets_need_is_computed_once() -> None:
    before = program((g, grad * lr * beta), (w, w_before - g - m * lr * beta))
    assert len(hoist(before).host) == 1
    assert_unchanged(before, hoist(before))


def test_a_branch_that_the_host_leaves_out_is_not_evaluated() -> None:
    before = program(
        (c, t > 3),
        (w, w_before - grad / (t - 3), "c"),
        (w, w_before - grad, "not c"),
        choices=("c",),
    )
    after = hoist(before)
    assert texts(after)[1] == "_1 = 1/(t - 3)  if c"
    assert_unchanged(before, after)


def test_flags_are_not_asked_for_a_scalar_that_can_be_had_without() -> None:
    before = program((w, w_before - lr * beta * grad, "a"), (w, w_before, "not a"), choices=("a",))
    after = hoist(before)
    assert texts(after)[0] == "_1 = beta*lr"
    assert_unchanged(before, after)


def test_flags_are_asked_where_what_it_reads_exists_under_them_alone() -> None:
    before = program(
        (s, t + 1, "a"),
        (w, w_before - lr * s * grad, "a"),
        (w, w_before, "not a"),
        choices=("a",),
    )
    after = hoist(before)
    assert texts(after)[1] == "_1 = lr*s  if a"
    assert_unchanged(before, after)


def with_a_scalar_state() -> Program:
    """A scalar grows by lr; the weight moves by its value before that and after."""
    rate, x, n = hyper("lr", 0.5, at_least=0), series("x"), spec.t
    grows = Eq(x[n], x[n - 1] + rate)
    moves = Eq(spec.w[n], spec.w[n - 1] - x[n - 1] * spec.grad[n] - 2 * x[n] * spec.w[n - 1])
    return lower(OptimizerSpec("Scalar", (rate,), (grows, moves)))


def test_the_last_value_of_a_scalar_state_is_kept_for_the_body() -> None:
    before = with_a_scalar_state()
    after = hoist(before)
    body_reads = {str(read) for let in after.body for read in let.value.free_symbols}
    assert "x[t - 1]" in {str(read) for let in before.body for read in let.value.free_symbols}
    assert "x[t - 1]" not in body_reads
    assert "x_before" in body_reads
    assert_unchanged(before, after)


def test_in_a_group_scalars_keep_their_places() -> None:
    before = program((w, w_before - group(lr * (beta * grad))))
    assert hoist(before) == before


def test_what_is_per_tensor_is_no_work_per_element() -> None:
    after = hoist(program((w, w_before - lr * grad / (norm(grad) + eps))))
    domains = [let.domain for let in after.lets]
    assert domains == [Domain.TENSOR] * (len(domains) - 1) + [Domain.ELEMENT]
    assert after.lets[-1].value == w_before - after.lets[-2].target * grad


def test_a_reduction_is_computed_only_where_it_is_read() -> None:
    before = program(
        (w, w_before - grad * norm(grad), "a"),
        (w, w_before - grad * mean(grad), "not a"),
        choices=("a",),
    )
    after = hoist(before)
    made = [text for text in texts(after) if not text.startswith("w")]
    assert made == ["_1 = norm(grad)  if a", "_2 = mean(grad)  if not a"]
    assert_unchanged(before, after)


def test_a_reduction_that_two_branches_read_is_computed_once() -> None:
    before = program(
        (w, w_before - grad * norm(grad), "a"),
        (w, w_before - norm(grad), "not a"),
        choices=("a",),
    )
    after = hoist(before)
    assert [text for text in texts(after) if "norm" in text] == ["_1 = norm(grad)"]
    assert_unchanged(before, after)
