"""What the command line says about optimizers: their equations, costs and differences, as text.

Owns the words and their layout in plain text and LaTeX; colours are `show`'s, tables
`tables`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import sympy

from ..ir.guard import Guard
from ..ir.lower import lower, lower_rounds
from ..ir.program import Program
from ..package import render
from ..package.catalog import Entry
from ..package.cost import cost_of, traffic_of
from ..package.documentation import (
    bounds_text,
    equation_block,
    in_words,
    seen_of_tensors,
    unsupported,
    value_text,
)
from ..package.module import compile_file
from ..package.rule import CompiledRule
from ..passes import stages
from ..spec.check_shapes import MOST_AXES
from ..spec.domains import infer_domains
from ..spec.equation import Eq
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import ndim
from ..targets.common.plain import equation_lines, text_of
from ..targets.common.target import Target
from .summary import short_cost


def cost_lines(spec: OptimizerSpec) -> list[str]:
    """The cost of a reading with its options off, in the branch that does most.

    Where not all is done per element in one phase, a line for what each phase does for what; where
    the shape of a parameter decides, all that for each case.
    """
    program = lower(spec)
    if not program.shapes:
        return _cost_lines(spec, {})
    lines = []
    for guard, on in _cases(program):
        lines += [f"where {in_words(spec, program, guard)}:", *_cost_lines(spec, on)]
    return lines


def _cases(program: Program) -> Iterator[tuple[Guard, dict[str, bool]]]:
    """The answers that comparisons of shapes can have together, as far as axes tell."""
    names = [name for name, _ in program.shapes]
    for answers in product((True, False), repeat=len(names)):
        on = dict(zip(names, answers, strict=True))
        if not any(
            all(
                bool(asked.xreplace({ndim: sympy.Integer(axes)})) is on[name]
                for name, asked in program.shapes
                if asked.free_symbols == {ndim}
            )
            for axes in range(MOST_AXES + 1)
        ):
            continue
        guard = program.always
        for name, answer in on.items():
            literal = Guard.of(name, program.choices)
            guard &= literal if answer else ~literal
        yield guard, on


def _cost_lines(spec: OptimizerSpec, on: Mapping[str, bool]) -> list[str]:
    found = cost_of(spec, on)
    if found.is_elementwise:
        return [f"per element, with every option off: {found}"]
    lines = [
        f"per element, with every option off: {short_cost(spec, on)} "
        f"({found.calls} with one operation a pass)"
    ]
    for number, phase in enumerate(found.phases, start=1):
        works = [f"per {domain.value}: {work}" for domain, work in phase.work.items()]
        if phase.reductions:
            works[-1] += f"; giving {', '.join(phase.reductions)}"
        lines += [f"{'' if i else f'{number}.':<3}{text}" for i, text in enumerate(works)]
    return [*lines, *_loop_lines(spec, on)]


def _loop_lines(spec: OptimizerSpec, on: Mapping[str, bool]) -> list[str]:
    """What the loops in C++ do with memory."""
    found = traffic_of(spec, on)
    lines = ["as loops in C++:"]
    for number, loop in enumerate(found, start=1):
        parts = {
            "reads {}": loop.reads,
            "computes {} again": loop.again,
            "finds {}": loop.finds,
            "stores {}": loop.stores,
        }
        said = (text.format(", ".join(names)) for text, names in parts.items() if names)
        lines.append(f"{number}. {'; '.join(said)}")
    moved = sum(len(loop.reads) + len(loop.stores) for loop in found)
    kept = "nothing is kept for a later loop"
    return [*lines, f"   {moved} arrays are read or written, {4 * moved} bytes in float32; {kept}"]


def numbered_equations(spec: OptimizerSpec) -> Iterator[str]:
    """The equations with their numbers, one line for each case."""
    width = len(f"({len(spec.equations)})")
    for equation in spec.equations:
        number = f"({spec.number(equation)})"
        for i, line in enumerate(equation_lines(equation, spec)):
            yield f"  {number if i == 0 else '':>{width}}  {line}"


def overview(entry: Entry) -> str:
    """An optimizer in one page: what it is, its equations, state, arguments and cost."""
    spec, main = entry.spec, entry.main
    lines = [f"{spec.name} ({spec.reading}) from {entry.file.path.name}"]
    texts = (spec.summary or main.summary, spec.paper, spec.notes, seen_of_tensors(spec))
    lines += filter(None, texts)
    lines += ["", *numbered_equations(spec), ""]
    lines += [f"state      {_aligned(_states(spec).values()) or 'none'}"]
    lines += [f"arguments  {_aligned(_signature(entry)) or 'none'}"]
    if len(main.readings) > 1:
        lines.append(f"dialects   {', '.join(main.readings)}")
    lines.append(f"cost       {_aligned(cost_lines(spec))}")
    return "\n".join(lines)


def _aligned(parts: Any) -> str:
    return ("\n" + " " * 11).join(parts)


def _signature(entry: Entry) -> list[str]:
    return [f"{name} = {value}" for name, value in _defaults(entry).items()]


def latex_text(spec: OptimizerSpec) -> str:
    """The equations in LaTeX."""
    return "\n".join([r"\begin{aligned}", *equation_block(spec, spec.equations), r"\end{aligned}"])


def program_text(spec: OptimizerSpec) -> str:
    """The program as lowered, and after each pass."""
    rounds = lower_rounds(spec)
    if not rounds:
        return _program_text(lower(spec))
    texts = []
    for number, found in enumerate(rounds, start=1):
        of = (("sums", found.shares), ("numbers of the group", found.values))
        texts += [
            f"=== round {number}, {what}\n\n{_program_text(program)}"
            for what, program in of
            if program is not None
        ]
    return "\n\n".join([*texts, f"=== the step\n\n{_program_text(lower(spec))}"])


def _program_text(program: Program) -> str:
    parts = [f"--- lowered\n{program}"]
    before = str(program)
    for name, after in stages(program):
        same = str(after) == before
        before = str(after)
        parts.append(f"--- {name}" + (": nothing changes" if same else f"\n{after}"))
    return "\n\n".join(parts)


def host_text(entry: Entry) -> str:
    """The arithmetic on scalars that one reading makes once a step, and of a group before."""
    rule = _rule(entry, ("numpy",))
    texts = [render.values_text(r.values) for r in rule.rounds if r.values is not None]
    texts += [render.host_text(part) for part in (*rule.shares, rule) if part.host]
    return "\n\n".join(texts) or f"# {rule.title} has no scalars to compute."


def code_text(entry: Entry, target: Target) -> str:
    """The code that a target emits for one reading, with its cost behind it."""
    rule = _rule(entry, ("numpy", target.name))
    parts = [part for part in rule.shares if part[target.name]]
    text = "\n\n".join(render.rule_text(part, target) for part in (*parts, rule))
    lines = f"\n{target.comment}      ".join(cost_lines(entry.spec))
    return f"{text}\n{target.comment} Cost {lines}"


def _rule(entry: Entry, targets: Iterable[str]) -> CompiledRule:
    rules = compile_file(entry.file, dict.fromkeys(targets)).rules
    return next(rule for rule in rules if rule.spec is entry.spec)


# Differences


@dataclass(frozen=True)
class Change:
    """One thing in which two readings differ; an empty side has none of it."""

    left: tuple[str, ...]
    right: tuple[str, ...]


def differences(a: Entry, b: Entry) -> dict[str, list[Change]]:
    """The equations, matrices, states and defaults in which two readings differ, by kind."""
    found = {
        "equations": _changes(_by_left_side(a.spec), _by_left_side(b.spec)),
        "matrices": _changes(_matrices(a.spec), _matrices(b.spec)),
        "state": _changes(_lines(_states(a.spec)), _lines(_states(b.spec))),
        "defaults": _changes(
            {k: (f"{k} = {v}",) for k, v in _defaults(a).items()},
            {k: (f"{k} = {v}",) for k, v in _defaults(b).items()},
        ),
    }
    return {kind: changes for kind, changes in found.items() if changes}


def _changes(a: dict[Any, tuple[str, ...]], b: dict[Any, tuple[str, ...]]) -> list[Change]:
    keys = [*a, *(key for key in b if key not in a)]
    return [
        Change(a.get(key, ()), b.get(key, ())) for key in keys if a.get(key, ()) != b.get(key, ())
    ]


@lru_cache(maxsize=64)
def _by_left_side(spec: OptimizerSpec) -> dict[tuple[str, str], tuple[str, ...]]:
    """The equations by what they define, however their times were shifted by the author."""
    return {e.key: tuple(equation_lines(_normal(e), spec)) for e in spec.equations}


def _normal(equation: Eq) -> Eq:
    if equation.moment != "t" or equation.series is None:
        return equation
    from ..spec.quantities import t

    return Eq(equation.series[t], equation.normalised())


def _matrices(spec: OptimizerSpec) -> dict[str, tuple[str, ...]]:
    return {"matrices": (f'matrices = "{spec.matrices}"',)}


def _lines(texts: dict[str, str]) -> dict[str, tuple[str, ...]]:
    return {key: (text,) for key, text in texts.items()}


def _states(spec: OptimizerSpec) -> dict[str, str]:
    """Each state in words: its name, where it lives, its key, how it starts."""
    domains = infer_domains(spec)
    starts = spec.by_moment("start")
    shapes = {"element": "like the parameter", "scalar": "one number", "tensor": "one number"}
    found, program = {}, lower(spec)
    live = {output.after.name: output.live for output in program.outputs}
    by_shape = {name for name, _ in program.shapes}
    for series in spec.states:
        domain = domains[series.name].value
        text = f"{series.name}: {shapes.get(domain, f'one number per {domain}')}"
        if series.saved_as != series.name:
            text += f", saved as {series.saved_as}"
        if series in starts:
            text += f", starts as {text_of(starts[series].right, spec)}"
        where = live.get(series.name, program.always)
        if by_shape.intersection(where.support):
            text += f", kept where {in_words(spec, program, where)}"
        found[series.name] = text
    return found


def _defaults(entry: Entry) -> dict[str, str]:
    """The default of each argument of a reading; what it lacks, ignores or allows is said."""
    spec = entry.spec
    missing = unsupported(entry.main, spec)
    ignored = {argument.name for argument in spec.ignores}
    found = {}
    for argument in spec.parameters:
        if argument.name in missing:
            continue
        text = value_text(spec.default(argument))
        if argument.name in spec.bounds:
            text += f" ({bounds_text(spec.bounds[argument.name]) or 'any number'})"
        found[argument.name] = text + (" (no effect)" if argument.name in ignored else "")
    return found
