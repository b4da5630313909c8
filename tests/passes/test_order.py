"""order: each let after what it reads, states as late as their readers need, few branches."""

from meaning import assert_unchanged, texts, updating

from lucidgen.ir.lower import lower
from lucidgen.ir.program import Program, symbol
from lucidgen.passes.examples import beta, g, grad, lr, m, program, t, v, w, w_before
from lucidgen.passes.order import order
from lucidgen.spec import Eq, OptimizerSpec, hyper, series
from lucidgen.spec import grad as gradient
from lucidgen.spec import t as n
from lucidgen.spec import w as weight

c, p, s = symbol("c"), symbol("p"), symbol("s")
rate, a, b = hyper("lr", 0.5, at_least=0), series("a"), series("b")


def position(ordered: Program, target: str) -> int:
    return [let.target.name for let in ordered.lets].index(target)


def shuffled(made: Program) -> Program:
    """The program with its lets the other way round: no valid one."""
    return made.with_lets(reversed(made.lets))


def test_each_let_comes_after_what_it_reads() -> None:
    before = program((g, grad * lr), (m, g + 1), (v, m * g), (w, w_before - v), arrays=())
    assert order(shuffled(before)) == before


def test_a_branch_comes_after_the_condition_that_it_asks_for() -> None:
    before = program(
        (s, lr, "a"),
        (s, beta, "not a"),
        (c, t > s),
        (p, lr, "c"),
        (p, beta, "not c"),
        (w, w_before - p * grad),
        choices=("a", "c"),
    )
    after = order(shuffled(before))
    assert [let.target for let in after.lets] == [s, s, c, p, p, w]
    assert_unchanged(before, after)


def test_a_state_is_written_after_who_reads_its_last_value() -> None:
    grows = Eq(a[n], a[n - 1] + gradient[n])
    moves = Eq(weight[n], weight[n - 1] - rate * a[n - 1] * gradient[n])
    before = lower(OptimizerSpec("Late", (rate,), (grows, moves)))
    after = order(before)
    assert position(before, "a") < position(before, "w")
    assert position(after, "a") > position(after, "w")
    assert_unchanged(before, after)


def test_states_that_change_places_are_written_in_some_order() -> None:
    equations = (
        Eq(a[n], b[n - 1] + gradient[n]),
        Eq(b[n], a[n - 1]),
        Eq(weight[n], weight[n - 1] - rate * b[n]),
    )
    before = lower(OptimizerSpec("Swap", (rate,), equations))
    assert_unchanged(before, order(before))


def test_branches_on_the_same_choice_stand_next_to_each_other() -> None:
    before = updating(
        program((g, lr * grad, "a"), (w, w_before - grad), (m, g + v, "a"), choices=("a",)), "m"
    )
    after = order(before)
    assert texts(after) == ["w = -grad + w[t - 1]", "g = grad*lr  if a", "m = g + v  if a"]
    assert_unchanged(before, after)


def test_what_is_in_order_stays_as_the_author_wrote_it() -> None:
    before = updating(program((m, beta * grad), (v, lr * grad), (w, w_before - m - v)), "m", "v")
    assert order(before) == before
