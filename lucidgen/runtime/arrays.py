"""What is asked of an array, of whichever library: its kind, its type, its values.

Imports NumPy; MLX only where an MLX array is at hand. Does not own what a parameter is
(``groups``).
"""

from __future__ import annotations

import copyreg
import sys
from typing import Any

import numpy as np

from .checking import shown


def as_real(key: str, value: Any, label: str) -> Array:
    """A saved array of any library, if it is one of real numbers."""
    try:
        array = as_numpy(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{label}: the saved {shown(key)} is no array: {error}") from None
    if array.dtype.kind not in "fiu":
        raise TypeError(
            f"{label}: the saved {shown(key)} must be of real numbers, got {shown(value)} "
            f"(of type {array.dtype}, not a real type)"
        )
    return array


def is_half(data: Any) -> bool:
    """Whether an array is of a half-precision type."""
    if is_mlx(data):
        mx = sys.modules["mlx.core"]
        return data.dtype in (mx.float16, mx.bfloat16)
    return isinstance(data, np.ndarray) and data.dtype.kind == "f" and data.dtype.itemsize == 2


def in_single(data: Any) -> Any:
    """A copy of an array in float32."""
    if isinstance(data, np.ndarray):
        return data.astype(np.float32, order="K")
    return data.astype(sys.modules["mlx.core"].float32)


Array = np.ndarray[Any, np.dtype[Any]]


#: The types of gradients that steps convert to that of the weights, as compiled steps number them.
#: bfloat16, which NumPy lacks, comes as its bits.
TYPES = {np.dtype(name): i for i, name in enumerate(("float32", "float64", "float16", "uint16"))}


def plain(array: Array | np.generic) -> Array:
    """The array itself, or the data of one of a subclass.

    What a mask or a matrix means to its own operators, steps do not mean: all that comes from
    outside passes through here, gradients in a step, weights as they become private, and states.
    """
    return np.asarray(array)


def as_numpy(value: Any) -> Array:
    """An array of any library as a NumPy array (bfloat16, which NumPy lacks, as float32)."""
    if isinstance(value, np.ndarray):
        return plain(value)
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # torch, which is never imported
        value = value.detach().cpu()
        if "bfloat16" in str(value.dtype):
            value = value.float()
    elif "bfloat16" in str(getattr(value, "dtype", "")):
        import mlx.core as mx

        value = value.astype(mx.float32)
    return np.asarray(value)


def needed_mlx(what: str) -> Any:
    """The module ``mlx.core``, for what cannot do without it and may be the first to ask.

    Raises
    ------
    ImportError
        If it is not there, or does not load: with what to install.
    """
    try:
        import mlx.core as mx
    except (ImportError, OSError) as error:
        is_missing = isinstance(error, ModuleNotFoundError) and error.name == "mlx"
        said = "is not installed" if is_missing else f"is installed but does not load ({error})"
        package = "mlx"
        if sys.platform == "linux":  # where "mlx" alone lacks a part
            package = '"mlx[cpu]", or for a GPU of NVIDIA "mlx[cuda13]"'
        raise ImportError(f"{what} needs MLX, which {said}; install {package}") from error
    return mx


def as_mlx(value: Any, dtype: Any) -> Any:
    """An array of any library, copied, as an MLX array of this type.

    MLX reads neither foreign byte orders nor long doubles.
    """
    import mlx.core as mx

    if not isinstance(value, mx.array):
        array = as_numpy(value)
        kind = np.dtype(np.float64) if array.dtype.kind == "f" else array.dtype
        if array.dtype.itemsize <= kind.itemsize:
            kind = array.dtype.newbyteorder("=")
        with np.errstate(over="ignore"):
            array = array.astype(kind, copy=False)
        value = mx.array(array, dtype=mx.float64) if dtype == mx.float64 else mx.array(array)
    return mx.array(value) if value.dtype == dtype else value.astype(dtype)


def zeros_like(array: Any) -> Any:
    """New zeros like an array, of NumPy or of MLX."""
    if is_mlx(array):
        return sys.modules["mlx.core"].zeros_like(array)
    return np.zeros_like(plain(array))


def is_mlx(value: object) -> bool:
    """Whether this is an mlx.core.array; MLX is not imported to find out."""
    mx = sys.modules.get("mlx.core")
    return mx is not None and isinstance(value, mx.array)


def is_mlx_module(value: object) -> bool:
    """Whether this is an mlx.nn.Module; MLX is not imported to find out."""
    base = getattr(sys.modules.get("mlx.nn"), "Module", None)
    return base is not None and isinstance(value, base)


def is_floating(array: Any) -> bool:
    """Whether a NumPy or MLX array is of a real floating type."""
    if is_mlx(array):
        mx = sys.modules["mlx.core"]
        return bool(mx.issubdtype(array.dtype, mx.floating))
    return bool(array.dtype.kind == "f")


def make_mlx_types_picklable() -> None:
    """Teach pickle MLX's types, if MLX is loaded: Lucid's parameters hold one, even on the CPU."""
    mx = sys.modules.get("mlx.core")
    if mx is not None:
        copyreg.pickle(mx.Dtype, _reduce_mlx_type)


def _reduce_mlx_type(dtype: Any) -> tuple[Any, tuple[str]]:
    from pkgutil import resolve_name  # seldom needed, and slow to import

    return resolve_name, (f"mlx.core:{str(dtype).rpartition('.')[2]}",)
