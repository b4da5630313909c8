"""The text of a kernel: what is put around the function for one element.

Owns the names and the order of the buffers, and the body: the lines that find element i, load it,
call the function in single precision and store what is new. Does not own the function itself, which
is generated, nor what a call puts into the buffers (``call``).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from .kernel import Kernel
from .languages import LANGUAGES, Language


def arguments(kernel: Kernel, live: Sequence[str], tensors: int = 1) -> dict[str, Any]:
    """What `mx.fast.metal_kernel` or `mx.fast.cuda_kernel` is given to make a kernel.

    Parameters
    ----------
    kernel : Kernel
        Whose function is called.
    live : sequence of str
        The states that are needed; the function gets 0 for others.
    tensors : int, at least 1
        How many tensors a call updates. The inputs of one are w, grad, the live states, scalars,
        conditions, size; its outputs the new w and live states. Of several, each w, each grad, all
        of a state one after the other, scalars, conditions, and where each begins. A kernel that
        draws random numbers has the streams of all before the last one.
    """
    language = LANGUAGES[kernel.language]
    streams = ["streams"] if kernel.draws else []
    states, constants = (_spelled(kernel, names) for names in (live, kernel.constants))
    if tensors == 1:
        inputs = ["w", "grad", *states, *constants, *streams, "size"]
        outputs = ["new_w", *(f"new_{state}" for state in states)]
        first = language.one(kernel.draws)
    else:
        inputs = [f"{name}_{k}" for name in ("w", "grad") for k in range(tensors)]
        inputs += [*(f"flat_{state}" for state in states), *constants, *streams, "starts"]
        outputs = [f"new_w_{k}" for k in range(tensors)]
        outputs += [f"flat_new_{state}" for state in states]
        first = language.many(tensors, states, kernel.draws)
    source = first + "".join(f"    {line}\n" for line in body(kernel, language, states))
    digest = sha256(f"{kernel.header}\0{source}".encode()).hexdigest()[:12]
    return {
        "name": f"lucidgen_{kernel.name}_{digest}",
        "input_names": inputs,
        "output_names": outputs,
        "header": kernel.header,
        "source": source,
    }


def body(kernel: Kernel, language: Language, live: Sequence[str]) -> Iterator[str]:
    """What is done to element i, where the states of these names in the text are live.

    T is the type of the arrays.
    """
    states = _spelled(kernel, kernel.states)
    yield "float w_i = float(w[i]);"
    for state in states:
        yield f"float {state}_i = {f'float({state}[i])' if state in live else '0.0f'};"
    numbers = [language.number.format(name) for name in _spelled(kernel, kernel.constants)]
    truths = [*numbers[len(kernel.scalars) :], *_spelled(kernel, kernel.choices)]
    given = [
        ["w_i", "float(grad[i])", *(f"{state}_i" for state in states)],
        numbers[: len(kernel.scalars)],
        [language.stream, "i"] if kernel.draws else [],
        truths,
    ]
    text = ",\n".join(textwrap.fill(", ".join(kind), 77) for kind in given if kind)
    yield f"lucidgen::{kernel.name}_step("
    yield from (f"    {line}" for line in f"{text});".splitlines())
    yield "new_w[i] = T(w_i);"
    for state in live:
        yield f"new_{state}[i] = T({state}_i);"


def _spelled(kernel: Kernel, names: Sequence[str]) -> list[str]:
    """How the text writes some names of the rule."""
    return [kernel.spelled.get(name, name) for name in names]
