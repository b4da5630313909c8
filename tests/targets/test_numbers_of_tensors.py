"""What kernels read that is one number per tensor, and the code that computes it."""

from __future__ import annotations

from lucidgen.ir.lower import lower
from lucidgen.passes import optimize
from lucidgen.spec import Eq, OptimizerSpec, flag, grad, hyper, norm, series, t, w, when
from lucidgen.targets.common.gpu import tensors

lr = hyper("lr", 0.1, at_least=0)
scaled = flag("scaled", True)
s = series("s")

#: A state that steps read only where a flag says so.
Scaled = OptimizerSpec(
    "Scaled",
    arguments=(lr, scaled),
    equations=(
        Eq(s[t], s[t - 1] / 2 + norm(grad[t])),
        Eq(w[t], w[t - 1] - lr * grad[t] * when(scaled, 1 / (1 + s[t]), 1)),
    ),
)
Direct = Scaled.variant(
    "Direct", replace=(Eq(w[t], w[t - 1] - lr * when(scaled, s[t] * grad[t], grad[t])),)
)


def test_a_state_is_not_set_before_it_is_read_and_is_given_once() -> None:
    for spec in (Scaled, Direct):
        found = tensors(optimize(lower(spec)))
        assert found is not None
        assert not any(line.startswith("s = mx.array") for line in found.lines)
        assert [after for _, after in found.results].count("s") == 1
