"""Records the trajectories of optax's optimizers, in float64, into recorded/optax.npz.

Run as a script where optax is installed; nothing of the project is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax
from cases import CASES, Array, Case
from recording import Recorder, State, record_by_group

ADAM = {"betas": "b", "eps": "eps", "eps_root": "eps_root"}


def _adam(lr: float, amsgrad: bool = False, **arguments: Any) -> Any:
    return (optax.amsgrad if amsgrad else optax.adam)(lr, **arguments)


def _adamw(lr: float, amsgrad: bool = False, **arguments: Any) -> Any:
    if not amsgrad:
        return optax.adamw(lr, **arguments)
    decay = arguments.pop("weight_decay", 1e-4)
    return optax.chain(
        optax.scale_by_amsgrad(**arguments),
        optax.add_decayed_weights(decay),
        optax.scale_by_learning_rate(lr),
    )


def _rmsprop(lr: float, momentum: float = 0.0, **arguments: Any) -> Any:
    return optax.rmsprop(lr, momentum=momentum or None, **arguments)


def _nadam(lr: float, weight_decay: float = 0.0, **arguments: Any) -> Any:
    return optax.nadamw(lr, weight_decay=weight_decay, **arguments)


def _adamax(lr: float, weight_decay: float = 0.0, **arguments: Any) -> Any:
    return optax.adamaxw(lr, weight_decay=weight_decay, **arguments)


def _rprop(lr: float, **arguments: Any) -> Any:
    return optax.rprop(lr, **arguments)


# For each class: what makes it, our arguments by optax's names, our keys of states by optax's.
Maker = Callable[..., Any]
MOMENTS = {"mu": "exp_avg", "nu": "exp_avg_sq", "nu_max": "max_exp_avg_sq"}
CLASSES: dict[str, tuple[Maker, dict[str, str], dict[str, str]]] = {
    "Adam": (_adam, {**ADAM, "amsgrad": "amsgrad"}, MOMENTS),
    "AdamW": (_adamw, {**ADAM, "amsgrad": "amsgrad", "weight_decay": "weight_decay"}, MOMENTS),
    "NAdam": (_nadam, {**ADAM, "weight_decay": "weight_decay"}, MOMENTS),
    "RAdam": (optax.radam, ADAM, MOMENTS),
    "Adamax": (
        _adamax,
        {"betas": "b", "eps": "eps", "weight_decay": "weight_decay"},
        {"mu": "exp_avg", "nu": "exp_inf"},
    ),
    "Adagrad": (
        optax.adagrad,
        {"eps": "eps", "initial_accumulator_value": "initial_accumulator_value"},
        {"sum_of_squares": "sum"},
    ),
    "RMSprop": (
        _rmsprop,
        {"alpha": "decay", "eps": "eps", "momentum": "momentum", "centered": "centered"},
        {"mu": "grad_avg", "nu": "square_avg", "trace": "momentum_buffer"},
    ),
    "Rprop": (
        _rprop,
        {"etas": "eta", "step_sizes": "step_size"},
        {"step_sizes": "step_size", "prev_updates": "prev"},
    ),
}
PAIRS = {
    "betas": ("b1", "b2"),
    "etas": ("eta_minus", "eta_plus"),
    "step_sizes": ("min_step_size", "max_step_size"),
}


def has(case: Case) -> bool:
    """Whether optax has the case's arguments; it has no default for the learning rate."""
    given = {key for key, value in case.arguments.items() if value} - {"lr"}
    known = case.optimizer in CLASSES and given <= CLASSES[case.optimizer][1].keys()
    return known and not case.changes and "lr" in case.arguments


class Optax:
    """An optimizer of optax over some parameters."""

    def __init__(self, case: Case, given: Mapping[str, Any], weights: Sequence[Array]) -> None:
        self._make, names, self._keys = CLASSES[case.optimizer]
        self._arguments: dict[str, Any] = {}
        for key, value in given.items():
            if key in PAIRS and key in names:
                self._arguments |= dict(zip(PAIRS[key], value, strict=True))
            elif key in names:
                self._arguments[names[key]] = value
        self._weights = [jax.numpy.asarray(w) for w in weights]
        self.set_lr(given["lr"])
        self._state = self._optimizer.init(self._weights)
        self._steps = 0

    def set_lr(self, lr: float) -> None:
        """Change the learning rate; the state stays."""
        self._optimizer = self._make(lr, **self._arguments)
        self._update = jax.jit(self._optimizer.update)

    def step(self, grads: Sequence[Any]) -> None:
        """One step."""
        made = [jax.numpy.asarray(g) for g in grads]
        updates, self._state = self._update(made, self._state, self._weights)
        self._weights = optax.apply_updates(self._weights, updates)
        self._steps += 1

    def states(self) -> list[State]:
        """What each parameter holds, under our keys."""
        found: list[State] = [{"w": np.array(w), "step": float(self._steps)} for w in self._weights]
        for part in jax.tree.leaves(self._state, is_leaf=lambda x: hasattr(x, "_fields")):
            for field in getattr(part, "_fields", ()):
                if field in self._keys:
                    for state, value in zip(found, getattr(part, field), strict=True):
                        state[self._keys[field]] = np.array(value)
        assert all(w.dtype == np.float64 for w in self._weights)
        return found


def main() -> None:
    """Record every case that optax has."""
    jax.config.update("jax_enable_x64", True)
    recorder = Recorder()
    taken = {name: case for name, case in CASES.items() if has(case)}
    for case in taken.values():
        record_by_group(case, recorder, Optax)
    recorder.write("optax", optax.__version__, cases=taken)
    print(f"recorded {len(taken)} cases from optax {optax.__version__}")


if __name__ == "__main__":
    main()
