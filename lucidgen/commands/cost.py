"""What a step costs per element: reads, writes and operations.

Owns the count. It counts the same trees that the targets print.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ..ir.program import Program
from ..passes import optimize, resolve
from ..spec.domains import Domain, domain_of
from ..targets.common.trees import reads as reads_of
from ..targets.common.trees import tree_of, walk


@dataclass(frozen=True)
class Cost:
    """Per element: arrays read, arrays written, and operations by name.

    `once` are operations that stand in the loop but have no array among their operands: compilers
    take them out of it.
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    operations: Mapping[str, int]
    once: Mapping[str, int]

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {name}" for name, number in sorted(self.operations.items()))
        return f"reads {', '.join(self.reads)}; writes {', '.join(self.writes)}; {counts}"


def cost(program: Program, on: Mapping[str, bool] | None = None) -> Cost:
    """The cost of a lowered program under static choices.

    Of those that are not given flags are off, and what the host decides (RAdam's rho > 5) holds.

    >>> from lucidgen.ir.lower import lower
    >>> from lucidgen.specs.adam import Adam
    >>> print(cost(lower(Adam)))
    reads w, grad, m, v; writes w, m, v; 3 add, 1 div, 6 mul, 1 sqrt, 1 sub
    """
    choices = dict.fromkeys(program.choices, False)
    choices |= dict.fromkeys(program.conditions, True) | dict(on or {})
    program = resolve(optimize(program), choices)
    known = program.domains
    array_symbols = {symbol for symbol, domain in known.items() if domain is Domain.ELEMENT}
    count: Counter[str] = Counter()
    once: Counter[str] = Counter()
    read: set[str] = set()
    for let in program.body:
        if let.domain is Domain.ELEMENT:
            tree = tree_of(let.value, lambda e: domain_of(e, known))
            for op in walk(tree):
                counter = once if array_symbols.isdisjoint(reads_of(op)) else count
                counter["mul" if op.name == "square" else op.name] += 1
        read |= {str(s) for s in let.value.free_symbols}
    arrays = [i.symbol for i in program.inputs if i.domain is Domain.ELEMENT]
    reads = tuple(s.name.removesuffix("[t - 1]") for s in arrays if s.name in read)
    written = (o for o in program.outputs if not program.keeps(o))
    writes = tuple(o.after.name for o in written if o.domain is Domain.ELEMENT)
    return Cost(reads, writes, dict(sorted(count.items())), dict(once))
