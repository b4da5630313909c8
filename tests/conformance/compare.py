"""How two trajectories are compared, and what difference is allowed.

Compared are the states and the way that w has moved, `w - w0`, each array on its own scale:
max|a - b| / max|b|.  Comparing w itself would hide a wrong update behind a large weight, and one
tolerance over all arrays would hide a wrong small state behind a large one.

With u the unit roundoff of the type (half a unit in the last place of 1) and T = 50 steps:

*Rounding of w.*  A step rounds w at most three times: the decay factor 1 - lr lambda, its product
with w, and the difference.  Each costs at most u |w|, so that after t steps `w - w0` may differ by
3 t u |w| for this reason alone.  That much is taken off each element's difference before scaling.

*float64, 1e-12.*  A state is a linear recurrence with two products, a sum and constants that are
rounded: at most 4 u a step relative to its terms, 4 T u = 2e-14 in all; the update adds some ten
operations.  Cancellation between a gradient and the decay, or between updates, can cost a factor
of up to 20 more before the bound of 1e-12 is passed.

*float32, 2e-6.*  The worst case would be 4 T u = 1.2e-5, but only if all roundings went one way.
They are independent but for the constants, which have the same error in every step: 0.999 in
float32 is off by 1.3e-8, 6.5e-7 in 50 steps.  The others add up like sqrt(2 T) u / sqrt(3)
= 3.4e-7; with four times this for the largest of the elements, the sum is 2.0e-6.

*Captured, 1e-5.*  The host arithmetic is float32 too: bias corrections carry a few u instead of
none, and powers such as beta**t carry t u: another 50 * 6e-8 * 2 = 6e-6 on top of the above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cases import Array
from recording import State

ROUNDINGS_OF_W = 3


@dataclass(frozen=True)
class Tolerance:
    """What may differ: `relative` to an array's largest element; `unit` is the type's roundoff."""

    relative: float
    unit: float


FLOAT64 = Tolerance(1e-12, 2.0**-53)
FLOAT32 = Tolerance(2e-6, 2.0**-24)
CAPTURED = Tolerance(1e-5, 2.0**-24)


def differences(
    actual: Sequence[State],
    expected: Sequence[State],
    begin: Sequence[Array],
    steps: int,
    tolerance: Tolerance,
) -> list[str]:
    """One line for each array that differs, after `steps` steps from the weights `begin`."""
    lines = []
    for index, (ours, theirs, w0) in enumerate(zip(actual, expected, begin, strict=True)):
        if ours.keys() != theirs.keys():
            lines.append(f"parameter {index}: keys {sorted(ours)}, expected {sorted(theirs)}")
            continue
        for key in sorted(theirs):
            if np.shape(ours[key]) != np.shape(theirs[key]):
                lines.append(f"parameter {index}: {key} has shape {np.shape(ours[key])}")
                continue
            if key == "w":
                found = moved(ours["w"], theirs["w"], w0, steps, tolerance.unit)
            else:
                found = scaled(ours[key], theirs[key])
            if not found <= tolerance.relative:
                label = "w - w0" if key == "w" else key
                lines.append(
                    f"parameter {index}: {label} differs by {found:.1e}, "
                    f"{tolerance.relative:.0e} is allowed"
                )
    return lines


def scaled(actual: Array | float, expected: Array | float) -> float:
    """max|a - b| / max|b|; 0 where both are zero, infinite where only b is, or with a NaN."""
    return _ratio(np.abs(_array(actual) - _array(expected)), _array(expected))


def moved(actual: Array, expected: Array, begin: Array, steps: int, unit: float) -> float:
    """The same of `w - begin`, beyond what rounding w in each step may do."""
    larger = np.maximum(np.abs(_array(expected)), np.abs(begin))
    difference = np.abs(_array(actual) - _array(expected))
    beyond = difference - ROUNDINGS_OF_W * steps * unit * larger
    return _ratio(np.where(beyond < 0, 0.0, beyond), _array(expected) - begin)


def _array(values: Array | float) -> Array:
    return np.asarray(values, dtype=np.float64)


def _ratio(difference: Array, expected: Array) -> float:
    largest, size = float(np.max(difference)), float(np.max(np.abs(expected)))
    if largest == 0:
        return 0.0
    return largest / size if np.isfinite(largest) and size > 0 else np.inf
