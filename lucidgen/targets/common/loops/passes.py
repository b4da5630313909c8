"""Lets of margins in passes: what one walk over all rows, columns or matrices can make.

Owns the order in which they are made. It knows no language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy

from ....ir.loops import is_of_margins
from ....ir.program import Let
from ....spec.domains import Domain


def passes(
    lets: Sequence[Let], domains: Mapping[sympy.Symbol, Domain]
) -> list[tuple[Domain | None, list[Let]]]:
    """Lets in passes over margins, in the order in which they can be made; None is a reduction.

    Lets of one domain that need nothing of each other's but the same place share a pass, and all
    cases of a target do.
    """
    kinds = {let.target: None if is_of_margins(let.value, domains) else let.domain for let in lets}
    level = dict.fromkeys(kinds, 0)
    while True:
        old = dict(level)
        for let in lets:
            own = kinds[let.target]
            behind = [
                level[s] + (kinds[s] is not own or own is None) for s in let.reads if s in level
            ]
            level[let.target] = max([level[let.target], *behind])
        if level == old:
            break
    found = dict[tuple[int, int, int], list[Let]]()
    order = list(Domain)
    for place, let in enumerate(lets):
        reduces = kinds[let.target] is None
        key = level[let.target], order.index(let.domain), 1 + place if reduces else 0
        found.setdefault(key, []).append(let)
    return [(kinds[found[key][0].target], found[key]) for key in sorted(found)]
