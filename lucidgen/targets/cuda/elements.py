"""Complete kernels in CUDA of rules whose elements are each by themselves.

Owns what they need to know of a rule. They work in place on tables of tensors; static choices,
conditions of the host among them, are template parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...spec.domains import Domain
from ..common import gpu
from ..common.c_like import c_condition
from ..common.canonical import MAX_CHOICES, canonical


@dataclass(frozen=True)
class Standalone:
    """What a complete kernel needs to know: all in the names of the text.

    `live` are the conditions under which the states are needed ("true" for always). `choices` are
    conditions and choices; `canonical` are these again, each switched off where it makes no
    difference, so that equal kernels are compiled once. `call` calls the function.
    """

    live: tuple[str, ...]
    choices: tuple[str, ...]
    canonical: tuple[str, ...]
    call: tuple[str, ...]


def standalone(of: gpu.Kernel) -> Standalone | None:
    """The complete kernel around a function for one element; None if it needs more, or too much."""
    choices = (*of.conditions, *of.choices)
    domains = {i.domain for i in of.program.inputs}
    is_alone = domains <= {Domain.HOST, Domain.ELEMENT} and of.tensors is None
    if not is_alone or len(choices) > MAX_CHOICES:
        return None
    live = (of.live[s] for s in of.states)
    return Standalone(
        live=tuple("true" if guard.is_always else c_condition(guard) for guard in live),
        choices=choices,
        canonical=canonical(of.program, choices),
        call=tuple(
            gpu.call(
                of.name,
                ["w", "grad", *(f"states[{k}]" for k in range(len(of.states)))],
                [f"scalars[{k}]" for k in range(len(of.scalars))],
                ["stream", "element"] if of.program.drawn else [],
                choices,
            )
        ),
    )
