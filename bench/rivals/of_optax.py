"""optax under jit, weights and state donated."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
from cases import Case

os.environ.setdefault("JAX_PLATFORMS", "cpu")
import jax
import jax.numpy as jnp
import optax
import optax.contrib


def transformation(name: str, settings: dict[str, Any]) -> Any:
    """optax's optimizer, with arguments named as it names them."""
    settings["learning_rate"] = settings.pop("lr")
    if "betas" in settings:
        settings["b1"], settings["b2"] = settings.pop("betas")
    if name == "RMSprop":
        settings["decay"], settings["eps_in_sqrt"] = settings.pop("alpha"), False
    if name == "Prodigy":
        settings["betas"] = settings.pop("b1"), settings.pop("b2")
        return optax.contrib.prodigy(**settings)
    if name == "Adafactor":
        settings["weight_decay_rate"] = settings.pop("weight_decay")
        settings["min_dim_size_to_factor"] = 2
    return getattr(optax, name.lower())(**settings)


class Steps:
    def __init__(self, case: Case, weights: list[Any]) -> None:
        rule = transformation(case.optimizer, case.settings)

        @partial(jax.jit, donate_argnums=(0, 1))
        def update(arrays: Any, state: Any, gradients: Any) -> Any:
            updates, state = rule.update(gradients, state, arrays)
            return optax.apply_updates(arrays, updates), state

        self.update = update
        self.arrays = [jnp.array(value) for value in weights]
        # Each array of the state is its own: what is donated twice is refused.
        self.state = jax.tree.map(jnp.copy, rule.init(self.arrays))
        self.gradients: list[Any] = []

    def give(self, gradients: Iterable[Any]) -> None:
        self.gradients = jax.block_until_ready([jnp.array(grad) for grad in gradients])

    def step(self) -> None:
        self.arrays, self.state = self.update(self.arrays, self.state, self.gradients)
        jax.block_until_ready((self.arrays, self.state))

    def drop(self) -> None:
        self.gradients = []

    def weights(self) -> list[Any]:
        return [np.asarray(array) for array in self.arrays]


def steps(case: Case, weights: list[Any]) -> Steps:
    return Steps(case, weights)
