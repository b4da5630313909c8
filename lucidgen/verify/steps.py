"""Steps on the CPU next to the equations: NumPy, MLX and compiled C++.

Owns the numbers that they are tried on and what is said of the outcome. How a class is driven is in
`replay`, what rounding may add in `rounding`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Failure
from ..ir.lower import lower
from ..package.catalog import Entry
from ..passes import optimize
from .emitted import build, settings
from .replay import KERNELS, Run, replay, step_all
from .report import Report
from .setting import Setting

#: Takes what does some steps, and says whether there is anything to check.
Prepare = Callable[[Callable[[], None]], bool]

STEPS = 4

#: MLX takes NumPy's float64 for float32 unless it is told otherwise, and so do parameters there;
#: Metal has no double.
TYPES = {
    **dict.fromkeys(("numpy", "cpp", "cuda"), (np.float64, np.float32)),
    **dict.fromkeys(("mlx", "metal"), (np.float32,)),
}

#: Signed zeros, subnormals, and squares that overflow or vanish, for the last parameter's elements.
HOSTILE = {
    np.float64: (0.0, -0.0, 1e18, -1e-18, 0.1, -5e-324),
    np.float32: (0.0, -0.0, 1e18, -1e-18, 0.1, -1e-45),
}

#: Where a rule reduces, one extreme value would blot out all others.
TAME = (0.3, -0.7, 1.5, -2.0, 0.1, -0.05)


def numpy(entry: Entry) -> Iterator[Report]:
    """Check the NumPy step of a reading, or of all readings of a class."""
    return reports(entry, "numpy")


def mlx(entry: Entry) -> Iterator[Report]:
    """Check the MLX step, uncompiled: what mx.compile fuses computes the same."""
    try:
        import mlx.core as mx
    except ImportError as error:
        raise Failure(
            f"verifying MLX steps needs MLX ({error}): python -m pip install 'lucidgen[verify]'"
        ) from None
    mx.disable_compile()
    try:
        yield from reports(entry, "mlx")
    finally:
        mx.enable_compile()


def cpp(entry: Entry) -> Iterator[Report]:
    """Check the C++ loop, compiled by this machine's compiler."""
    from ..runtime.backends.loops import compiler

    try:
        yield from reports(entry, "cpp")
    except compiler.Unavailable as error:
        raise Failure(f"C++ loops cannot be checked: {error}") from None


@contextmanager
def _built(entry: Entry) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        yield getattr(build([entry.main], Path(folder)), entry.main.name)


def reports(entry: Entry, machine: str, prepare: Prepare | None = None) -> Iterator[Report]:
    """The checks of a reading, or of all readings of a class, on a machine that is there.

    `prepare` is given what does the steps of a reading, before they count, and says whether there
    are any to check.
    """
    readings = entry.main.readings.values() if entry.spec is entry.main else [entry.spec]
    with _built(entry) as cls:
        for spec in readings:
            rule = cls.rules[spec.reading]
            if KERNELS.get(machine, machine) not in ("numpy", *rule.targets):
                continue
            every = list(settings(spec, entry.main))
            program = optimize(lower(spec))
            runs = [
                Run(cls, setting, program, *_numbers(seed, kind, rule, setting), states={})
                for seed, setting in enumerate(every)
                for kind in TYPES[machine]
            ]
            if prepare is None or prepare(partial(_step_all, runs, machine)):
                yield _report(f"{entry.main.name} ({spec.reading})", every, runs, machine)


def _step_all(runs: Sequence[Run], machine: str) -> None:
    for run in runs:
        step_all(run, machine)


def _report(title: str, every: list[Setting], runs: Sequence[Run], machine: str) -> Report:
    compared, worst, wrong = 0, 0.0, []
    for run in runs:
        for finding in replay(run, [machine]):
            compared += len(finding.comparison.ratios)
            worst = max(worst, finding.comparison.worst)
            if finding.comparison.worst > 1:
                wrong.append(f"{run.setting}: {run.w.dtype.name}: {finding}")
    types = " and ".join(kind.__name__ for kind in TYPES[machine])
    shown = (
        f"  run: {STEPS} steps in {types}, on numbers of all sizes",
        f"  equations: {compared} numbers within {worst:.3f} of their error bounds",
    )
    combinations = f"{len(every)} combination{'s' * (len(every) != 1)} of static choices"
    return Report(f"{title}: {combinations}", shown if compared else (), tuple(wrong))


def _numbers(seed: int, kind: Any, rule: Any, setting: Setting) -> tuple[Any, list[Any]]:
    """A parameter, of the setting's shape if it has one, and gradients for it."""
    rng = np.random.default_rng(seed)
    edges = np.array(TAME if rule.reduces else HOSTILE[kind], kind)
    columns = []
    for _ in range(STEPS + 1):
        mixed = rng.standard_normal(6) * 10.0 ** rng.integers(-6 * (not rule.reduces), 3, 6)
        columns.append(np.stack([mixed.astype(kind), rng.permutation(edges)]))
    if setting.shape is not None:
        columns = [np.resize(column.T, setting.shape) for column in columns]
    return columns[0], columns[1:]
