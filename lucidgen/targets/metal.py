"""The Metal target: one function for one element, and a kernel that loads, calls and stores.

Owns the names of operations in Metal and what its functions take. Reductions over a tensor are not
part of a kernel: their results arrive as scalars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import sympy

from ..ir import Let, Program
from ..spec.domains import Domain
from .c_like import CPrinter, c_block
from .statements import code

#: Metal gives a kernel no more buffers than this.
MAX_BUFFERS = 31


class MetalPrinter(CPrinter):
    """Metal expressions."""

    functions: ClassVar[Mapping[str, str]] = {
        "sqrt": "metal::precise::sqrt",
        "pow": "metal::precise::pow",
        "exp": "metal::precise::exp",
        "log": "metal::precise::log",
        "tanh": "metal::precise::tanh",
        "abs": "metal::abs",
        "sign": "metal::sign",
        "maximum": "metal::max",
        "minimum": "metal::min",
    }


def _first_read(body: Sequence[Let]) -> Callable[[sympy.Symbol], tuple[int, str]]:
    """A sorting key: where a symbol is first read."""
    return lambda s: (next(i for i, let in enumerate(body) if let.value.has(s)), str(s))


@dataclass(frozen=True)
class Kernel:
    """A kernel, ready for a template.

    `states` are read and written, `scalars` and `choices` are the same for all elements.
    """

    states: tuple[str, ...]
    scalars: tuple[str, ...]
    choices: tuple[str, ...]
    lines: tuple[str, ...]


def kernel(program: Program) -> Kernel:
    """The element part of a program as a Metal function.

    Raises
    ------
    ValueError
        If the kernel would need more buffers than Metal has.
    """
    body = tuple(let for let in program.body if let.domain is Domain.ELEMENT)
    part = replace(program, body=body)
    statements = code(part, body)
    made = {let.target for let in body}
    reads = {s for let in body for s in let.value.free_symbols} - made
    domains = program.domains
    scalars = sorted((s for s in reads if domains[s] is not Domain.ELEMENT), key=_first_read(body))
    states = tuple(
        statements.names[o.before] for o in program.outputs[1:] if o.domain is Domain.ELEMENT
    )
    asked = {name for let in body for name in let.guard.support}
    choices = tuple(name for name in program.choices if name in asked)
    declared = {"w", "grad", *states, *(s.name for s in scalars)}
    lines = [f"float {name} = {source};" for name, source in statements.aliases]
    declared |= {name for name, _ in statements.aliases}
    printer = MetalPrinter(statements.names)
    lines += c_block(statements.statements, printer, declared, "")
    names = statements.names
    lines += [
        f"{names[o.before]} = {names[o.after]};"
        for o in program.outputs
        if o.domain is Domain.ELEMENT and names[o.before] != names[o.after]
    ]
    buffers = 3 + len(states) + len(scalars)
    if buffers > MAX_BUFFERS:
        raise ValueError(
            f"{program.name} needs {buffers} buffers; Metal gives a kernel {MAX_BUFFERS}. "
            "Compute more on the host, or keep fewer states."
        )
    return Kernel(states, tuple(s.name for s in scalars), choices, tuple(lines))
