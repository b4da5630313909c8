"""inline: a name that is read once goes, unless that repeats work or leaves a branch or domain."""

import pytest
from meaning import assert_unchanged, texts, updating

from lucidgen.ir.program import symbol
from lucidgen.passes.examples import beta, decayed, g, grad, lr, m, program, t, v, w, w_before
from lucidgen.passes.inline import inline
from lucidgen.spec import Max, norm, sqrt
from lucidgen.spec.extent import MAX_DEPTH, extent

c, s = symbol("c"), symbol("s")


def test_what_is_read_once_is_put_where_it_is_read() -> None:
    before = program((g, m / lr), (w, w_before - g))
    after = inline(before)
    assert texts(after) == ["w = w[t - 1] - m/lr"]
    assert after.lets[0].note == (1, 2)
    assert_unchanged(before, after)


def test_what_is_read_twice_keeps_its_name() -> None:
    before = program((g, m / lr), (w, w_before - g * (1 + g)))
    assert inline(before) == before


@pytest.mark.parametrize("reads", [g**2, 1 / g**2, g**beta, g ** (3 * g / g)])
def test_a_power_reads_its_base_more_than_once(reads) -> None:
    before = program((g, m + v), (w, w_before - reads))
    assert inline(before) == before


@pytest.mark.parametrize("reads", [1 / g, sqrt(g), 1 / sqrt(g)])
def test_a_root_and_a_quotient_read_it_once(reads) -> None:
    before = program((g, m + v), (w, w_before - reads))
    assert len(inline(before).lets) == 1
    assert_unchanged(before, inline(before))


def test_another_name_goes_however_often_it_is_read_and_its_number_with_it() -> None:
    before = program((g, m), (w, w_before - g * (1 + g)))
    after = inline(before)
    assert texts(after) == ["w = -m*(m + 1) + w[t - 1]"]
    assert after.lets[0].note == (2,)


def test_it_goes_into_branches_of_which_one_is_taken() -> None:
    before = program(
        (g, m / lr), (w, w_before - g, "a"), (w, w_before + g, "not a"), choices=("a",)
    )
    after = inline(before)
    assert texts(after) == ["w = w[t - 1] - m/lr  if a", "w = w[t - 1] + m/lr  if not a"]
    assert_unchanged(before, after)


def test_it_goes_not_into_two_branches_that_may_both_be_taken() -> None:
    lets = (g, m / lr), (v, grad - g, "a"), (w, w_before - g)
    before = updating(program(*lets, choices=("a",)), "v")
    assert inline(before) == before


def test_what_has_cases_stays_in_its_branches() -> None:
    assert inline(decayed) == decayed


def test_scalars_of_the_host_keep_names_which_conditions_refer_to() -> None:
    before = program(
        (s, lr * beta),
        (c, t > s),
        (w, w_before - grad, "c"),
        (w, w_before, "not c"),
        choices=("c",),
    )
    assert inline(before) == before


def test_a_number_per_tensor_is_not_computed_per_element() -> None:
    before = program((s, norm(grad)), (w, w_before - s * grad))
    assert inline(before) == before


def test_who_reads_an_output_that_is_another_name_reads_what_it_names() -> None:
    before = updating(program((g, m + grad), (w, g), (v, lr * w + sqrt(g))), "v")
    assert texts(inline(before))[1:] == ["w = g", "v = sqrt(g) + g*lr"]
    assert_unchanged(before, inline(before))


def test_what_is_put_together_is_no_larger_than_an_author_may_write() -> None:
    names = [g, *(symbol(f"a{i}") for i in range(1, 14))]
    clips = zip(names[1:], (2 * Max(name, i) for i, name in enumerate(names)), strict=False)
    before = program((g, m), *clips, (w, w_before - names[-1]))
    after = inline(before)
    assert {extent(let.value)[1] for let in after.lets[:-1]} == {MAX_DEPTH - MAX_DEPTH % 9}
    assert len(after.lets) == 3
    assert_unchanged(before, after)
