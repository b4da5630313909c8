"""The language that spec files import: quantities, equations, optimizers and schedules.

What only schedules have is in `lucidgen.spec.schedule`.

A spec file says what is computed and nothing of how. This package owns the language and its checks;
it knows nothing of intermediate forms or targets.
"""

from .elsewhere import where
from .equation import Eq
from .errors import Location, Problem, SpecError
from .functions import (
    Abs,
    Max,
    Min,
    Rational,
    column_mean,
    cos,
    exp,
    floor,
    group,
    log,
    mean,
    norm,
    pi,
    row_mean,
    sign,
    sqrt,
    tanh,
    total,
    when,
)
from .optimizer import OptimizerSpec
from .quantities import flag, grad, hyper, keyword_only, series, t, w
from .schedule import Schedule

__all__ = [
    "Abs",
    "Eq",
    "Location",
    "Max",
    "Min",
    "OptimizerSpec",
    "Problem",
    "Rational",
    "Schedule",
    "SpecError",
    "column_mean",
    "cos",
    "exp",
    "flag",
    "floor",
    "grad",
    "group",
    "hyper",
    "keyword_only",
    "log",
    "mean",
    "norm",
    "pi",
    "row_mean",
    "series",
    "sign",
    "sqrt",
    "t",
    "tanh",
    "total",
    "w",
    "when",
    "where",
]
