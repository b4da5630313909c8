"""Records how optax's gradient noise falls: its means and variances, for its numbers are others.

Needs optax and NumPy, nothing of this project:

    python tests/randomness/record_optax.py
"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

MANY, STEPS = 200_000, 6
SETTINGS = {"eta": 0.3, "gamma": 0.55}


def main() -> None:
    """Write recorded_optax.npz beside this file."""
    jax.config.update("jax_enable_x64", True)
    optimizer = optax.noisy_sgd(1.0, seed=0, **SETTINGS)
    w = jnp.zeros(MANY)
    state = optimizer.init(w)
    noises = []
    for _ in range(STEPS):
        found, state = optimizer.update(jnp.ones(MANY), state, w)
        noises.append(-1.0 - np.asarray(found))
    np.savez(
        Path(__file__).with_name("recorded_optax.npz"),
        mean=np.mean(noises, axis=1),
        variance=np.var(noises, axis=1),
        many=MANY,
        version=optax.__version__,
        **SETTINGS,
    )


if __name__ == "__main__":
    main()
