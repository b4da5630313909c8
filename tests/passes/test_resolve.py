"""resolve: a choice that is made is asked nowhere; what it rules out is gone, all else open."""

from meaning import assert_unchanged, texts, updating

from lucidgen.passes.examples import beta, decayed, g, grad, lr, m, program, w, w_before
from lucidgen.passes.resolve import resolve

lets = (
    (g, grad * lr, "a"),
    (g, grad, "not a"),
    (m, beta * g, "b"),
    (w, w_before - g - m, "b"),
    (w, w_before - g, "not b"),
)
both = updating(program(*lets, choices=("a", "b"), arrays=("v",)), "m")


def test_no_guard_asks_for_a_choice_that_is_made() -> None:
    for on in (True, False):
        after = resolve(both, {"a": on})
        assert not [let for let in after.lets if "a" in let.guard.support]
        assert [let for let in after.lets if "b" in let.guard.support]
        after.check()


def test_the_value_is_that_under_the_choice() -> None:
    assert_unchanged(both, resolve(both, {"a": False}), but=("a",))
    assert_unchanged(both, resolve(both, {"a": False, "b": False}), but=("a", "b"))
    assert_unchanged(decayed, resolve(decayed, {"use_weight_decay": False}), but=decayed.choices)


def test_states_that_do_not_exist_then_are_no_outputs() -> None:
    assert [output.after for output in both.outputs] == [w, m]
    assert [output.after for output in resolve(both, {"b": False}).outputs] == [w]
    assert [output.after for output in resolve(both, {"b": True}).outputs] == [w, m]


def test_no_choice_made_is_nothing_changed() -> None:
    assert resolve(both, {}) == both


def test_what_is_left_asks_nothing_if_all_is_chosen() -> None:
    after = resolve(both, {"a": True, "b": True})
    assert texts(after) == ["g = grad*lr", "m = beta*g", "w = -g - m + w[t - 1]"]
