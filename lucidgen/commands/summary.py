"""An optimizer in a line: what it needs, what it keeps for each element, and what a step costs.

Owns what lists and tables say, and how they are grouped. The counts are `package.cost`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from ..ir.lower import lower, lower_rounds
from ..operations import Reduction
from ..package.catalog import Entry
from ..package.cost import Work, cost_of
from ..spec.domains import OF_MATRICES, Domain, infer_domains
from ..spec.optimizer import OptimizerSpec
from ..verify.setting import Setting

#: For what depends on shapes: a large matrix, and a large vector.
MATRIX, VECTOR = (2**12, 2**12), (2**12,)


class Need(Enum):
    """What a step looks at besides the element that it updates, the least demanding first."""

    ELEMENTS = "elements"
    TENSORS = "tensors"
    ROWS = "rows and columns"
    GROUPS = "groups"
    LOSS = "the loss"


#: What lists of those say at their head.
HEADINGS = {
    Need.ELEMENTS: "Each element by itself",
    Need.TENSORS: "Sums over each tensor",
    Need.ROWS: "Rows and columns of matrices",
    Need.GROUPS: "Sums over all parameters of a group",
    Need.LOSS: "The loss besides",
}


def need_of(spec: OptimizerSpec) -> Need:
    """The most demanding of what some option of a reading needs."""
    if "loss" in spec.given:
        return Need.LOSS
    if lower_rounds(spec):
        return Need.GROUPS
    program = lower(spec)
    if set(OF_MATRICES) & set(program.domains.values()):
        return Need.ROWS
    reduces = any(let.value.has(Reduction) for let in program.lets)
    return Need.TENSORS if reduces else Need.ELEMENTS


def grouped(entries: Iterable[Entry]) -> dict[Need, list[Entry]]:
    """Optimizers by what they need, in the order of `Need`."""
    found: dict[Need, list[Entry]] = {need: [] for need in Need}
    for entry in entries:
        found[need_of(entry.main)].append(entry)
    return {need: own for need, own in found.items() if own}


def state_bytes(spec: OptimizerSpec) -> str:
    """The bytes of state for each element of a matrix in float32, and with all options on.

    >>> from lucidgen.specs.adam import Adam
    >>> state_bytes(Adam)
    '8 (12)'
    """
    away = {h.name: h.special + 0.1 for h in spec.hypers if h.special is not None}
    flags = {flag.name: True for flag in spec.flags}
    least = _bytes(Setting(spec, shape=MATRIX))
    most = _bytes(Setting(spec, away, flags, shape=MATRIX))
    of_vectors = _bytes(Setting(spec, shape=VECTOR))
    all_on = f" ({most})" if most != least else ""
    return f"{least}{all_on}" + (f", of vectors {of_vectors}" if of_vectors != least else "")


def _bytes(setting: Setting) -> int:
    domains = infer_domains(setting.spec)
    return 4 * sum(domains[s.name] is Domain.ELEMENT for s in setting.states())


def default_choices(spec: OptimizerSpec) -> dict[str, bool]:
    """The static choices of a matrix with every argument's default."""
    default = Setting(spec, shape=MATRIX)
    on = {f"use_{h.name}": default.is_away(h) for h in spec.hypers if h.special is not None}
    return on | {flag.name: default.flag(flag) for flag in spec.flags}


def short_cost(spec: OptimizerSpec, on: Mapping[str, bool] | None = None) -> str:
    """A cost in numbers: how many arrays are read and written, how many operations there are.

    All is per element, in all passes over the elements. Of the static choices, those that `on` does
    not give are off.
    """
    found = cost_of(spec, on)
    passes = "" if found.is_elementwise else f" in {counted(found.passes, 'pass', 'passes')}"
    return _in_numbers(Work(found.reads, found.writes, found.operations)) + passes


def cost_by_pass(spec: OptimizerSpec, on: Mapping[str, bool] | None = None) -> str:
    """The same for each pass over the elements, one after the other."""
    works = [phase.work.get(Domain.ELEMENT, Work()) for phase in cost_of(spec, on).phases]
    return "; then ".join(_in_numbers(work) for work in works if work)


def _in_numbers(work: Work) -> str:
    counts = dict(work.operations)
    apart = ("normal", "uniform", "sqrt", "div")
    named = [f"{counts.pop(name)} {name}" for name in apart if name in counts]
    rest = sum(counts.values())
    operations = " + ".join([*named, f"{rest}{' other' if named else ''}"])
    arrays = [
        counted(len(names), word)
        for names, word in ((work.reads, "read"), (work.writes, "write"))
        if names
    ]
    return ", ".join([*arrays, f"{operations} operation{'s' * (bool(named) or rest != 1)}"])


def counted(number: int, word: str, several: str = "") -> str:
    """A number of things."""
    return f"{number} {word if number == 1 else several or f'{word}s'}"
