"""Records the trajectories of keras's optimizers, in float64, into recorded/keras.npz.

Run as a script where keras and jax are installed; nothing of the project is needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from cases import CASES, Array, Case
from element_cases import KERAS_CASES
from recording import Recorder, State, record_by_group

# Our arguments by keras's names, for each class that it has; betas are two arguments there.
COMMON = {"lr": "learning_rate", "weight_decay": "weight_decay"}
ADAM = {**COMMON, "betas": "beta", "eps": "epsilon"}
CLASSES: dict[str, tuple[str, dict[str, str]]] = {
    "SGD": ("SGD", {**COMMON, "momentum": "momentum", "nesterov": "nesterov"}),
    "Adam": ("Adam", {**ADAM, "amsgrad": "amsgrad"}),
    "AdamW": ("AdamW", {**ADAM, "amsgrad": "amsgrad"}),
    "NAdam": ("Nadam", {**ADAM, "decoupled_weight_decay": ""}),
    "Adamax": ("Adamax", ADAM),
    "Adagrad": (
        "Adagrad",
        {**COMMON, "eps": "epsilon", "initial_accumulator_value": "initial_accumulator_value"},
    ),
    "Adadelta": ("Adadelta", {**COMMON, "rho": "rho", "eps": "epsilon"}),
    "FTRL": (
        "Ftrl",
        {
            "lr": "learning_rate",
            "lr_power": "learning_rate_power",
            "beta": "beta",
            "lambda_1": "l1_regularization_strength",
            "lambda_2": "l2_regularization_strength",
        },
    ),
    "RMSprop": (
        "RMSprop",
        {
            **COMMON,
            "alpha": "rho",
            "eps": "epsilon",
            "momentum": "momentum",
            "centered": "centered",
        },
    ),
}
# Where keras keeps the states, by our keys.
ADAM_STATES = {"exp_avg": "_momentums", "exp_avg_sq": "_velocities"}
STATES = {
    "SGD": {"momentum_buffer": "momentums"},
    "Adam": {**ADAM_STATES, "max_exp_avg_sq": "_velocity_hats"},
    "AdamW": {**ADAM_STATES, "max_exp_avg_sq": "_velocity_hats"},
    "NAdam": {**ADAM_STATES, "mu_product": "_u_product"},
    "Adamax": {"exp_avg": "_m", "exp_inf": "_u"},
    "Adagrad": {"sum": "_accumulators"},
    "FTRL": {"n": "_accumulators", "z": "_linears"},
    "Adadelta": {"square_avg": "_accumulated_grads", "acc_delta": "_accumulated_delta_vars"},
    "RMSprop": {
        "square_avg": "_velocities",
        "momentum_buffer": "_momentums",
        "grad_avg": "_average_gradients",
    },
}


def has(case: Case) -> bool:
    """Whether keras has the case's arguments; its decay always acts on the parameter."""
    given = {key: value for key, value in case.arguments.items() if value}
    if case.changes or case.optimizer not in CLASSES:
        return False
    coupled = "weight_decay" in given and not case.arguments.get("decoupled_weight_decay", True)
    return given.keys() <= CLASSES[case.optimizer][1].keys() and not coupled


class Keras:
    """An optimizer of keras over some parameters."""

    def __init__(self, case: Case, given: Mapping[str, Any], weights: Sequence[Array]) -> None:
        name, names = CLASSES[case.optimizer]
        arguments: dict[str, Any] = {}
        for key, value in given.items():
            if key == "betas":
                arguments["beta_1"], arguments["beta_2"] = value
            elif names.get(key):
                arguments[names[key]] = value
        self._keys = STATES[case.optimizer]
        self._weights = [keras.Variable(w, dtype="float64") for w in weights]
        self._optimizer = getattr(keras.optimizers, name)(**arguments)
        self._optimizer.build(self._weights)

    def set_lr(self, lr: float) -> None:
        """Change the learning rate."""
        self._optimizer.learning_rate = lr

    def step(self, grads: Sequence[Any]) -> None:
        """One step."""
        made = [keras.ops.convert_to_tensor(np.array(g), "float64") for g in grads]
        self._optimizer.apply(made, self._weights)

    def states(self) -> list[State]:
        """What each parameter holds, under our keys."""
        found: list[State] = [{"w": _numpy(w)} for w in self._weights]
        for index, state in enumerate(found):
            for key, attribute in self._keys.items():
                held = getattr(self._optimizer, attribute, None)
                if isinstance(held, list):
                    state |= {key: _numpy(held[index])} if held else {}
                elif held is not None:
                    state[key] = _numpy(held)
            if "momentum_buffer" not in self._keys or len(self._keys) > 1:
                state["step"] = float(_numpy(self._optimizer.iterations))
        return found


def _numpy(variable: Any) -> Array:
    return np.array(keras.ops.convert_to_numpy(variable), dtype=np.float64)


def main() -> None:
    """Record every case that keras has."""
    jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    recorder = Recorder()
    taken = {name: case for name, case in CASES.items() if has(case)}
    for case in taken.values():
        record_by_group(case, recorder, Keras)
    recorder.write("keras", keras.__version__, cases=taken)
    print(f"recorded {len(taken)} cases from keras {keras.__version__}")
    recorder = Recorder()
    for case in KERAS_CASES.values():
        record_by_group(case, recorder, Keras)
    recorder.write("keras", keras.__version__, cases=KERAS_CASES, name="more_keras")


if __name__ == "__main__":
    main()
