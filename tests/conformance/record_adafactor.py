"""Records the trajectories of other libraries' Adafactor, in float64.

Run as `python tests/conformance/record_adafactor.py torch` where that library is installed, into
recorded/adafactor_torch.npz; nothing of the project is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from adafactor_cases import CASES
from cases import Array, Case
from recording import Create, Recorder, State, record_by_group


def torch() -> tuple[Recorder, str]:
    """By torch.optim.Adafactor."""
    import torch
    from record_torch import record

    recorder = Recorder()
    for case in CASES["torch"].values():
        record(case, recorder)
    return recorder, str(torch.__version__).split("+")[0]


class Keras:
    """keras.optimizers.Adafactor over some parameters."""

    def __init__(self, case: Case, given: Mapping[str, Any], weights: Sequence[Array]) -> None:
        import keras

        self._library = keras
        names = {"lr": "learning_rate", "beta2_decay": "beta_2_decay", "d": "clip_threshold"}
        arguments = {names.get(key, key): value for key, value in given.items() if key != "eps"}
        arguments["epsilon_1"], arguments["epsilon_2"] = given["eps"]
        self._weights = [keras.Variable(w, dtype="float64") for w in weights]
        self._optimizer = keras.optimizers.Adafactor(**arguments)
        self._optimizer.build(self._weights)

    def set_lr(self, lr: float) -> None:
        """Change the learning rate."""
        self._optimizer.learning_rate = lr

    def step(self, grads: Sequence[Any]) -> None:
        """One step."""
        made = [self._library.ops.convert_to_tensor(np.array(g), "float64") for g in grads]
        self._optimizer.apply(made, self._weights)

    def states(self) -> list[State]:
        """What each parameter holds, under our keys; of matrices it keeps v_hat, too."""
        of = self._optimizer
        numpy = self._library.ops.convert_to_numpy
        found = []
        for w, r, c, v in zip(self._weights, of._r, of._c, of._v, strict=True):
            held = {"row_var": r, "col_var": c} if len(w.shape) > 1 else {"variance": v}
            state = {key: _with_axes(key, np.array(numpy(x))) for key, x in held.items()}
            assert w.dtype == "float64"
            found.append({"w": np.array(numpy(w)), "step": float(numpy(of.iterations)), **state})
        return found


class Mlx:
    """mlx.optimizers.Adafactor over some parameters; its step count is a float64, too."""

    def __init__(self, case: Case, given: Mapping[str, Any], weights: Sequence[Array]) -> None:
        import mlx.core as mx
        import mlx.optimizers

        mx.set_default_device(mx.cpu)
        self._library = mx
        names = {"lr": "learning_rate", "beta2_decay": "decay_rate", "d": "clip_threshold"}
        names["beta1"] = "beta_1"
        arguments = {names.get(key, key): value for key, value in given.items()}
        self._weights = {str(i): mx.array(w, dtype=mx.float64) for i, w in enumerate(weights)}
        self._optimizer = mlx.optimizers.Adafactor(**arguments)
        self._optimizer.init(self._weights)
        self._optimizer.state["step"] = mx.array(0, dtype=mx.float64)
        self.set_lr(given["lr"])

    def set_lr(self, lr: float) -> None:
        """Change the learning rate."""
        mx = self._library
        self._optimizer.state["learning_rate"] = mx.array(lr, dtype=mx.float64)

    def step(self, grads: Sequence[Any]) -> None:
        """One step."""
        mx = self._library
        made = {str(i): mx.array(g, dtype=mx.float64) for i, g in enumerate(grads)}
        self._weights = self._optimizer.apply_gradients(made, self._weights)
        mx.eval(self._weights, self._optimizer.state)

    def states(self) -> list[State]:
        """What each parameter holds, under our keys."""
        keys = {"exp_avg_sq_row": "row_var", "exp_avg_sq_col": "col_var", "exp_avg_sq": "variance"}
        count, found = float(self._optimizer.state["step"].item()), []
        for name, w in self._weights.items():
            held = self._optimizer.state[name]
            assert all(x.dtype == self._library.float64 for x in (w, *held.values()))
            state = {keys.get(key, key): np.array(x) for key, x in held.items()}
            state = {key: _with_axes(key, x) for key, x in state.items()}
            found.append({"w": np.array(w), "step": count, **state})
        return found


def _with_axes(key: str, values: Array) -> Array:
    """A state of rows or columns with the axis that these libraries leave out."""
    axis = {"row_var": -1, "col_var": -2}.get(key)
    return values if axis is None else np.expand_dims(values, axis)


def by_group(library: str, create: Create) -> Recorder:
    """By a library that knows neither groups nor missing gradients."""
    recorder = Recorder()
    for case in CASES[library].values():
        record_by_group(case, recorder, create)
    return recorder


def keras() -> tuple[Recorder, str]:
    """By keras.optimizers.Adafactor, on jax, whose means are in float64; keras's are in float32."""
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    import keras
    from keras.src import ops

    def mean(x: Any, **options: Any) -> Any:
        return jax.numpy.mean(ops.convert_to_tensor(x), **options)

    ops.mean = mean
    jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    return by_group("keras", Keras), str(keras.__version__)


def mlx() -> tuple[Recorder, str]:
    """By mlx.optimizers.Adafactor, on the CPU."""
    return by_group("mlx", Mlx), version("mlx")


LIBRARIES = {"torch": torch, "keras": keras, "mlx": mlx}


def main() -> None:
    """Record every case of the libraries that are named."""
    for library in sys.argv[1:]:
        recorder, number = LIBRARIES[library]()
        recorder.write(library, number, cases=CASES[library], name=f"adafactor_{library}")
        print(f"recorded {len(CASES[library])} cases from {library} {number}")


if __name__ == "__main__":
    main()
