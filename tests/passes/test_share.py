"""share: nothing is computed twice on one path, and nothing leaves a branch for that."""

from meaning import assert_unchanged, texts, updating

from lucidgen.ir.program import symbol
from lucidgen.passes.examples import beta, eps, g, grad, lr, m, program, t, v, w, w_before
from lucidgen.passes.share import share
from lucidgen.spec import group, sqrt

c, s, p = symbol("c"), symbol("s"), symbol("p")


def test_what_two_lets_compute_is_computed_once() -> None:
    before = updating(program((m, lr * sqrt(grad)), (w, w_before - sqrt(grad))), "m")
    after = share(before)
    assert texts(after) == ["_1 = sqrt(grad)", "m = _1*lr", "w = -_1 + w[t - 1]"]
    assert after.lets[0].note == (1, 2)
    assert_unchanged(before, after)


def test_a_root_and_its_inverse_are_one_root() -> None:
    before = program((w, w_before - m / sqrt(v) - sqrt(v)))
    after = share(before)
    assert texts(after) == ["_1 = sqrt(v)", "w = -_1 + w[t - 1] - m/_1"]
    assert_unchanged(before, after)


def test_the_largest_common_part_is_shared_and_then_its_parts() -> None:
    large = sqrt(grad + sqrt(v + eps))
    before = updating(program((m, lr * large), (w, w_before - large - sqrt(v + eps))), "m")
    after = share(before)
    assert texts(after)[:2] == ["_2 = sqrt(eps + v)", "_1 = sqrt(_2 + grad)"]
    assert texts(after)[2:] == ["m = _1*lr", "w = -_1 - _2 + w[t - 1]"]
    assert_unchanged(before, after)


def test_a_name_that_is_there_already_serves() -> None:
    before = updating(program((m, sqrt(v) * grad), (w, w_before - sqrt(v) * grad * lr)), "m")
    after = share(before)
    assert [str(let.target) for let in after.lets] == ["_1", "m", "w"]
    assert_unchanged(before, after)


def test_two_branches_of_which_one_is_taken_share_nothing() -> None:
    before = program(
        (w, w_before - sqrt(grad), "a"), (w, w_before + sqrt(grad), "not a"), choices=("a",)
    )
    assert share(before) == before


def test_what_one_branch_computes_twice_is_computed_in_that_branch() -> None:
    before = program(
        (w, w_before - sqrt(grad) - lr / sqrt(grad), "a"), (w, w_before, "not a"), choices=("a",)
    )
    after = share(before)
    assert texts(after)[0] == "_1 = sqrt(grad)  if a"
    assert_unchanged(before, after)


def test_it_is_computed_where_any_reader_runs_and_nowhere_else() -> None:
    lets = (m, sqrt(grad), "a"), (v, lr * sqrt(grad), "b"), (w, w_before - grad)
    before = updating(program(*lets, choices=("a", "b")), "m", "v")
    after = share(before)
    made = after.lets[0]
    assert [made.guard.holds({"a": x, "b": y}) for x in (0, 1) for y in (0, 1)] == [
        False,
        True,
        True,
        True,
    ]
    assert_unchanged(before, after)


def test_a_name_that_exists_in_one_branch_serves_no_reader_outside_of_it() -> None:
    lets = (m, sqrt(grad), "a"), (w, w_before - sqrt(grad))
    before = updating(program(*lets, choices=("a",)), "m")
    after = share(before)
    assert texts(after) == ["_1 = sqrt(grad)", "m = _1  if a", "w = -_1 + w[t - 1]"]
    assert_unchanged(before, after)


def test_nothing_waits_for_a_condition_that_is_computed_later() -> None:
    before = program(
        (s, sqrt(lr), "a"),
        (s, beta, "not a"),
        (c, t > 3),
        (p, lr + sqrt(lr), "c"),
        (p, s, "not c"),
        (w, w_before - p * grad),
        choices=("a", "c"),
    )
    after = share(before)
    assert after == before
    assert_unchanged(before, after)


def test_a_bias_correction_has_a_name_even_for_one_reader() -> None:
    before = program((s, lr / (1 - beta**t)), (w, w_before - s * grad))
    after = share(before)
    assert texts(after)[:2] == ["_1 = 1 - beta**t", "s = lr/_1"]
    assert_unchanged(before, after)


def test_host_and_body_share_nothing_with_each_other() -> None:
    before = program((s, sqrt(lr) * t), (w, w_before - s * sqrt(lr) * grad))
    assert share(before) == before


def test_nothing_inside_a_group_is_shared() -> None:
    before = program((g, group(sqrt(grad) * m)), (w, w_before - sqrt(grad) - g))
    assert share(before) == before


def test_a_sign_is_not_worth_a_name() -> None:
    before = updating(program((m, lr * beta - grad), (w, w_before - grad)), "m")
    assert share(before) == before
