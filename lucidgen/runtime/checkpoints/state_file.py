"""Checkpoint files: the state dict of an optimizer as a safetensors file.

Owns how a state dict becomes arrays, which ``mx.load`` reads by name ("layers.0.weight.exp_avg"),
and one JSON text in the file's metadata, which holds everything else:

    {"version": 1, "class": "Mine", "dialect": "torch", "param_groups": [...],
     "state": [[0, {"step": 10, "exp_avg": {"array": "layers.0.weight.exp_avg"}}], ...]}

An array of float64, which MLX's files have not, is stored as its bits in uint64 and noted as such.
What a state dict means is in ``checkpoint``; the format of the file in ``tensor_file``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array, is_mlx
from ..checking import shortened, shown
from .tensor_file import CHECKSUM, checked_path, opened, write

#: The key of the metadata.
KEY = "lucidgen"
VERSION = 1


def save(path: Any, state_dict: Mapping[str, Any]) -> None:
    """Write a state dict to a file."""
    path = checked_path(path)
    arrays: dict[str, Any] = {}
    names = _names(state_dict["param_groups"])
    entries = []
    for index, entry in state_dict["state"].items():
        kept = {}
        for key, value in entry.items():
            if isinstance(value, np.ndarray) or is_mlx(value):
                name = f"{names.get(index, index)}.{key}"
                if name in arrays:
                    raise ValueError(f"{path}: two states would be named {name!r} in it")
                kept[key], arrays[name] = _as_stored(name, value)
            else:
                kept[key] = value
        entries.append([index, kept])
    document = {**state_dict, "state": entries, "version": VERSION}
    try:
        text = json.dumps(document)
    except TypeError as error:
        raise TypeError(f"{path}: the state cannot be saved in a file: {error}") from None
    write(path, arrays, {"format": "np", KEY: text})


def _names(groups: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """The names of the parameters by their numbers, if they have names."""
    if not all("param_names" in group for group in groups):
        return {}
    return {
        index: name
        for group in groups
        for index, name in zip(group["params"], group["param_names"], strict=True)
    }


def _as_stored(name: str, value: Any) -> tuple[dict[str, Any], Any]:
    """What stands for an array in the JSON text, and the array in the file."""
    note: dict[str, Any] = {"array": name}
    found = value if str(value.dtype).endswith("bfloat16") else np.asarray(value, order="C")
    if found.dtype == np.float64:
        return {**note, "type": "float64"}, found.view(np.uint64)
    return note, found


def load(path: Any) -> dict[str, Any]:
    """The state dict in a file, its arrays as NumPy arrays.

    Raises
    ------
    ValueError
        If the file is damaged, or was not written by ``save``.
    OSError
        If it cannot be read.
    """
    path = checked_path(path)
    with opened(path) as file:
        document = _document(path, file.metadata)
        arrays = file.arrays()
    try:
        state = {
            index: {key: _as_loaded(value, arrays) for key, value in entry.items()}
            for index, entry in document["state"]
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from None
    return {**document, "state": state}


def _document(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the metadata of a file says of the state."""
    if KEY not in metadata:
        raise ValueError(
            f"{path} holds no state that an optimizer saved here: its metadata has no {KEY!r}"
        )
    if CHECKSUM not in metadata:
        raise ValueError(f"{path} is damaged: it has no checksum")
    try:
        document: dict[str, Any] = json.loads(metadata[KEY])
        version = document.pop("version")
        if version != VERSION:
            raise ValueError(f"it is of version {shown(version)}, known here is {VERSION}")
        if not isinstance(document.get("state"), list):
            raise ValueError("it has no list of states")
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from None
    return document


def _unreadable(path: Path, error: Exception) -> ValueError:
    said = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    return ValueError(f"{path}: the state in it cannot be read: {shortened(said)}")


def _as_loaded(value: Any, arrays: Mapping[str, Array]) -> Any:
    if not isinstance(value, dict):
        return value
    found = arrays[value["array"]]
    return found.view(np.float64) if value.get("type") == "float64" else found
