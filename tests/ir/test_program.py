"""Programs: what a pass may not do is found between passes, and said of which let."""

from dataclasses import replace

import pytest

from lucidgen.ir.guard import Guard
from lucidgen.ir.program import InvalidProgram, Let, Names, Output, symbol
from lucidgen.passes.examples import beta, decayed, g, grad, lr, m, program, t, w, w_before
from lucidgen.spec import norm
from lucidgen.spec.domains import Domain

ELEMENT, HOST, TENSOR = Domain.ELEMENT, Domain.HOST, Domain.TENSOR
always = decayed.always
on = Guard.of("use_weight_decay", decayed.choices)
plain = program((g, lr * grad), (w, w_before - g))
here = Guard.always(())

BROKEN = {
    "w reads g before its write": plain.with_lets(reversed(plain.lets)),
    "w reads g where it is not defined": decayed.with_lets(decayed.lets[1:]),
    "g is assigned twice": plain.with_lets([plain.lets[0], *plain.lets]),
    "g is of two domains": replace(decayed, host=(Let(g, lr, HOST, on),), body=decayed.lets[1:]),
    "two inputs of one name": replace(plain, inputs=(*plain.inputs, plain.inputs[0])),
    "the output w is not defined": decayed.with_lets(
        [*decayed.lets[:2], replace(decayed.lets[2], guard=on)]
    ),
    "is an input": replace(plain, outputs=(Output(w_before, grad, ELEMENT, here),)),
}


@pytest.mark.parametrize("said", BROKEN)
def test_a_broken_program_is_refused_and_says_where(said) -> None:
    with pytest.raises(InvalidProgram, match=said):
        BROKEN[said].check()


def test_a_let_may_be_of_a_wider_domain_than_its_value_but_not_of_a_narrower_one() -> None:
    wide = Let(g, norm(grad), ELEMENT, here)
    replace(plain, body=(wide, plain.lets[1])).check()
    narrow = Let(g, lr * grad, TENSOR, here)
    with pytest.raises(InvalidProgram, match="not Domain"):
        replace(plain, body=(narrow, plain.lets[1])).check()


def test_a_branch_cannot_come_before_the_condition_that_it_asks_for() -> None:
    c = symbol("c")
    made = program(
        (c, t > 3),
        (symbol("s"), lr, "c"),
        (symbol("s"), beta, "not c"),
        (w, w_before - symbol("s") * grad),
        choices=("c",),
    )
    with pytest.raises(InvalidProgram, match="s waits for c"):
        made.with_lets([*made.lets[1:3], made.lets[0], made.lets[3]]).check()


def test_lets_go_to_host_or_body_by_their_domain() -> None:
    made = plain.with_lets([Let(g, lr * grad, ELEMENT, here), Let(m, lr * beta, HOST, here)])
    assert [let.target for let in made.host] == [m]
    assert [let.target for let in made.body] == [g]


def test_no_new_name_is_one_that_is_taken() -> None:
    names = Names(decayed)
    assert names.free("lr").name == "lr_2"
    assert names.free("use_weight_decay").name == "use_weight_decay_2"
    assert names.free("w").name == "w_2"
    assert [names.fresh().name, names.fresh().name] == ["_1", "_2"]
