"""The language that spec files import: quantities, equations, optimizers and schedules.

What only schedules have is in `lucidgen.spec.schedule`.

A spec file says what is computed and nothing of how. This package owns the language and its checks;
it knows nothing of intermediate forms or targets.
"""

from typing import Any

from . import functions
from .elsewhere import where
from .equation import Eq
from .errors import Location, Problem, SpecError
from .functions import (
    Rational,
    column_max,
    column_mean,
    column_norm,
    column_total,
    count,
    group,
    largest,
    mean,
    norm,
    normal,
    over_group,
    pi,
    row_max,
    row_mean,
    row_norm,
    row_total,
    total,
    uniform,
    when,
)
from .optimizer import OptimizerSpec
from .quantities import (
    Bounds,
    columns,
    flag,
    grad,
    hyper,
    keyword_only,
    loss,
    ndim,
    rows,
    series,
    size,
    t,
    update,
    w,
)
from .schedule import Schedule
from .transform import step_of, transformed

__all__ = [
    "Bounds",
    "Eq",
    "Location",
    "OptimizerSpec",
    "Problem",
    "Rational",
    "Schedule",
    "SpecError",
    "column_max",
    "column_mean",
    "column_norm",
    "column_total",
    "columns",
    "count",
    "flag",
    "grad",
    "group",
    "hyper",
    "keyword_only",
    "largest",
    "loss",
    "mean",
    "ndim",
    "norm",
    "normal",
    "over_group",
    "pi",
    "row_max",
    "row_mean",
    "row_norm",
    "row_total",
    "rows",
    "series",
    "size",
    "step_of",
    "t",
    "total",
    "transformed",
    "uniform",
    "update",
    "w",
    "when",
    "where",
]
# The other functions of the language: exp, sqrt, Max ...
__all__ += sorted({*functions.NAMES} - {*__all__})


def __getattr__(name: str) -> Any:
    """A function of the language, by its name there."""
    return functions.__getattr__(name)
