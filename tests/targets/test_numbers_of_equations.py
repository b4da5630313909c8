"""Lines of emitted code say which equations they come from, once where several in a row do."""

from __future__ import annotations

from lucidgen.ir.lower import lower
from lucidgen.passes import optimize
from lucidgen.specs.adam import Adam
from lucidgen.targets import metal
from lucidgen.targets.common.host import host_function

PROGRAM = optimize(lower(Adam))


def test_lines_in_a_row_of_the_same_equations_say_so_once() -> None:
    assert tuple(host_function(PROGRAM).lines) == (
        "one_minus_beta1 = 1 - beta1  # (2)",
        "one_minus_beta2 = 1 - beta2  # (3)",
        "bias_correction2 = 1 - beta2 ** t  # (5)(6)(7)",
        "sqrt_bias_correction2 = sqrt(bias_correction2)",
        "scaled_eps = eps * sqrt_bias_correction2",
        "bias_correction1 = 1 - beta1 ** t",
        "m_scale = lr * sqrt_bias_correction2 / bias_correction1",
    )


def test_a_branch_says_it_anew() -> None:
    step = metal.kernels(PROGRAM, "adam").step
    assert step is not None
    lines = step.lines
    start = lines.index("if (amsgrad) {")
    assert lines[start : start + 6] == (
        "if (amsgrad) {",
        "    v_max = maximum(v_max, v);  // (4)",
        "    v_max_or_v = v_max;  // (6)",
        "} else {",
        "    v_max_or_v = v;  // (6)",
        "}",
    )
