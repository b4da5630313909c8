"""Records runs of optax that are stopped halfway, with their states, into recorded/.

Run as a script where optax is installed; nothing of the project is needed.  Everything is float64.
A NamedTuple is kept as its name and its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from cases import RESUME_AT, STEPS
from optax_runs import RUNS
from resume_cases import NAMES, Stops, begin, named_gradients, nested


def _ema(learning_rate: float) -> Any:
    averages = optax.ema(0.9, debias=False)
    return optax.chain(averages, optax.scale_by_learning_rate(learning_rate))


def _masked(learning_rate: float) -> Any:
    """Two transformations, each with a part of the parameters."""
    labels = nested({name: name.partition(".")[0] for name in NAMES})
    parts = {label: optax.adam(learning_rate) for label in ("layer", "mixed", "heavy")}
    return optax.partition(parts, labels)


MAKE: Mapping[str, Any] = {
    "ema": _ema,
    "injected": optax.inject_hyperparams(optax.adam),
    "scheduled": lambda learning_rate: optax.adam(lambda step: learning_rate),
    "masked": _masked,
    "adopt": optax.contrib.adopt,
    "ademamix": optax.contrib.ademamix,
    "madgrad": optax.contrib.madgrad,
    "simplified": optax.contrib.simplified_ademamix,
}


def record(name: str, stops: Stops) -> None:
    """Run to the end; keep the weights and the state at the stop, and the weights at the end."""
    case = RUNS[name]
    optimizer = (MAKE.get(case.theirs) or getattr(optax, case.theirs))(**case.given)
    weights = jax.tree.map(jnp.asarray, nested(begin()))
    state = _wide(optimizer.init(weights))
    update = jax.jit(optimizer.update)
    for step, grads in enumerate(named_gradients(), start=1):
        updates, state = update(jax.tree.map(jnp.asarray, nested(grads)), state, weights)
        weights = optax.apply_updates(weights, updates)
        if step in (RESUME_AT, STEPS):
            stops.add_weights(name, step, _by_name(weights))
        if step == RESUME_AT:
            stops.add_state(name, _plain(state))


def _wide(state: Any) -> Any:
    """The state with everything in 64 bits: its counts and injected values too."""
    wide = {jnp.dtype("int32"): jnp.int64, jnp.dtype("float32"): jnp.float64}
    return jax.tree.map(lambda x: x.astype(wide.get(x.dtype, x.dtype)), state)


def _by_name(tree: Any) -> dict[str, Any]:
    return {
        ".".join(key.key for key in path): leaf for path, leaf in jax.tree.leaves_with_path(tree)
    }


def _plain(value: Any) -> Any:
    """Dicts in the place of NamedTuples, with the keys "class" and "fields"."""
    if hasattr(value, "_fields"):
        fields = {key: _plain(getattr(value, key)) for key in value._fields}
        return {"class": type(value).__name__, "fields": fields}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def main() -> None:
    """Record every run."""
    jax.config.update("jax_enable_x64", True)
    stops = Stops("optax", optax.__version__)
    for name in RUNS:
        record(name, stops)
    stops.write()
    print(f"recorded {len(RUNS)} runs of {STEPS} steps from optax {optax.__version__}")


if __name__ == "__main__":
    main()
