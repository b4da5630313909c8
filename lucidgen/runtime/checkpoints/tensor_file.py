"""Files of named arrays in the safetensors format, as MLX, torch and others read it.

Owns the format: eight bytes with the header's length, the header (JSON: type, shape and place of
each array, and a metadata dict of strings), the arrays. Adds to it a checksum over all of that, in
the metadata, and writes so that a file is there whole or not at all. Knows no optimizers.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array, is_mlx
from ..checking import shown

SUFFIX = ".safetensors"
CHECKSUM = "sha256"

#: NumPy's types by their names in the format. It has bfloat16 as well, which NumPy has not.
_TYPES = {
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (8, 4, 2)},
    **{f"I{8 * size}": np.dtype(f"<i{size}") for size in (8, 4, 2, 1)},
    **{f"U{8 * size}": np.dtype(f"<u{size}") for size in (8, 4, 2, 1)},
    "BOOL": np.dtype(np.bool_),
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_BFLOAT16 = "BF16"
_BITS = np.dtype("<u2")  # of a bfloat16
_LARGEST_HEADER = 100_000_000  # bytes, as other readers have it


def checked_path(path: Any) -> Path:
    """The path of a file whose name says what it is, which is how MLX tells."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"a path must be a string or a Path, got {shown(path)}")
    found = Path(path)
    if found.suffix != SUFFIX:
        raise ValueError(f"{found}: the name of the file must end in {SUFFIX}")
    return found


# -- writing --------------------------------------------------------------------------------------


def write(path: Path, arrays: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    """Write NumPy or MLX arrays; what was at this path stays there until all is written.

    Raises
    ------
    TypeError
        If an array is of a type that the format does not have.
    OSError
        If the file cannot be written.
    """
    table: dict[str, Any] = {}
    parts = []
    end = 0
    found = [(name, *_stored(name, array)) for name, array in arrays.items()]
    for name, kind, part in sorted(found, key=lambda item: -item[2].itemsize):  # keeps alignment
        table[name] = {
            "dtype": kind,
            "shape": list(part.shape),
            "data_offsets": [end, end + part.nbytes],
        }
        parts.append(part)
        end += part.nbytes
    checksum = _checksum(table, metadata, parts)
    header = json.dumps({"__metadata__": {**metadata, CHECKSUM: checksum}, **table}).encode()
    header += b" " * (-len(header) % 8)
    with _replacing(path) as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for part in parts:
            file.write(part.data)


def _stored(name: str, array: Any) -> tuple[str, Array]:
    """The type of an array in the format, and its elements in C order."""
    if is_mlx(array) and str(array.dtype).endswith("bfloat16"):
        import mlx.core as mx

        return _BFLOAT16, np.array(array.view(mx.uint16), order="C")
    part = np.asarray(array, order="C")
    part = part.astype(part.dtype.newbyteorder("<"), copy=False)
    if part.dtype not in _NAMES:
        raise TypeError(f"{shown(name)} is an array of {part.dtype}, which a file cannot hold")
    return _NAMES[part.dtype], part


def _checksum(table: Any, metadata: Mapping[str, str], parts: list[Array]) -> str:
    found = hashlib.sha256(json.dumps([table, dict(metadata)], sort_keys=True).encode())
    for part in parts:
        found.update(part.data)
    return found.hexdigest()


@contextmanager
def _replacing(path: Path) -> Iterator[Any]:
    """A file that takes its place when it is complete, and else is not there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


# -- reading --------------------------------------------------------------------------------------


def read(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a file and its metadata; bfloat16 comes as float32.

    Raises
    ------
    ValueError
        If the file is damaged, or in another format.
    OSError
        If it cannot be read.
    """
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > _LARGEST_HEADER:
        raise ValueError(f"{path} is no safetensors file: it does not start with a header's length")
    if len(content) < 8 + length:
        raise ValueError(f"{path} is damaged: it ends within its header")
    try:
        table = json.loads(content[8 : 8 + length])
    except ValueError as error:
        raise ValueError(f"{path} is no safetensors file, or damaged: {error}") from None
    if not isinstance(table, dict):
        raise ValueError(f"{path} is no safetensors file: its header is no JSON object")
    metadata = table.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise ValueError(f"{path} is no safetensors file: its metadata is no JSON object")
    data = memoryview(content)[8 + length :]
    parts = {name: _part(path, name, entry, data) for name, entry in table.items()}
    _check_places(path, table, len(data))
    if CHECKSUM in metadata:
        rest = {key: value for key, value in metadata.items() if key != CHECKSUM}
        if metadata[CHECKSUM] != _checksum(table, rest, [part for _, part in parts.values()]):
            raise ValueError(f"{path} is damaged: its checksum does not fit what it holds")
    return {name: _opened(kind, part) for name, (kind, part) in parts.items()}, metadata


def _part(path: Path, name: str, entry: Any, data: memoryview) -> tuple[str, Array]:
    """The type and the elements of an array, as they lie in the file."""
    try:
        kind, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        dtype = _BITS if kind == _BFLOAT16 else _TYPES[kind]
        if not 0 <= start <= end:
            raise ValueError(f"it lies from byte {start} to {end}")
        return kind, np.frombuffer(data[start:end], dtype).reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged, or of a type unknown here: {shown(name)}: {error}"
        ) from None


def _check_places(path: Path, table: Mapping[str, Any], size: int) -> None:
    """Refuse arrays that overlap, leave gaps, or lie beyond the file's end."""
    places = sorted(tuple(entry["data_offsets"]) for entry in table.values())
    for (_, end), (start, _) in pairwise([(0, 0), *places, (size, size)]):
        if start != end:
            raise ValueError(
                f"{path} is damaged: an array ends at byte {end}, the next is at {start}"
            )


def _opened(kind: str, part: Array) -> Array:
    if kind != _BFLOAT16:
        return part
    return (part.astype(np.uint32) << 16).view(np.float32)
