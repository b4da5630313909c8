"""torch's update rules by hand in NumPy, each of which can be made wrong on purpose.

It is what shows that the comparison passes for right updates and fails for wrong ones, without
anything that the compiler made.  It is no second implementation to test our classes against: the
recordings are.  It keeps to the small part of the interface that replay.py uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from cases import Array
from recording import NUMBERS

DEFAULTS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0},
    "Adam": {"lr": 1e-3, "weight_decay": 0.0, "amsgrad": False},
    "AdamW": {"lr": 1e-3, "weight_decay": 1e-2, "amsgrad": False},
    "NAdam": {"lr": 2e-3, "weight_decay": 0.0, "momentum_decay": 4e-3},
    "RAdam": {"lr": 1e-3, "weight_decay": 0.0},
}


class Library:
    """A namespace with the five classes, right except for the defects that it is given."""

    def __init__(self, *defects: str) -> None:
        self._defects = frozenset(defects)

    def __getattr__(self, name: str) -> Any:
        defects = self._defects

        def create(groups: Sequence[Mapping[str, Any]], **arguments: Any) -> Optimizer:
            return Optimizer(name, groups, defects, arguments)

        return create


class Optimizer:
    """One of the five over groups of NumPy parameters."""

    def __init__(
        self,
        kind: str,
        groups: Sequence[Mapping[str, Any]],
        defects: frozenset[str],
        arguments: Mapping[str, Any],
    ) -> None:
        common = {"betas": (0.9, 0.999), "eps": 1e-8, "maximize": False}
        self.param_groups = [{**common, **DEFAULTS[kind], **arguments, **g} for g in groups]
        self._first_lr = self.param_groups[0]["lr"]
        self._kind, self._defects = kind, defects
        self._pairs = [(p, group) for group in self.param_groups for p in group["params"]]
        self._states: list[dict[str, Any]] = [{} for _ in self._pairs]

    def state_dict(self) -> dict[str, Any]:
        """The states in torch's layout."""
        return {"state": {index: state for index, state in enumerate(self._states) if state}}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take over states and group entries as torch saves them."""
        for group, entries in zip(self.param_groups, saved["param_groups"], strict=True):
            group.update({key: value for key, value in entries.items() if key != "params"})
        for index, state in saved["state"].items():
            self._states[index].update(
                {k: v if k in NUMBERS else self._like(index, v) for k, v in state.items()}
            )

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        update = self._sgd if self._kind == "SGD" else self._adam
        for (parameter, group), state in zip(self._pairs, self._states, strict=True):
            if parameter.grad is not None:
                maximizes = group["maximize"] and "minimizes" not in self._defects
                grad = -parameter.grad if maximizes else parameter.grad
                parameter.data = update(group, state, parameter.data, grad)

    def _like(self, index: int, values: Array) -> Array:
        return np.asarray(values, dtype=self._pairs[index][0].data.dtype)

    def _lr(self, group: Mapping[str, Any]) -> float:
        return float(self._first_lr if "stale lr" in self._defects else group["lr"])

    def _sgd(self, group: Mapping[str, Any], state: dict[str, Any], w: Array, grad: Array) -> Array:
        mu = group["momentum"]
        g = grad + group["weight_decay"] * w
        if mu != 0:
            if "momentum_buffer" not in state:
                first = grad if "first buffer without decay" in self._defects else g
                damped = "first buffer dampened" in self._defects
                buffer = first * (1 - group["dampening"]) if damped else first
            else:
                buffer = mu * state["momentum_buffer"] + (1 - group["dampening"]) * g
            state["momentum_buffer"] = buffer
            g = g + mu * buffer if group["nesterov"] else buffer
        return w - self._lr(group) * g

    def _adam(
        self, group: Mapping[str, Any], state: dict[str, Any], w: Array, grad: Array
    ) -> Array:
        lr, decay = self._lr(group), group["weight_decay"]
        if self._kind == "AdamW" or group.get("decoupled_weight_decay"):
            w = w * (1 - lr * decay)
        else:
            grad = grad + decay * w
        if not state:
            state.update(step=0.0, exp_avg=np.zeros_like(w), exp_avg_sq=np.zeros_like(w))
        beta1, beta2 = group["betas"]
        state["step"] += 1
        state["exp_avg"] = beta1 * state["exp_avg"] + (1 - beta1) * grad
        state["exp_avg_sq"] = beta2 * state["exp_avg_sq"] + (1 - beta2) * grad * grad
        t, m, v, eps = state["step"], state["exp_avg"], state["exp_avg_sq"], group["eps"]
        if group.get("amsgrad"):
            v = np.maximum(state.get("max_exp_avg_sq", np.zeros_like(v)), v)
            kept = np.zeros_like(v) if "maximum not kept" in self._defects else v
            state["max_exp_avg_sq"] = kept
        c1, c2 = 1 - beta1**t, 1 - beta2**t
        if "no bias correction" in self._defects:
            c1 = c2 = 1.0
        scaled = np.sqrt(v / c2) + eps
        if "eps before correction" in self._defects:
            scaled = (np.sqrt(v) + eps) / c2**0.5
        if "eps inside root" in self._defects:
            scaled = np.sqrt(v / c2 + eps)
        if self._kind == "NAdam":
            return w - lr * self._looked_ahead(group, state, grad) / scaled
        if self._kind == "RAdam":
            return w - lr * m / c1 * self._rectified(group, t, v, c2)
        return w - lr * (m / c1) / scaled

    def _looked_ahead(self, group: Mapping[str, Any], state: dict[str, Any], grad: Array) -> Array:
        beta1, t = group["betas"][0], state["step"]
        mu, mu_next = (
            beta1 * (1 - 0.5 * 0.96 ** (k * group["momentum_decay"])) for k in (t, t + 1)
        )
        state["mu_product"] = state.get("mu_product", 1.0) * mu
        product = state["mu_product"]
        if "no schedule of mu" in self._defects:
            mu = mu_next = beta1
        ahead = mu_next / (1 - product * mu_next) * state["exp_avg"]
        result: Array = (1 - mu) / (1 - product) * grad + ahead
        return result

    def _rectified(self, group: Mapping[str, Any], t: float, v: Array, c2: float) -> Any:
        beta2 = group["betas"][1]
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        if rho <= (4 if "rectified from 4" in self._defects else 5):
            return 1.0
        top, bottom = (rho - 4) * (rho - 2) * rho_inf, (rho_inf - 4) * (rho_inf - 2) * rho
        return (top / bottom) ** 0.5 * c2**0.5 / (np.sqrt(v) + group["eps"])
