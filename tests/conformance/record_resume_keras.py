"""Records runs of keras that are stopped halfway, with their variables, into recorded/.

Run as a script where keras and jax are installed; nothing of the project is needed.  Everything is
float64.  Kept are the variables by their paths, as a user would keep them.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from cases import RESUME_AT, STEPS, Array
from keras_runs import RUNS
from resume_cases import Stops, begin, named_gradients


def record(name: str, stops: Stops) -> None:
    """Run to the end; keep the weights and the variables at the stop, the weights at the end."""
    case = RUNS[name]
    weights = {
        key: keras.Variable(w, dtype="float64", name=key.replace(".", "_"))
        for key, w in begin().items()
    }
    optimizer = getattr(keras.optimizers, case.theirs)(**case.given)
    optimizer.build(list(weights.values()))
    for step, grads in enumerate(named_gradients(), start=1):
        made = [keras.ops.convert_to_tensor(grads[key], "float64") for key in weights]
        optimizer.apply(made, list(weights.values()))
        if step in (RESUME_AT, STEPS):
            stops.add_weights(name, step, {key: _numpy(w) for key, w in weights.items()})
        if step == RESUME_AT:
            stops.add_state(name, {v.path: _numpy(v) for v in optimizer.variables})


def _numpy(variable: keras.Variable) -> Array:
    return np.array(keras.ops.convert_to_numpy(variable))


def main() -> None:
    """Record every run."""
    jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    stops = Stops("keras", keras.__version__)
    for name in RUNS:
        record(name, stops)
    stops.write()
    print(f"recorded {len(RUNS)} runs of {STEPS} steps from keras {keras.__version__}")


if __name__ == "__main__":
    main()
