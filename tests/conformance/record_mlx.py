"""Records the trajectories of MLX's optimizers, in float64 on the CPU, into recorded/mlx.npz.

Run as a script where mlx is installed; nothing of the project is needed.  MLX makes the learning
rate a float32 array; it is replaced, so that everything is float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import mlx.core as mx
import mlx.optimizers
import numpy as np
from cases import CASES, Array, Case
from recording import Recorder, State, record_by_group

# For each class: its arguments besides the learning rate, and our keys of states by MLX's.
MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}
CLASSES: dict[str, tuple[set[str], dict[str, str]]] = {
    "SGD": ({"momentum", "weight_decay", "dampening", "nesterov"}, {"v": "momentum_buffer"}),
    "Adam": ({"betas", "eps"}, MOMENTS),
    "AdamW": ({"betas", "eps", "weight_decay"}, MOMENTS),
    "Adamax": ({"betas", "eps"}, {"m": "exp_avg", "v": "exp_inf"}),
    "Adagrad": ({"eps"}, {"v": "sum"}),
    "RMSprop": ({"alpha", "eps"}, {"v": "square_avg"}),
    "Adadelta": ({"rho", "eps"}, {"v": "square_avg", "u": "acc_delta"}),
}
#: What MLX calls otherwise.
NAMES = {"Adadelta": "AdaDelta"}


def has(case: Case) -> bool:
    """Whether MLX has the case's arguments; it has no default for the learning rate."""
    given = {key for key, value in case.arguments.items() if value} - {"lr"}
    known = case.optimizer in CLASSES and given <= CLASSES[case.optimizer][0]
    return known and not case.changes and "lr" in case.arguments


class Mlx:
    """An optimizer of MLX over some parameters."""

    def __init__(self, case: Case, given: Mapping[str, Any], weights: Sequence[Array]) -> None:
        names, self._keys = CLASSES[case.optimizer]
        arguments = {key: value for key, value in given.items() if key in names}
        self._counts = case.optimizer != "SGD"
        self._keeps_buffer = case.optimizer != "SGD" or bool(given.get("momentum"))
        self._weights = {str(i): mx.array(w, dtype=mx.float64) for i, w in enumerate(weights)}
        name = NAMES.get(case.optimizer, case.optimizer)
        self._optimizer = getattr(mlx.optimizers, name)(given["lr"], **arguments)
        self._optimizer.init(self._weights)
        self.set_lr(given["lr"])

    def set_lr(self, lr: float) -> None:
        """Change the learning rate."""
        self._optimizer.state["learning_rate"] = mx.array(lr, dtype=mx.float64)

    def step(self, grads: Sequence[Any]) -> None:
        """One step."""
        made = {str(i): mx.array(g, dtype=mx.float64) for i, g in enumerate(grads)}
        self._weights = self._optimizer.apply_gradients(made, self._weights)
        mx.eval(self._weights, self._optimizer.state)

    def states(self) -> list[State]:
        """What each parameter holds, under our keys; SGD's buffer only where there is momentum."""
        found: list[State] = []
        for name, w in self._weights.items():
            assert w.dtype == mx.float64
            held = self._optimizer.state[name] if self._keeps_buffer else {}
            state = {"w": np.array(w)} | {self._keys[k]: np.array(v) for k, v in held.items()}
            if self._counts:
                state["step"] = float(self._optimizer.state["step"].item())
            found.append(state)
        return found


def main() -> None:
    """Record every case that MLX has."""
    mx.set_default_device(mx.cpu)
    recorder = Recorder()
    taken = {name: case for name, case in CASES.items() if has(case)}
    for case in taken.values():
        record_by_group(case, recorder, Mlx)
    recorder.write("mlx", version("mlx"), cases=taken)
    print(f"recorded {len(taken)} cases from mlx {version('mlx')}")


if __name__ == "__main__":
    main()
