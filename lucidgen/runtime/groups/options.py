"""What every optimizer takes besides the arguments of its equations.

Owns the names of these options, their meaning and the checks of their values. What they bring about
is done elsewhere: clipping in ``clipping``, groups without weight decay in ``without_decay``, means
over batches in ``accumulation``, float32 copies in ``masters``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from ..checking import as_bool, as_count, as_number, shown
from .settings import CLIP_VALUE, as_bound

#: Arguments of torch's optimizers that say how a step runs, not what it computes. There is one way
#: here, ``kernel`` apart.
MACHINERY = ("foreach", "fused", "capturable", "differentiable")


class Options(TypedDict, total=False):
    """Keyword arguments of every optimizer.

    max_grad_norm : float above 0, default None
        Clip gradients to this norm, taken over all gradients of all groups: each is multiplied by
        ``min(1, max_grad_norm / (norm + 1e-6))``. ``optimizer.grad_norm`` is the norm found by the
        last step. A norm that is infinite or nan makes zeros and nans of the gradients;
        ``float("inf")`` clips nothing, and only measures. Squares are taken and added in the type
        of the gradients (float32 at least; float32 for all MLX arrays), in an order of the
        library's own. So the norm is right to 1e-4 of itself and mostly to 1e-6, and to 1e-10 for
        float64 in NumPy, however many elements there are: runs on NumPy and on MLX arrays agree to
        that, not to the bit. Between kernels for one kind of arrays it makes no difference.
    max_grad_value : float, at least 0, default None
        Clip each element of the gradients to at most this magnitude, after clipping by the norm.
        It is an entry of the groups, which can differ in it.
    no_decay : str, sequence of str, or function of name and parameter; default None
        Parameters without weight decay: those whose names match a pattern, such as ``"*.bias"``
        (``*`` is any text, ``?`` any letter, case counts), or for which the function is true, such
        as ``lambda name, p: p.data.ndim < 2``. Each group that the constructor is given becomes
        two, the second with ``weight_decay=0``; groups that are added later are not split.
    accumulation_steps : int, at least 1, default 1
        Update on every so manieth ``step()`` only, with the mean of the gradients that all these
        calls have found (a gradient that is missing counts as zeros); call ``zero_grad()`` after
        each, as ever. The sums are part of the state. ``optimizer.accumulated`` is the number of
        batches that wait. It is not for the MLX idiom.
    master_weights : bool, default False
        Keep a float32 copy of each parameter of type float16 or bfloat16, and compute steps on it,
        with states in float32; the parameter is the copy, rounded. Weights that are set are taken
        over: new ``.data``, and changes within a NumPy array.
    foreach, fused, capturable : bool, default None
        Accepted and without effect: a step has one form, and results do not depend on how it runs.
    differentiable : bool, default None
        Only None and False: a step is no part of a differentiable graph.

    Clipping acts while the step reads the gradients; they are never written to.
    """

    max_grad_norm: float | None
    max_grad_value: float | None
    no_decay: str | Sequence[str] | Callable[[str | None, Any], bool] | None
    accumulation_steps: int
    master_weights: bool
    foreach: bool | None
    fused: bool | None
    capturable: bool | None
    differentiable: bool | None


NAMES = tuple(Options.__annotations__)


def checked(given: Mapping[str, Any], label: str) -> Options:
    """The options that an optimizer keeps, checked.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong kind or out of its range.
    """
    for name in MACHINERY:
        value = given.get(name)
        if value is not None and not isinstance(value, bool):
            raise TypeError(f"{label}: {name} must be True, False or None, got {shown(value)}")
    if given.get("differentiable"):
        raise ValueError(
            f"{label}: differentiable=True is not possible: a step is no part of a graph"
        )
    found = Options()
    if given.get("max_grad_norm") is not None:
        found["max_grad_norm"] = as_max_grad_norm(given["max_grad_norm"], label)
    if given.get(CLIP_VALUE) is not None:
        found["max_grad_value"] = as_bound(given[CLIP_VALUE], label)
    if given.get("accumulation_steps") is not None:
        count = as_count(given["accumulation_steps"], f"{label}: accumulation_steps")
        found["accumulation_steps"] = count
    if given.get("master_weights") is not None:
        found["master_weights"] = as_bool(given["master_weights"], f"{label}: master_weights")
    return found


def as_max_grad_norm(value: Any, label: str) -> float | None:
    """The checked value of ``max_grad_norm``."""
    if value is None:
        return None
    number = as_number(value, f"{label}: max_grad_norm", may_be_infinite=True)
    if number <= 0:
        raise ValueError(
            f"{label}: max_grad_norm must be above 0, got {number!r}; None does not clip"
        )
    return number
