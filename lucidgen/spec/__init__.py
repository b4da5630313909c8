"""The language that spec files import: quantities, equations and optimizers.

A spec file says what is computed and nothing of how. This package owns the language and its checks;
it knows nothing of intermediate forms or targets.
"""

from .errors import Location, Problem, SpecError
from .functions import (
    Abs,
    Max,
    Min,
    Rational,
    column_mean,
    exp,
    group,
    log,
    mean,
    norm,
    row_mean,
    sign,
    sqrt,
    tanh,
    total,
    when,
)
from .optimizer import Eq, OptimizerSpec
from .quantities import flag, grad, hyper, keyword_only, series, t, w

__all__ = [
    "Abs",
    "Eq",
    "Location",
    "Max",
    "Min",
    "OptimizerSpec",
    "Problem",
    "Rational",
    "SpecError",
    "column_mean",
    "exp",
    "flag",
    "grad",
    "group",
    "hyper",
    "keyword_only",
    "log",
    "mean",
    "norm",
    "row_mean",
    "series",
    "sign",
    "sqrt",
    "t",
    "tanh",
    "total",
    "w",
    "when",
]
