"""The files of recorded trajectories: how they are written and read.

One compressed .npz per library.  For a case and a quantity ("w", "exp_avg", ...) it holds one
array: a row per checkpoint, in it the parameters one after the other, each flattened in C order;
NaN where a parameter has no such state (yet).  A number kept per parameter ("step"), per row or per
column is repeated over the elements.  Beside them are the entries of the parameter groups at
RESUME_AT and, under "about", the library's version and the digest of the cases.  Nothing here knows
what is compared.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from cases import CASES, CHECKPOINTS, PARAMETERS, Array, Case, fingerprint, gradients, starts

FOLDER = Path(__file__).parent / "recorded"
# Kept once per parameter, not per element.
NUMBERS = (
    "step",
    "mu_product",
    "eta",
    "mu",
    "beta1_weight",
    "beta2_weight",
    "exp_avg_lr_1",
    "den_sum",
    "grads_ema",
    "exp_grad_norm",
    # Kept once per group, and recorded for each of its parameters.
    *("d", "d_max", "d_numerator", "numerator_weighted", "g0_norm"),
    *("gsq_weighted", "sk_sq_weighted", "sk_l1", "gamma"),
    *("max_dist", "sum_sq_norm_grads", "estim_sq_dist", "weighted_sq_norm_grads"),
    "m_avg_u",
    "v_mean",
    "gsnr",
    "decay",
    "v_k",
    "v_kk",
    "exp_avg_sq_max",
)

State = dict[str, Any]
"""The state of one parameter by its key in state_dict, and its value under "w"."""


class Foreign(Protocol):
    """An optimizer of another library over some parameters."""

    def set_lr(self, lr: float) -> None: ...

    def step(self, grads: Sequence[Any]) -> None: ...

    def states(self) -> list[State]: ...


Create = Callable[[Case, Mapping[str, Any], Sequence[Array]], Foreign]


class Recording:
    """The trajectories recorded from one library."""

    def __init__(self, library: str, folder: Path = FOLDER) -> None:
        with np.load(folder / f"{library}.npz") as archive:
            self._arrays: dict[str, Array] = {name: archive[name] for name in archive.files}
        self.about: dict[str, str] = json.loads(str(self._arrays["about"]))
        self.cases = [name[:-2] for name in self._arrays if name.endswith("/w")]

    def states(self, case: str, step: int) -> list[State]:
        """What each parameter holds after a step that is a checkpoint."""
        row = CHECKPOINTS.index(step)
        found: list[State] = [{} for _ in PARAMETERS]
        for name, values in self._arrays.items():
            owner, _, key = name.partition("/")
            if owner == case and key != "groups":
                for state, part, p in zip(found, _split(values[row]), PARAMETERS, strict=True):
                    if not np.isnan(part).all():
                        state[key] = float(part[0]) if key in NUMBERS else _shaped(part, p.shape)
        return found

    def groups(self, case: str) -> list[dict[str, Any]]:
        """The parameter groups of the state_dict at RESUME_AT."""
        groups: list[dict[str, Any]] = json.loads(str(self._arrays[f"{case}/groups"]))
        return [
            {
                key: tuple(v) if isinstance(v, list) and key != "params" else v
                for key, v in group.items()
            }
            for group in groups
        ]


class Recorder:
    """Collects one library's trajectories and writes their file."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Array]] = {}
        self._groups: dict[str, Array] = {}

    def add(self, case: Case, step: int, states: Sequence[State | None]) -> None:
        """Add what the parameters hold after a checkpoint; None for a parameter left out."""
        keys = {"w"}.union(*(state for state in states if state is not None))
        for key in sorted(keys):
            rows = self._rows.setdefault(
                f"{case.name}/{key}", [np.full(_total(), np.nan) for _ in CHECKPOINTS]
            )
            parts = _split(rows[CHECKPOINTS.index(step)])
            for part, p, state in zip(parts, PARAMETERS, states, strict=True):
                if state is not None and key in state:
                    assert np.isfinite(state[key]).all(), f"{case.name}: {key} of {p.name}"
                    part[:] = over_elements(state[key], p.shape).reshape(-1)

    def add_groups(self, case: Case, groups: Sequence[Mapping[str, Any]]) -> None:
        """Add the parameter groups of the state_dict at RESUME_AT."""
        self._groups[f"{case.name}/groups"] = np.array(json.dumps(groups))

    def write(
        self,
        library: str,
        version: str,
        folder: Path = FOLDER,
        cases: Mapping[str, Case] = CASES,
        name: str = "",
    ) -> None:
        """Write the file of a library, which is named after it."""
        about = {"library": library, "version": version, "cases": fingerprint(cases)}
        folder.mkdir(exist_ok=True)
        arrays = {key: np.array(rows) for key, rows in self._rows.items()}
        path = folder / f"{name or library}.npz"
        np.savez_compressed(path, about=np.array(json.dumps(about)), **arrays, **self._groups)


def repeated(state: State) -> State:
    """What a parameter holds, repeated over its elements as a recording has it."""
    shape = np.shape(state["w"])
    return {k: v if k in NUMBERS else over_elements(v, shape) for k, v in state.items()}


def over_elements(values: Array | float, shape: tuple[int, ...]) -> Array:
    """What a tensor, its rows or its columns hold, repeated over the elements of a parameter.

    Where there are more than two axes, what has two is of the first axis against all others.
    """
    found = np.asarray(values)
    if len(shape) > 2 and found.ndim == 2:
        found = np.broadcast_to(found, (shape[0], math.prod(shape[1:])))
    return found.reshape(shape) if found.size == math.prod(shape) else np.broadcast_to(found, shape)


def record_by_group(case: Case, recorder: Recorder, create: Create) -> None:
    """Run one case with a library that knows neither groups nor missing gradients.

    Each group has an optimizer of its own; parameters that miss a gradient are left out. `create`
    makes an optimizer of arguments and start values.
    """
    members = [
        [i for i, p in enumerate(PARAMETERS) if p.group == index and not p.missing]
        for index in range(len(case.groups))
    ]
    made = [
        create(case, {**case.arguments, **own}, [starts()[i] for i in which])
        for own, which in zip(case.groups, members, strict=True)
    ]
    for step, grads in enumerate(gradients(), start=1):
        states: list[State | None] = [None] * len(PARAMETERS)
        for optimizer, which in zip(made, members, strict=True):
            if "lr" in case.schedule().get(step, {}):
                optimizer.set_lr(case.schedule()[step]["lr"])
            optimizer.step([grads[i] for i in which])
            for i, state in zip(which, optimizer.states(), strict=True):
                states[i] = state
        if step in CHECKPOINTS:
            recorder.add(case, step, states)


def _total() -> int:
    return sum(values.size for values in starts())


@cache
def _ends() -> Array:
    """Where in a row each parameter ends, but for the last."""
    return np.cumsum([values.size for values in starts()])[:-1]


def _split(row: Array) -> list[Array]:
    """Views of a row, one per parameter."""
    return np.split(row, _ends())


def _shaped(part: Array, shape: tuple[int, ...]) -> Array:
    return part.reshape(shape).copy()
