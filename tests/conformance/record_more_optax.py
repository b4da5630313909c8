"""Records the trajectories of optax's optimizers that torch lacks into recorded/more_optax.npz.

Run as a script where optax is installed; nothing of the project is needed.  Everything is float64.
A parameter without a gradient is left as it is: each has a transformation of its own, which is not
asked then.  Optax has no weight decay in these but for the two that take one.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from cases import CHECKPOINTS, GROUPS, PARAMETERS, STEPS, Case, gradients, starts
from more_cases import OPTAX_CASES
from recording import Recorder

MAKE: dict[str, Any] = {
    "Lion": optax.lion,
    "SignSGD": optax.signum,
    "AdaBelief": optax.adabelief,
    "Yogi": optax.yogi,
    "ADOPT": optax.contrib.adopt,
    "AdEMAMix": optax.contrib.ademamix,
    "MADGRAD": optax.contrib.madgrad,
    "SimplifiedAdEMAMix": optax.contrib.simplified_ademamix,
}
#: Our names of arguments, where the library's differ; a tuple is taken apart.
NAMES: dict[str, Any] = {"lr": "learning_rate", "betas": ("b1", "b2", "b3"), "clip": "use_clipping"}
#: Our keys of states by the library's; what is not here is no state of ours.
KEYS: dict[str, dict[str, str]] = {
    "Lion": {"mu": "exp_avg"},
    "SignSGD": {"ema": "momentum_buffer"},
    "AdaBelief": {"mu": "exp_avg", "nu": "exp_avg_var"},
    "Yogi": {"mu": "exp_avg", "nu": "exp_avg_sq"},
    "ADOPT": {"mu": "exp_avg", "nu": "exp_avg_sq"},
    "AdEMAMix": {"m1": "exp_avg", "m2": "exp_avg_slow", "nu": "exp_avg_sq"},
    "SimplifiedAdEMAMix": {"m": "exp_avg", "n": "exp_avg_sq"},
    "MADGRAD": {"s": "s", "grad_sum_sq": "grad_sum_sq", "x0": "x0"},
}


def arguments(case: Case, own: Mapping[str, Any]) -> dict[str, Any]:
    """The case's arguments as the library takes them."""
    found: dict[str, Any] = {}
    for key, value in {**case.arguments, **own}.items():
        name = NAMES.get(key, key)
        if isinstance(name, tuple):
            found |= dict(zip(name, value, strict=False))
        else:
            found["beta" if case.optimizer == "SignSGD" and key == "momentum" else name] = value
    if case.optimizer == "AdaBelief" and "eps" in found:
        found["eps_root"] = found["eps"]
    return found


def record(case: Case, recorder: Recorder) -> None:
    """Run one case and add its checkpoints."""
    weights = [jnp.asarray(values) for values in starts()]
    own = [{k: v for k, v in GROUPS[p.group].items() if k in case.arguments} for p in PARAMETERS]
    make = MAKE[case.optimizer]
    fixed = [name for name in inspect.signature(make).parameters if name != "learning_rate"]
    injected = optax.inject_hyperparams(make, static_args=fixed)
    makers = [injected(**arguments(case, values)) for values in own]
    states = [_wide(maker.init(w)) for maker, w in zip(makers, weights, strict=True)]
    begun = [False] * len(weights)
    for step, grads in enumerate(gradients(), start=1):
        for i, grad in enumerate(grads):
            changed = case.schedule().get(step, {})
            if "lr" in changed:
                states[i].hyperparams["learning_rate"] = jnp.asarray(changed["lr"])
            if grad is not None:
                update, states[i] = makers[i].update(jnp.asarray(grad), states[i], weights[i])
                weights[i] = weights[i] + update
                begun[i] = True
        if step in CHECKPOINTS:
            held = [
                {"w": np.asarray(w), **(_held(case, state) if there else {})}
                for w, state, there in zip(weights, states, begun, strict=True)
            ]
            recorder.add(case, step, held)


def _wide(state: Any) -> Any:
    """The state with counts in 64 bits: MADGRAD's root of 32 bits would be in single precision."""
    return jax.tree.map(lambda x: x.astype(jnp.int64) if x.dtype == jnp.int32 else x, state)


def _held(case: Case, state: Any) -> dict[str, Any]:
    """The states of a transformation under our keys, wherever in a chain they are."""
    found = {}
    for part in jax.tree.leaves(state.inner_state, is_leaf=lambda x: hasattr(x, "_asdict")):
        for key, value in part._asdict().items() if hasattr(part, "_asdict") else ():
            if key in KEYS[case.optimizer]:
                assert value.dtype == np.float64, key
                found[KEYS[case.optimizer][key]] = np.asarray(value)
    return found


def main() -> None:
    """Record every case that optax has."""
    jax.config.update("jax_enable_x64", True)
    recorder = Recorder()
    for case in OPTAX_CASES.values():
        record(case, recorder)
    recorder.write("optax", optax.__version__, cases=OPTAX_CASES, name="more_optax")
    print(f"recorded {len(OPTAX_CASES)} cases of {STEPS} steps from optax {optax.__version__}")


if __name__ == "__main__":
    main()
