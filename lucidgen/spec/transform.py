"""From spec to spec: an optimizer with equations between it and what it is given or does.

Owns `transformed`, `step_of`, and what they do to equations, names and arguments. Which transforms
there are is a matter of specs, like every equation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from typing import Any

import sympy

from ..operations import When, reduces_matrices
from .declared import refuse_no_text, refuse_single
from .domains import NUMBERS, Domain, domain_of, infer_domains
from .draws import anew
from .equation import Eq, refuse_other
from .errors import Location, Problem, top_level
from .names import spelled
from .optimizer import OptimizerSpec
from .quantities import (
    Argument,
    At,
    Flag,
    Hyper,
    HyperTuple,
    Series,
    columns,
    grad,
    keyword_only,
    rows,
    symbols_of,
    t,
    update,
    w,
)

#: What a transform can come between.
SEAMS = (grad, update, w)

#: What is kept of the weights, and what is added to it.
_Parts = tuple[sympy.Expr, sympy.Expr]


def transformed(
    base: OptimizerSpec,
    word: str,
    equations: Iterable[Eq],
    *,
    arguments: Iterable[Argument] = (),
    name: str = "",
    **fields: Any,
) -> OptimizerSpec:
    """An optimizer with equations between it and what it is given or does.

    Three series are seams: `grad[t]` is the gradient, `update[t]` the step that is added to the
    weights, and `w[t]` the weights after it. On the right side of an equation each is what comes
    in: the gradient that is given, the step of `base`, the weights that this step leaves. On the
    left side it is what goes on: the gradient that `base` reads, the step that is taken, the
    weights that are left. So `Eq(grad[t], grad[t] - mean(grad[t]))` centralizes the gradient of any
    optimizer. What stands on no left side goes through as it is.

    A decay that multiplies the weights, as AdamW's, is no part of `update[t]` and stays. Where the
    new weights are no multiple of w[t - 1] plus a step, `update[t]` is all that they change by.

    Parameters
    ----------
    base : OptimizerSpec
        The optimizer, in the reading that is given: `AdamW`, `AdamW.dialects["optax"]`.
    word : str
        What the transform makes of it, as a word for names: with "cautious", the step of AdamW is
        called `adamw_update`, and the one that is taken `cautious_update`.
    equations : tuple of Eq
        What comes between, with series of its own.
    arguments : tuple of hyper and flag
        The further arguments, which can be given by keyword only. Where `base` has that name
        already, an argument, a series or the key of a state is called `<word>_<name>`.
    name : str, optional
        The class name; by default the word and the base's, as in `CautiousAdamW`.
    **fields
        What else `OptimizerSpec` takes. `paper`, `requires`, `defaults` and `bounds` come on top of
        the base's.

    Returns
    -------
    OptimizerSpec
        It has no dialects, and says nothing about other libraries' states.

    >>> from lucidgen.spec import mean, t
    >>> from lucidgen.specs.sgd import SGD
    >>> central = transformed(SGD, "central", (Eq(grad[t], grad[t] - mean(grad[t])),))
    >>> print(central.name, *central.equations[:2], sep="\\n")
    CentralSGD
    central_grad[t] = grad[t] - mean(grad[t])
    g[t] = central_grad[t] + w[t - 1]*weight_decay
    """
    refuse_no_text(word=word, name=name)
    refuse_single("equations", equations)
    refuse_single("arguments", arguments)
    for equation in equations:
        refuse_other(equation)
    location, word = top_level(), spelled(word)
    problems = base.problems
    if not {equation.series for equation in equations} & {*SEAMS}:
        what = f"the transform {word!r} changes nothing of {base.name}"
        remedy = "Say what goes on: Eq(grad[t], ...), Eq(update[t], ...) or Eq(w[t], ...)."
        problems += (Problem(location, what, remedy),)
    matrices = fields.pop("matrices", base.matrices)
    if matrices != base.matrices and _sees_matrices(base):
        what = (
            f"{word} reads tensors as matrices={matrices!r}, and {base.name} as {base.matrices!r}"
        )
        remedy = "Both need the same matrices; there is no such optimizer."
        problems += (Problem(location, what, remedy),)
    names = _Names(base, word, location)
    further = {argument: names.argument(argument) for argument in arguments}
    added = [_of_others(equation, further) for equation in equations]
    used = [a for a in base.arguments if a is keyword_only or base.uses(a)]
    marker = used.index(keyword_only) if keyword_only in used else len(used)
    positional, by_keyword = used[:marker], [*used[marker + 1 :], *further.values()]
    kept = {argument.name for argument in (*positional, *by_keyword)}
    return OptimizerSpec(
        name=name or f"{word[:1].upper()}{word[1:]}{base.name}",
        location=location,
        arguments=(*positional, *[keyword_only] * bool(by_keyword), *by_keyword),
        equations=_around(base, added, word, names),
        paper="; ".join(filter(None, (base.paper, fields.pop("paper", "")))),
        requires=(*base.requires, *fields.pop("requires", ())),
        defaults={**_among(kept, base.defaults), **fields.pop("defaults", {})},
        bounds={**_among(kept, base.bounds), **fields.pop("bounds", {})},
        counts_steps=fields.pop("counts_steps", base.counts_steps),
        matrices=matrices,
        problems=problems,
        **fields,
    )


def _sees_matrices(spec: OptimizerSpec) -> bool:
    """Whether the equations of a spec depend on what a matrix is."""
    return any(
        reduces_matrices(e.right) or not e.symbols.isdisjoint({rows, columns})
        for e in spec.equations
    )


def _among(names: Collection[str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


@dataclass(frozen=True)
class Step:
    """What an optimizer would do, for a transform of another one.

    `update` is the series of its step, `equations` and `arguments` are what that takes.
    """

    update: Series
    equations: tuple[Eq, ...]
    arguments: tuple[Argument, ...]


def step_of(spec: OptimizerSpec, word: str) -> Step:
    """The step that an optimizer would take, for the equations of a transform of another one.

    Parameters
    ----------
    spec : OptimizerSpec
        The optimizer that does not move the weights itself.
    word : str
        What it is for, as a word that stands before the names of its arguments and of its step.

    >>> from lucidgen.specs.sgd import SGD
    >>> step = step_of(SGD, "magnitude")
    >>> str(step.equations[-1].left), step.arguments[0].name
    ('magnitude_update[t]', 'magnitude_lr')
    """
    refuse_no_text(word=word)
    location = top_level()
    found = Series(f"{spelled(word)}_update", "", location=location)
    arguments = {
        argument: _renamed(_as_in(spec, argument), lambda name: f"{spelled(word)}_{name}")
        for argument in spec.parameters
        if spec.uses(argument)
    }
    moves = [_of_now(equation) for equation in spec.equations if equation.series == w]
    steps = [e.rewritten(found[e.left.index], _kept_and_added(e, spec)[1]) for e in moves]
    stays = [equation for equation in spec.equations if equation.series != w]
    own = (_of_others(equation, arguments) for equation in (*stays, *steps))
    equations = tuple(e.rewritten(e.left, anew(e.right)) for e in own)
    return Step(found, equations, tuple(arguments.values()))


class _Names:
    """The names and keys that an optimizer has, and others for what comes beside them."""

    def __init__(self, base: OptimizerSpec, word: str, location: Location) -> None:
        self.word, self.location = word, location
        self.taken = {series.name for series in base.by_moment("t")}
        self.taken |= {argument.name for argument in base.parameters}
        self.taken |= {symbol.name for a in base.parameters for symbol in symbols_of(a)}
        self.keys = {series.saved_as for series in base.states}

    def free(self, name: str) -> str:
        """The name if it is free, else with the transform's word before it, else with a number."""
        longer = f"{self.word}_{name.removeprefix(f'{self.word}_')}"
        numbered = (f"{longer}_{number}" for number in count(2))
        found = next(n for n in chain((name, longer), numbered) if n not in self.taken)
        self.taken.add(found)
        return found

    def made(self, name: str) -> Series:
        """A series that nobody wrote."""
        found = self.free(name)
        return Series(found, found, location=self.location)

    def series(self, series: Series) -> Series:
        """A series of the transform's, under a free name and a free key."""
        name = self.free(series.name)
        key = name if series.saved_as in (series.name, *self.keys) else series.saved_as
        self.keys.add(key)
        return dataclasses.replace(series, name=name, saved_as=key)

    def argument(self, argument: Argument) -> Argument:
        """A further argument, under free names."""
        return _renamed(argument, self.free)


