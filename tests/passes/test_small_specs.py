"""Small specs that once were compiled wrongly, each the shortest that shows its case.

All static choices, three steps, NumPy and MLX, against the oracle within the running error bound.
"""

from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from lucidgen.ir.lower import lower
from lucidgen.passes import optimize
from lucidgen.passes.capture import capture
from lucidgen.spec import (
    Abs,
    Eq,
    Max,
    OptimizerSpec,
    column_mean,
    exp,
    flag,
    grad,
    hyper,
    norm,
    row_mean,
    series,
    sign,
    sqrt,
    t,
    w,
    when,
)
from lucidgen.verify.emitted import build, settings
from lucidgen.verify.replay import Run, replay

lr = hyper("lr", 0.5, at_least=0)
beta = hyper("beta", 0.9, at_least=0, below=1)
decay = hyper("decay", 0.0, at_least=0, special=0)
fast = flag("fast", False)
a, b, c, s = series("a"), series("b"), series("c"), series("s")

SPECS = {
    "a scalar that is another name in each case": (
        Eq(s[t], s[t - 1] * beta + lr),
        Eq(w[t], w[t - 1] - when(fast, s[t], beta) * grad[t]),
    ),
    "three cases of a host condition": (
        Eq(s[t], when(t > 1, when(decay, exp(lr) * decay, lr), 1 / t)),
        Eq(w[t], w[t - 1] - s[t] * grad[t]),
    ),
    "another name of a state that changes before it is read": (
        Eq(a[t], a[t - 1] + grad[t]),
        Eq(b[t], b[t - 1] * beta + when(fast, a[t - 1], grad[t])),
        Eq(w[t], w[t - 1] - lr * a[t] * b[t - 1]),
    ),
    "a state that is read in one case and written late": (
        Eq(a[t], beta * a[t - 1] + grad[t]),
        Eq(b[t], Max(b[t - 1], a[t - 1]) + grad[t] ** 2),
        Eq(w[t], w[t - 1] - lr * when(fast, b[t] * a[t - 1], grad[t]) / (1 + grad[t] ** 2)),
    ),
    "a quantity that is an unneeded state in one case": (
        Eq(a[t], a[t - 1] * beta + grad[t]),
        Eq(b[t], b[t - 1] * beta + when(fast, lr * grad[t] ** 2, a[t - 1]) * s[t]),
        Eq(s[t], 1 / (1 + t)),
        Eq(w[t], w[t - 1] - b[t]),
    ),
    "a scalar state before and after the step": (
        Eq(s[t], s[t - 1] + lr),
        Eq(w[t], w[t - 1] - s[t - 1] * grad[t] - s[t] * w[t - 1] - (1 - s[t - 1]) * sqrt(lr)),
    ),
    "a scalar state that is needed in one case": (
        Eq(s[0], lr),
        Eq(s[t], s[t - 1] * beta),
        Eq(w[t], w[t - 1] - when(fast, s[t], lr) * grad[t]),
    ),
    "a condition that a special value decides": (
        Eq(s[t], when(decay > lr**2, lr, beta)),
        Eq(w[t], w[t - 1] - s[t] * grad[t]),
    ),
    "norms in branches": (
        Eq(a[t], when(fast, lr * a[t - 1] / (1 + norm(a[t - 1])), grad[t])),
        Eq(w[t], w[t - 1] - a[t] * when(decay, 1 / (1 + norm(grad[t])), lr)),
    ),
    "a norm of nothing": (Eq(w[t], w[t - 1] - lr * grad[t] / (1 + norm(decay * grad[t]))),),
    "a factor that vanishes under two choices": (
        Eq(s[t], s[t - 1] + lr),
        Eq(w[t], w[t - 1] - lr * when(fast, beta, decay) * sign(grad[t] - norm(grad[t]))),
    ),
    "a power that is needed before and after a condition": (
        Eq(s[1], lr),
        Eq(s[t], beta * s[t - 1] + lr * beta**t),
        Eq(a[t], when(s[t] > lr, (1 - beta**t) * grad[t], w[t - 1]) + a[t - 1] / 2),
        Eq(w[t], w[t - 1] - lr * a[t]),
    ),
    "a first update of a state that is not needed": (
        Eq(a[1], grad[1]),
        Eq(a[t], when(fast, a[t - 1], 2 * w[t - 1]) + grad[t]),
        Eq(w[t], w[t - 1] - lr * a[t]),
    ),
    "a first update of a state that only what is dead reads": (
        Eq(a[1], grad[t]),
        Eq(a[t], 2 * grad[t]),
        Eq(b[t], a[t - 1]),
        Eq(w[t], w[t - 1] - lr * a[t]),
    ),
    "a first update of what is a state in one case": (
        Eq(a[1], grad[t]),
        Eq(a[t], 2 * grad[t]),
        Eq(b[t], when(fast, a[t - 1], grad[t])),
        Eq(w[t], w[t - 1] - lr * a[t] - lr * b[t]),
    ),
    "a branch that cancels what stands beside it": (
        Eq(s[t], s[t - 1] + lr * grad[t]),
        Eq(w[t], sqrt(Abs(w[t - 1])) - when(fast, grad[t], s[t]) + grad[t]),
    ),
    "states that change places": (
        Eq(a[t], b[t - 1]),
        Eq(b[t], when(fast, a[t - 1], grad[t])),
        Eq(w[t], w[t - 1] - lr * (a[t] + grad[t])),
    ),
    "the sign of a scalar that began as 0": (
        Eq(s[t], s[t - 1] + sign(s[t - 1]) / sqrt(t) + lr),
        Eq(w[t], w[t - 1] - s[t] / (1 + s[t - 1] * sqrt(2)) * grad[t]),
    ),
    "a norm inside a sum": (Eq(w[t], w[t - 1] - lr * (grad[t] + norm(w[t - 1]) * w[t - 1])),),
    "a scalar in one case only": (
        Eq(a[t], when(t > 1, norm(w[t - 1]), grad[t])),
        Eq(b[t], a[t - 1] + a[t]),
        Eq(w[t], w[t - 1] - lr * b[t]),
    ),
    "a delayed copy of one number per tensor": (
        Eq(a[t], a[t - 1] * lr + norm(grad[t])),
        Eq(b[t], a[t - 1]),
        Eq(w[t], w[t - 1] - lr * when(fast, a[t], b[t - 1])),
    ),
    "a delayed copy of a row": (
        Eq(a[t], a[t - 1] * lr + row_mean(grad[t])),
        Eq(b[t], a[t - 1]),
        Eq(w[t], w[t - 1] - lr * when(fast, a[t], b[t - 1])),
    ),
    "a delayed copy by way of another name": (
        Eq(a[t], a[t - 1] * lr + grad[t]),
        Eq(c[t], when(fast, a[t - 1], w[t - 1])),
        Eq(b[t], c[t]),
        Eq(w[t], w[t - 1] - lr * (a[t] + b[t - 1]) * c[t]),
    ),
    "copies of the parameter and of the gradient": (
        Eq(a[t], w[t - 1]),
        Eq(b[t], when(fast, w[t], grad[t])),
        Eq(w[t], w[t - 1] - lr * (grad[t] + b[t - 1] - a[t - 1])),
    ),
    "a column that begins as one number": (
        Eq(a[1], norm(grad[1])),
        Eq(a[t], a[t - 1] * lr + column_mean(grad[t])),
        Eq(w[t], w[t - 1] - lr * a[t]),
    ),
    "starts that call functions": (
        Eq(a[0], sign(w[0]) * Max(lr, beta) + when((w[0] > 0) & (w[0] < 1), exp(w[0]), -w[0])),
        Eq(a[t], a[t - 1] * beta + grad[t]),
        Eq(s[0], when(fast, sqrt(lr), when(decay, decay, lr))),
        Eq(s[t], s[t - 1] * beta),
        Eq(w[t], w[t - 1] - s[t] * a[t]),
    ),
}


def made(equations: tuple[Eq, ...]) -> OptimizerSpec:
    read = set().union(*(e.right.free_symbols for e in equations))
    return OptimizerSpec("Small", tuple(x for x in (lr, beta, decay, fast) if x in read), equations)


@pytest.fixture(autouse=True)
def uncompiled() -> Iterator[None]:
    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.mark.parametrize("name", SPECS)
def test_a_small_spec_agrees_with_the_oracle(name: str, tmp_path: Path) -> None:
    spec = made(SPECS[name])
    cls = build([spec], tmp_path).Small
    rng = np.random.default_rng(3)
    for setting in settings(spec):
        start, *grads = rng.standard_normal((4, 2, 2)).astype(np.float32)
        run = Run(cls, setting, optimize(lower(spec)), start, grads, {})
        for finding in replay(run):
            assert finding.comparison.worst <= 1, f"{setting}: {finding}"
            assert not finding.comparison.excluded
            assert len(finding.comparison.ratios) in (1, 2, 4)


@pytest.mark.parametrize("name", SPECS)
def test_a_small_spec_can_be_captured(name: str) -> None:
    program = capture(optimize(lower(made(SPECS[name])))).check()
    assert not any(set(let.guard.support) & set(program.conditions) for let in program.lets)
