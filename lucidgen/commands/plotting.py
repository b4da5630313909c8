"""A picture of a schedule: what it writes at each step.

Owns how a closed form is evaluated and drawn. It needs matplotlib, which nothing else does.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import Failure, WrongUsage, nearest
from ..package.scheduler import KEEPS_NAN, CompiledSchedule
from ..runtime.rules import ieee
from ..runtime.schedulers import arguments as schedule_arguments
from ..spec.schedule import Schedule, Whole, required
from ..targets.schedule import ScheduleFunction, expression_text

#: How many steps are drawn where nothing ends them.
STEPS = 120


def callable_of(function: ScheduleFunction, *, base: bool = True) -> Callable[..., float]:
    """A function of a schedule, ready to be called: `f(t, base, **arguments)`."""
    parameters = ", ".join((*(("t", "base") if base else ()), "*", *function.reads))
    parameters = parameters.removesuffix(", *").removesuffix("*")
    lines = "\n    ".join(function.lines)
    namespace = _namespace()
    exec(f"def found({parameters}):\n    {lines}\n", namespace)
    found: Callable[..., float] = namespace["found"]
    return found


def _namespace() -> dict[str, Any]:
    """All that the text of a schedule may call."""
    own = {name: getattr(ieee, name) for name in KEEPS_NAN}
    return {**vars(math), "bisect_right": bisect.bisect_right, **own}


def example(spec: Schedule, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for all arguments: those given, else the spec's example, else the defaults."""
    names = [argument.name for argument in spec.parameters]
    for name in given:
        if name not in names:
            raise WrongUsage(
                f"{spec.name} has no argument {name!r}{nearest(name, names)}; "
                f"it has {', '.join(names)}"
            )
    written = eval(f"dict({spec.example})", {"__builtins__": {"dict": dict}})
    values: dict[str, Any] = {a.name: a.default for a in spec.parameters} | written | dict(given)
    for argument in spec.parameters:
        value = values[argument.name]
        if isinstance(argument, Whole) and argument.otherwise is not None and value is None:
            values[argument.name] = eval(expression_text(argument.otherwise), _namespace(), values)
        elif value is required:
            raise WrongUsage(f"{spec.name} needs a value of {argument.name}")
    for compiled in CompiledSchedule(spec).arguments:
        kind = eval(compiled.data, vars(schedule_arguments))
        try:
            name = compiled.name
            values[name] = schedule_arguments.checked(kind, values[name], spec.name, 1)
        except (TypeError, ValueError) as error:
            raise WrongUsage(str(error)) from None
    return values


def values_of(spec: Schedule, given: Mapping[str, Any], steps: int, base: float) -> list[float]:
    """What a schedule writes at steps 0, 1, ..., for a group that starts with `base`."""
    compiled = CompiledSchedule(spec)
    arguments = example(spec, given)
    if spec.until is not None:
        steps = min(steps, arguments[spec.until.name] - 1)

    def own(function: ScheduleFunction) -> dict[str, Any]:
        return {name: arguments[name] for name in function.reads}

    try:
        if compiled.start is not None:
            base = callable_of(compiled.start, base=False)(**own(compiled.start))
        function = callable_of(compiled.value)
        return [float(function(t, base, **own(compiled.value))) for t in range(steps + 1)]
    except (ArithmeticError, TypeError, ValueError) as error:
        raise WrongUsage(f"{spec.name} cannot be drawn with these arguments: {error}") from None


def plot(spec: Schedule, path: Path, given: Mapping[str, Any], steps: int = STEPS) -> None:
    """Draw a schedule into a file, whose suffix says in which format."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Failure("a plot needs matplotlib: python -m pip install matplotlib") from None
    values = values_of(spec, given, steps, 1.0)
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(len(values)), values, drawstyle="steps-post", linewidth=1.5)
    axes.set_xlabel("$t$, steps of the scheduler")
    axes.set_ylabel("$\\eta_t$")
    axes.set_ylim(bottom=min(0.0, *values))
    axes.grid(alpha=0.3)
    shown = ", ".join(f"{k}={v}" for k, v in given.items()) or spec.example
    axes.set_title(f"{spec.name}({shown})", fontsize="medium")
    try:
        figure.savefig(path, dpi=150)
    except ValueError as error:
        raise WrongUsage(f"{path}: {error}") from None