def _renamed(argument: Argument, called: Callable[[str], str]) -> Argument:
    """An argument under another name, and its parts too."""
    if isinstance(argument, HyperTuple):
        parts = tuple(_renamed(symbol, called) for symbol in argument.symbols)
        return dataclasses.replace(argument, name=called(argument.name), symbols=parts)
    return type(argument)(called(argument.name), *argument.__getnewargs_ex__()[0][1:])


def _as_in(spec: OptimizerSpec, argument: Argument) -> Argument:
    """An argument with the default and the range that a spec gives it, and without a role."""
    default = spec.default(argument)
    if isinstance(argument, Flag):
        return Flag(argument.name, default, argument.doc, argument.location)
    legal = spec.legal(argument)
    if isinstance(argument, Hyper):
        return Hyper(
            argument.name, default, legal, argument.special, argument.doc, argument.location
        )
    parts = tuple(
        Hyper(s.name, value, legal, s.special, s.doc, s.location)
        for s, value in zip(argument.symbols, default, strict=True)
    )
    return dataclasses.replace(argument, symbols=parts, role="")


def _of_others(equation: Eq, further: Mapping[Argument, Argument]) -> Eq:
    """An equation over the arguments as they are called beside those of the base."""
    pairs = (zip(*map(symbols_of, pair), strict=True) for pair in further.items())
    return equation.rewritten(equation.left, equation.right.xreplace(dict(chain(*pairs))))


