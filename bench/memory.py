"""The most memory that a step holds beyond what it found when it began.

Owns the measurement. On Linux the kernel counts the pages of the process, whoever asked for them;
elsewhere only MLX can be asked, about its own arrays.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_IS_LINUX = sys.platform.startswith("linux")


def give_back() -> None:
    """Give back what nobody uses: cycles, MLX's cache, free pages."""
    gc.collect()
    if "mlx.core" in sys.modules:
        sys.modules["mlx.core"].clear_cache()
    if _IS_LINUX:
        ctypes.CDLL(None).malloc_trim(0)


def extra(step: Callable[[], None]) -> int | None:
    """Bytes at the peak of a step, less those before it; None where nobody can tell.

    What allocators keep for later is given back first, so that reuse of it counts.
    """
    give_back()
    if not _IS_LINUX:
        mx: Any = sys.modules.get("mlx.core")
        return None if mx is None else _of_mlx(mx, step)
    before = _pages("VmRSS")
    try:
        _RESET.write_text("5")  # the peak becomes what is held now
    except OSError:
        return None
    step()
    return max(0, _pages("VmHWM") - before)


def _pages(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def _of_mlx(mx: Any, step: Callable[[], None]) -> int:
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    step()
    return int(max(0, mx.get_peak_memory() - before))
