"""Guards obey the laws of logic, and say what they are."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lucidgen.ir.guard import Guard

CHOICES = ("a", "b", "c")
guards = st.integers(0, 255).map(lambda table: Guard(CHOICES, table))
assignments = st.fixed_dictionaries({name: st.booleans() for name in CHOICES})


@settings(max_examples=100)
@given(guards, guards, assignments)
def test_guards_obey_the_laws_of_logic(a: Guard, b: Guard, on: dict[str, bool]) -> None:
    assert (a & b).holds(on) is (a.holds(on) and b.holds(on))
    assert (a | b).holds(on) is (a.holds(on) or b.holds(on))
    assert (~a).holds(on) is not a.holds(on)
    assert ~(a & b) == ~a | ~b
    assert a & ~a == ~Guard.always(CHOICES)
    assert a.implies(a | b)
    assert a.excludes(b) is (not a & b)
    for name in CHOICES:
        assert a.given(name, on[name]).holds(on) is a.holds(on)
        assert name not in a.given(name, True).support
    literals = a.literals
    if literals is not None:
        assert a.holds(on) is (bool(a) and all(on[n] is value for n, value in literals))


@settings(max_examples=100)
@given(guards.filter(bool), assignments)
def test_the_text_of_a_guard_is_the_guard(guard: Guard, on: dict[str, bool]) -> None:
    text = str(guard).replace("always", "True")
    assert eval(text, {}, dict(on)) is guard.holds(on)