def _around(base: OptimizerSpec, added: list[Eq], word: str, names: _Names) -> tuple[Eq, ...]:
    """The equations of a base and of a transform: up to the gradient that goes on, then the rest.

    The weights come last.
    """
    changed = {equation.series for equation in added}
    read = {at.series for equation in added for at in equation.right.atoms(At)}
    own = dict.fromkeys(e.series for e in added if e.series and e.series not in SEAMS)
    comes = {series: names.series(series) for series in own}
    goes = dict(comes)
    stays = [equation for equation in base.equations if equation.series != w]
    moves = [_of_now(equation) for equation in base.equations if equation.series == w]
    if grad in changed:
        goes[grad] = names.made(f"{word}_grad")
        seen = {grad: goes[grad]}
        stays, moves = ([e.renamed(seen) for e in part] for part in (stays, moves))
    if update in changed | read:
        comes[update] = goes[update] = names.made(f"{base.name.lower()}_update")
        if update in changed:
            goes[update] = names.made(f"{word}_update")
        parts = [_kept_and_added(equation, base) for equation in moves]
        for number, (kept, step) in enumerate(parts):
            now = moves[number].left.index
            stays.append(moves[number].rewritten(comes[update][now], step))
            moves[number] = moves[number].rewritten(w[now], kept + goes[update][now])
    if w in changed:
        comes[w] = names.made(f"{base.name.lower()}_w")
        stays += [e.rewritten(comes[w][e.left.index], e.right) for e in moves]
        moves = []
    start = 1 + max((n for n, e in enumerate(added) if e.series == grad), default=-1)
    beside = [_joined(equation, comes, goes) for equation in added]
    return (*beside[:start], *stays, *beside[start:], *moves)


def _of_now(equation: Eq) -> Eq:
    """An equation of w with w[t] or w[1] on its left side."""
    is_first = equation.moment == "first"
    return equation if is_first else equation.rewritten(w[t], equation.normalised())


def _joined(equation: Eq, comes: Mapping[Series, Series], goes: Mapping[Series, Series]) -> Eq:
    """An equation of a transform over what comes in, defining what goes on."""
    right = {
        at: comes[at.series][at.index]
        for at in equation.right.atoms(At)
        if at.series in comes and (at.series != w or at.index == equation.left.index != 0)
    }
    left = equation.left
    if isinstance(left, At) and left.series in goes:
        left = goes[left.series][left.index]
    return equation.rewritten(left, equation.right.xreplace(right))


def _kept_and_added(equation: Eq, base: OptimizerSpec) -> _Parts:
    """What new weights are: a multiple of the last ones, and what is added to it."""
    now = equation.left.index
    last, before = w[now - 1], w[t - 1]
    domains = infer_domains(base)

    def on_host(expr: sympy.Expr) -> bool:
        known = {at: domains.get(at.series.name, Domain.HOST) for at in expr.atoms(At)}
        return domain_of(expr, known) in NUMBERS

    defined = {s: e.normalised() for s, e in base.by_moment("t").items()}
    decayed = {
        series[now]
        for series, value in defined.items()
        if value.xreplace({before: sympy.S.Zero}) == 0 and on_host(value / before)
    }
    found = _parts(equation.right, {last, *decayed}, on_host)
    return found if found and found[0] != 0 else (last, equation.right - last)


def _parts(
    expr: sympy.Expr, weights: set[At], on_host: Callable[[sympy.Expr], bool]
) -> _Parts | None:
    """An expression as multiples of weights by numbers of the host, and the rest, if it is that."""
    if expr in weights:
        return expr, sympy.S.Zero
    if not expr.has(*weights):
        return sympy.S.Zero, expr
    if isinstance(expr, When) and not expr.args[0].has(*weights):
        pairs = [_parts(branch, weights, on_host) for branch in expr.args[1:]]
        make = partial(When, expr.args[0])
    elif isinstance(expr, sympy.Add):
        pairs = [_parts(term, weights, on_host) for term in expr.args]
        make = sympy.Add
    elif isinstance(expr, sympy.Mul):
        inside = [factor for factor in expr.args if factor.has(*weights)]
        others = sympy.Mul(*(factor for factor in expr.args if factor not in inside))
        if len(inside) > 1 or not on_host(others):
            return None
        pairs = [_parts(inside[0], weights, on_host)]
        make = partial(sympy.Mul, others)
    else:
        return None
    kept, added = zip(*(pair or (None, None) for pair in pairs), strict=True)
    return None if None in kept else (make(*kept), make(*added))
