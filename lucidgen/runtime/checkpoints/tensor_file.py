"""Files of named arrays in the safetensors format, as MLX, torch and others read it.

Owns the format: eight bytes with the header's length, the header (JSON: type, shape and place of
each array, and a metadata dict of strings), the arrays. Adds to it a checksum over all of that, in
the metadata, and writes so that a file is there whole or not at all. Knows no optimizers.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array, is_mlx
from ..checking import shortened, shown

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
_CHUNK = 1 << 20  # bytes that the checksum is told at once


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
    checksum = _checksum(table, metadata, (part.data for part in parts))
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


def _checksum(table: Any, metadata: Mapping[str, str], parts: Iterable[Any]) -> str:
    """Of what the header says, and of the bytes of all arrays in its order."""
    found = hashlib.sha256(json.dumps([table, dict(metadata)], sort_keys=True).encode())
    for part in parts:
        found.update(part)
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


@dataclass(frozen=True)
class _Part:
    """Where the elements of an array lie in the file, and what they are."""

    kind: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    end: int


@contextmanager
def opened(path: Path) -> Iterator[TensorFile]:
    """A file whose header was read, and is as it must be; its arrays wait.

    Raises
    ------
    ValueError
        If the file is damaged, or in another format.
    OSError
        If it cannot be read.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path} is no file")
    with path.open("rb") as file:
        yield TensorFile(path, file)


class TensorFile:
    """A file that is open for reading.

    The header alone says whether the file has the size that it must have, so that nothing else is
    read of one that has not; and memory is taken for what fits the checksum, and for nothing else.
    """

    def __init__(self, path: Path, file: BufferedReader) -> None:
        self._path, self._file = path, file
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > _LARGEST_HEADER:
            raise ValueError(
                f"{path} is no safetensors file: it does not start with a header's length"
            )
        if size < 8 + length:
            raise ValueError(f"{path} is damaged: it ends within its header")
        self._table = self._header(file.read(length))
        #: What is noted in the file besides arrays.
        self.metadata: dict[str, str] = self._table.pop("__metadata__", None) or {}
        if not _is_of_strings(self.metadata):
            raise ValueError(
                f"{path} is no safetensors file: its metadata is no JSON object of strings"
            )
        self._parts = {name: self._part(name, entry) for name, entry in self._table.items()}
        self._start = 8 + length
        self._check_places(size - self._start)

    def _header(self, text: bytes) -> dict[str, Any]:
        path = self._path
        try:
            table = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no safetensors file, or damaged: {error}") from None
        if not isinstance(table, dict):
            raise ValueError(f"{path} is no safetensors file: its header is no JSON object")
        return table

    def _part(self, name: str, entry: Any) -> _Part:
        """What the header says of an array, if it makes sense."""
        try:
            kind, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
            dtype = _BITS if kind == _BFLOAT16 else _TYPES[kind]
            if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
                raise ValueError("its shape and its place must be whole numbers")
            if end - start != math.prod(shape) * dtype.itemsize:
                raise ValueError(f"it lies from byte {shown(start)} to {shown(end)}")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self._path} is damaged, or of a type unknown here: {shown(name)}: "
                f"{shortened(str(error))}"
            ) from None
        return _Part(kind, dtype, shape, start, end)

    def _check_places(self, size: int) -> None:
        """Refuse arrays that overlap, leave gaps, or lie beyond the file's end."""
        places = sorted((part.start, part.end) for part in self._parts.values())
        for (_, end), (start, _) in pairwise([(0, 0), *places, (size, size)]):
            if start != end:
                raise ValueError(
                    f"{self._path} is damaged: an array ends at byte {end}, the next is at {start}"
                )

    def arrays(self) -> dict[str, Array]:
        """The arrays, once the checksum was found to fit; bfloat16 comes as float32.

        Raises
        ------
        ValueError
            If the file is damaged.
        """
        if CHECKSUM in self.metadata:
            rest = {key: value for key, value in self.metadata.items() if key != CHECKSUM}
            chunks = chain.from_iterable(map(self._chunks, self._parts.values()))
            if self.metadata[CHECKSUM] != _checksum(self._table, rest, chunks):
                raise ValueError(
                    f"{self._path} is damaged: its checksum does not fit what it holds"
                )
        return {name: self._read(part) for name, part in self._parts.items()}

    def _chunks(self, part: _Part) -> Iterator[bytes]:
        self._file.seek(self._start + part.start)
        for start in range(part.start, part.end, _CHUNK):
            yield self._file.read(min(_CHUNK, part.end - start))

    def _read(self, part: _Part) -> Array:
        self._file.seek(self._start + part.start)
        made = np.empty(part.shape, part.dtype)
        if made.nbytes and self._file.readinto(made.reshape(-1).view(np.uint8)) != made.nbytes:
            raise ValueError(f"{self._path} is damaged: it has become shorter")
        if part.kind != _BFLOAT16:
            return made
        return (made.astype(np.uint32) << 16).view(np.float32)


def _is_of_strings(metadata: Any) -> bool:
    return isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
