"""Runs that other libraries begin and ours go on with: settings and data, as plain NumPy.

What the scripts ``record_resume_*.py`` and ``test_resume.py`` share.  Weights and gradients are
those of ``cases``, as far as the parameters are in its first group and have all their gradients; a
library stops after RESUME_AT steps, saves its state, and goes on without us to the last step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cases import PARAMETERS, Array, gradients, starts

FOLDER = Path(__file__).parent / "recorded"

#: The parameters by name, in an order that is not that of their names.
NAMES = {"layer.tiny": 1, "layer.line": 0, "mixed": 2, "heavy": 3}
assert all(not PARAMETERS[i].missing and PARAMETERS[i].group == 0 for i in NAMES.values())

Named = dict[str, Array]


@dataclass(frozen=True)
class Resume:
    """A run: the library's optimizer with its arguments, and ours that go on with it."""

    name: str
    theirs: str
    given: Mapping[str, Any]
    ours: str
    arguments: Mapping[str, Any]
    dialects: tuple[str, ...]


def begin() -> Named:
    """The start values by name."""
    values = starts()
    return {name: values[i] for name, i in NAMES.items()}


def named_gradients() -> list[Named]:
    """The gradients of each step by name."""
    found = []
    for grads in gradients():
        step = {name: grads[i] for name, i in NAMES.items()}
        assert all(grad is not None for grad in step.values())
        found.append({name: np.array(grad) for name, grad in step.items()})
    return found


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of a mapping from dotted names."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *path, last = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return tree


class Stopped:
    """The recorded runs of one library: weights where it stopped and at the end, and its state.

    A state is JSON in which ``{"array": name}`` stands for an array.
    """

    def __init__(self, library: str, folder: Path = FOLDER) -> None:
        with np.load(folder / f"resume_{library}.npz") as archive:
            self._arrays = {name: archive[name] for name in archive.files}
        self.about: dict[str, str] = json.loads(str(self._arrays["about"]))
        self.cases = [name[: -len("/state")] for name in self._arrays if name.endswith("/state")]

    def state(self, case: str) -> Any:
        """The state that the library saved."""
        return _filled(json.loads(str(self._arrays[f"{case}/state"])), self._arrays)

    def weights(self, case: str, step: int) -> Named:
        """The weights after a step, RESUME_AT or the last."""
        return {name: self._arrays[f"{case}/{step}/{name}"] for name in NAMES}


class Stops:
    """Collects the runs of one library and writes their file."""

    def __init__(self, library: str, version: str) -> None:
        self._library = library
        about = {"library": library, "version": version}
        self._arrays: dict[str, Array] = {"about": np.array(json.dumps(about))}

    def add_weights(self, case: str, step: int, weights: Mapping[str, Any]) -> None:
        """Add the weights after a step."""
        for name in NAMES:
            self._arrays[f"{case}/{step}/{name}"] = np.array(weights[name], dtype=np.float64)

    def add_state(self, case: str, state: Any) -> None:
        """Add a state: a tree of dicts, lists, numbers, texts, and anything like an array."""
        described = _described(state, f"{case}/state", self._arrays)
        self._arrays[f"{case}/state"] = np.array(json.dumps(described))

    def write(self, folder: Path = FOLDER) -> None:
        """Write the file of the library."""
        np.savez_compressed(folder / f"resume_{self._library}.npz", **self._arrays)  # type: ignore[arg-type]


def _described(value: Any, path: str, arrays: dict[str, Array]) -> Any:
    if isinstance(value, Mapping):
        pairs = [[key, _described(v, f"{path}/{key}", arrays)] for key, v in value.items()]
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        return [_described(v, f"{path}/{i}", arrays) for i, v in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    arrays[path] = np.array(value)
    return {"array": path}


def _filled(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, list):
        return [_filled(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]].copy()
    return {key: _filled(item, arrays) for key, item in value["dict"]}
