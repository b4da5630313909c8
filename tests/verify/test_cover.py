"""The sample of optimizers on which checks run that take long: nothing is missing in it."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
from readings import READINGS, covering, different, every, sample, served, shown

from lucidgen.ir.lower import lower
from lucidgen.passes import optimize
from lucidgen.spec import (
    Eq,
    Max,
    OptimizerSpec,
    atan,
    column_mean,
    flag,
    grad,
    hyper,
    norm,
    row_mean,
    series,
    t,
    w,
    when,
)
from lucidgen.verify.cover import cover, done_for, features

lr = hyper("lr", 0.1, at_least=0)
m, s, rows, columns = (series(name) for name in ("m", "s", "rows", "columns"))
early = flag("early", False)

PLAIN = (Eq(w[t], w[t - 1] - lr * grad[t]),)
MOMENTUM = (Eq(m[t], m[t - 1] / 2 + grad[t]), Eq(w[t], w[t - 1] - lr * m[t]))


def made(*equations: Eq) -> frozenset[Hashable]:
    read = set().union(*(equation.right.free_symbols for equation in equations))
    spec = OptimizerSpec("Made", tuple(x for x in (lr, early) if x in read), equations)
    return features(spec, optimize(lower(spec)))


@pytest.mark.parametrize("target", ["numpy", "cpp", "metal", "cuda"])
def test_the_sample_shows_all_that_all_optimizers_show(target: str) -> None:
    def of(readings: object) -> set[Hashable]:
        return set().union(*(shown(reading, target) for reading in readings))

    assert of(covering(target)) == of(r for r in READINGS if served(r, target))
    assert len(covering(target)) < len(different(target)) / 3
    chosen = {parameter.id for parameter in sample(target) if not parameter.marks}
    assert chosen == {reading.name for reading in covering(target)}
    assert {p.id for p in every(target)} == {r.name for r in READINGS if served(r, target)}


@pytest.mark.parametrize("target", ["numpy", "cpp"])
def test_of_readings_that_compute_the_same_one_is_among_the_different(target: str) -> None:
    names = {reading.name for reading in different(target)}
    assert {"Adam", "AdamW", "Adam:keras", "NAdam"} <= names
    assert not {"Adam:devlog", "NAdam:keras"} & names


NEW = {
    "an operation": (Eq(w[t], w[t - 1] - lr * atan(grad[t])),),
    "an operation elsewhere": (Eq(w[t], w[t - 1] - atan(lr) * grad[t]),),
    "a number": (Eq(w[t], w[t - 1] - lr * grad[t] * when(grad[t] > 0, 2, -1)),),
    "rows": (Eq(w[t], w[t - 1] - lr * grad[t] / row_mean(grad[t] ** 2)),),
    "columns": (Eq(w[t], w[t - 1] - lr * grad[t] / column_mean(grad[t] ** 2)),),
    "a state of the tensor": (
        Eq(s[t], s[t - 1] / 2 + norm(grad[t])),
        Eq(w[t], w[t - 1] - lr * grad[t] / s[t]),
    ),
    "another reduction after the first": (
        Eq(w[t], w[t - 1] - lr * grad[t] / norm(grad[t] / (1 + norm(grad[t])))),
    ),
    "one state more": (
        *(Eq(x[t], x[t - 1] / 2 + grad[t]) for x in (m, s)),
        Eq(w[t], w[t - 1] - lr * m[t] * s[t]),
    ),
    "a start": (Eq(m[0], 2), *MOMENTUM),
    "a start at the weights": (Eq(m[0], w[0]), *MOMENTUM),
    "a start from settings": (Eq(m[0], lr), *MOMENTUM),
    "a first update": (Eq(m[1], grad[1]), *MOMENTUM),
    "a first step": (Eq(w[1], w[0]), *PLAIN),
    "a flag": (Eq(w[t], w[t - 1] - lr * when(early, grad[t], grad[t] ** 2)),),
    "a condition": (Eq(w[t], w[t - 1] - lr * when(lr > 1, grad[t], grad[t] ** 2)),),
    "a number of the step": (Eq(w[t], w[t - 1] - lr / Max(t, 2) * grad[t]),),
}


@pytest.mark.parametrize("name", NEW)
def test_who_shows_something_new_joins_the_sample(name: str) -> None:
    known = [made(*PLAIN), made(*MOMENTUM)]
    new = made(*NEW[name])
    assert new in cover([*known, new], lambda item: item)
    assert not new <= frozenset().union(*known)


def test_kernels_need_no_sample_of_what_others_compute() -> None:
    of_scalars, of_arrays = made(*NEW["an operation elsewhere"]), made(*NEW["an operation"])
    assert ("operation", "scalar", "atan") in of_scalars - done_for(["element"], of_scalars)
    assert ("operation", "element", "atan") in done_for(["element"], of_arrays)


def test_who_shows_nothing_new_does_not() -> None:
    again = made(Eq(m[t], grad[t] + m[t - 1] / 2), Eq(w[t], -lr * m[t] + w[t - 1]))
    assert cover([made(*MOMENTUM), again], lambda item: item) == [made(*MOMENTUM)]
