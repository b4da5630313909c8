"""Generated classes next to the oracle: the same steps, and how far they come apart.

Owns driving a class on NumPy and MLX parameters. The truth and the bound are computed once for all
machines of one format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from ..ir.program import Program
from ..operations.bounds import FLOAT32, FLOAT64
from ..runtime import Parameter
from ..runtime.rules.rule import GROUP_STEP
from .emitted import arguments
from .oracle import Trajectory
from .rounding import Comparison, Enclosure, Undecided, compare
from .setting import Setting

Array = np.ndarray[Any, Any]


#: The argument `kernel` on machines of NumPy arrays. Complete GPU kernels take the place of loops.
KERNELS = {"numpy": "numpy", "cpp": "cpp", "cuda": "cpp", "metal": "cpp"}


@dataclass(frozen=True)
class Run:
    """What is run: a class and one of its readings, with all arguments, on some gradients.

    `states` are what exists before the first step by the names of the series, and `t` the steps
    done by then.
    """

    cls: type
    setting: Setting
    program: Program
    w: Array
    grads: Sequence[Array]
    states: Mapping[str, Any]
    t: int = 0


@dataclass(frozen=True)
class Finding:
    """One comparison: on which machine, after which step, of what."""

    machine: str
    step: int
    name: str
    comparison: Comparison

    def __str__(self) -> str:
        return f"{self.machine}, step {self.step}, {self.name}: {self.comparison.worst:.3g} bounds"


def replay(run: Run, machines: Iterable[str] = ("numpy", "mlx")) -> list[Finding]:
    """Step the class on each machine and compare w and every live state after each step.

    The comparison ends where rounding may decide a branch on the host.
    """
    kind = FLOAT32 if run.w.dtype == np.float32 else FLOAT64
    setting = replace(run.setting, shape=run.w.shape)
    states = {name: _with_equation_axes(state, setting) for name, state in run.states.items()}
    w = _with_equation_axes(run.w, setting)
    truth = Trajectory(setting, w, states, run.t)
    enclosure = Enclosure(setting, run.program, kind, w, dict(states), run.t)
    drivers = [(machine, _Driver(machine, run)) for machine in machines]
    found = []
    for number, grad in enumerate(run.grads, start=run.t + 1):
        truth.step(_with_equation_axes(grad, setting))
        try:
            enclosure.step(_with_equation_axes(grad, setting))
        except Undecided:
            break
        for machine, driver in drivers:
            computed = driver.step(grad, setting.loss(number))
            for name, values in computed.items():
                exact = truth.w if name == "w" else truth.states[name]
                bound = enclosure.w if name == "w" else enclosure.states[name]
                found.append(Finding(machine, number, name, compare(values, exact, bound)))
    return found


def step_all(run: Run, machine: str) -> None:
    """Step the class on a machine, and compare nothing."""
    driver = _Driver(machine, run)
    for number, grad in enumerate(run.grads, start=run.t + 1):
        driver.step(grad, run.setting.loss(number))


def _with_equation_axes(array: Any, setting: Setting) -> Any:
    """An array of the parameter's shape as the equations see it; anything else as it is."""
    return array.reshape(setting.axes) if np.shape(array) == setting.shape != () else array


class _Driver:
    """A class with one parameter on one machine: "numpy", "cpp" (compiled loops), "mlx", or "cuda"
    or "metal": complete kernels in the place of the loops (`gpu.phases`), once installed.
    """

    def __init__(self, machine: str, run: Run) -> None:
        self.mx: ModuleType | None = None
        if machine == "mlx":
            import mlx.core

            self.mx = mlx.core
        self.parameter = Parameter(self.array(run.w))
        chosen = arguments(
            run.setting, run.setting.spec.base if run.setting.spec.is_dialect else None
        )
        reading = run.setting.spec.reading
        kernel = KERNELS.get(machine, "auto")
        self.optimizer: Any = run.cls([self.parameter], dialect=reading, kernel=kernel, **chosen)
        setting = replace(run.setting, shape=run.w.shape)
        self.keys = {s.name: s.saved_as for s in setting.states()}
        state = {self.keys[name]: self.array(value) for name, value in run.states.items()}
        if run.t:
            state["step"] = state[GROUP_STEP] = run.t
        of_group = self.optimizer.rules[reading].group_keys
        self.optimizer.param_groups[0] |= {k: state.pop(k) for k in of_group if k in state}
        state.pop(GROUP_STEP, None)
        self.optimizer.state[self.parameter] = state

    def array(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return self.mx.array(value) if self.mx else value.copy()

    def step(self, grad: Array, loss: float) -> dict[str, Any]:
        self.parameter.grad = self.array(grad)
        self.optimizer.step(loss=loss)
        state = {**self.optimizer.param_groups[0], **self.optimizer.state[self.parameter]}
        found = {"w": self.parameter.data}
        found |= {name: state[key] for name, key in self.keys.items()}
        return found
