"""drop_dead: what no output needs is not computed, and nothing else changes."""

from meaning import assert_unchanged, texts

from lucidgen.ir.program import symbol
from lucidgen.passes.drop_dead import drop_dead
from lucidgen.passes.examples import beta, g, grad, lr, m, program, t, v, w, w_before, weight_decay

c = symbol("c")


def test_what_no_output_reads_goes_and_so_does_what_only_that_read() -> None:
    before = program((g, grad * lr), (m, g * beta), (v, m + 1), (w, w_before - grad))
    after = drop_dead(before)
    assert texts(after) == ["w = -grad + w[t - 1]"]
    assert_unchanged(before, after)


def test_a_case_that_no_reader_runs_in_goes_and_the_other_stays() -> None:
    before = program(
        (g, grad * lr, "a"),
        (g, grad * beta, "not a"),
        (w, w_before - g, "a"),
        (w, w_before, "not a"),
        choices=("a",),
    )
    after = drop_dead(before)
    assert texts(after) == [
        "g = grad*lr  if a",
        "w = -g + w[t - 1]  if a",
        "w = w[t - 1]  if not a",
    ]
    assert_unchanged(before, after)


def test_a_let_that_one_branch_needs_keeps_its_guard() -> None:
    before = program((g, grad * lr), (w, w_before - g, "a"), (w, w_before, "not a"), choices=("a",))
    after = drop_dead(before)
    assert after.lets == before.lets


def test_a_condition_stays_while_a_guard_asks_for_it() -> None:
    before = program(
        (c, t > 3), (w, w_before - grad, "c"), (w, w_before + lr * grad, "not c"), choices=("c",)
    )
    after = drop_dead(before)
    assert after.lets == before.lets
    assert_unchanged(before, after)


def test_a_condition_goes_with_the_last_let_that_asks_for_it() -> None:
    before = program((c, t > 3), (m, lr * grad, "c"), (w, w_before - grad), choices=("c",))
    after = drop_dead(before)
    assert texts(after) == ["w = -grad + w[t - 1]"]


def test_hyperparameters_that_nothing_reads_are_no_inputs_and_the_gradient_stays_one() -> None:
    before = program((w, w_before * (1 - weight_decay)))
    after = drop_dead(before)
    assert [i.symbol for i in after.inputs] == [weight_decay, w_before, grad]
    assert_unchanged(before, after)
