"""Name what has no name from what it is or what it multiplies; never `x7`.

Owns the naming rules of everything that the compiler makes itself.
"""

from __future__ import annotations

import re
from dataclasses import replace

import sympy

from ..ir.program import Let, Names, Program, series_of, symbol
from ..operations import Square, When
from ..spec.domains import Domain
from ..spec.expressions import replaced, symbols_in

#: Longer descriptions say less than the name of the reader does.
MAX_DESCRIPTION = 32

#: Where a value is one number for all elements that read it.
_NUMBERS = (Domain.HOST, Domain.TENSOR)


def name(program: Program) -> Program:
    """The program in which every let has a name that says what it is.

    >>> from lucidgen.passes.examples import beta, grad, lr, program, show, t, w, w_before
    >>> from lucidgen.passes.hoist import hoist
    >>> from lucidgen.passes.share import share
    >>> c = 1 - beta**t
    >>> show(name(share(hoist(program((w, w_before - lr / c * grad))))))
    bias_correction = 1 - beta**t
    grad_scale = lr/bias_correction
    w = -grad*grad_scale + w[t - 1]
    """
    names = Names(program)
    lets = list(program.lets)
    while unnamed := _unnamed(lets):
        # What is named after another name waits until that one is final.
        wishes = ((_wanted([let for let in lets if let.target == t], lets), t) for t in unnamed)
        final = (wish for wish in wishes if not re.search(r"(^|_)_\d", wish[0]))
        wanted, target = next(final, ("term", unnamed[0]))
        own = [let for let in lets if let.target == target]
        new = _exclusive_twin(wanted, own, lets) or names.free(
            _told_apart(wanted, target, lets) if wanted in names.taken else wanted
        )
        lets = [
            replace(let, target=new) if let.target == target else let
            for let in (let.with_value(replaced(let.value, {target: new})) for let in lets)
        ]
    return program.with_lets(lets)


def _unnamed(lets: list[Let]) -> list[sympy.Symbol]:
    """The targets with provisional names, each once."""
    return list(dict.fromkeys(let.target for let in lets if let.target.name.startswith("_")))


def _exclusive_twin(wanted: str, own: list[Let], lets: list[Let]) -> sympy.Symbol | None:
    """A name may be used again for the same role in a branch that excludes this one."""
    twins = [let for let in lets if let.target.name == wanted]
    exclusive = all(a.guard.excludes(b.guard) and a.domain is b.domain for a in own for b in twins)
    return symbol(wanted) if twins and exclusive else None


def _told_apart(wanted: str, target: sympy.Symbol, lets: list[Let]) -> str:
    """Of two coefficients of one thing, the second is called after its reader, too."""
    reader = next((_stem(let.target) for let in lets if target in let.reads), "_")
    is_coefficient = wanted.endswith("_scale") and not reader.startswith("_")
    return f"{wanted}_in_{reader}" if is_coefficient else wanted


def _wanted(own: list[Let], lets: list[Let]) -> str:
    """The best name for a target, from its definitions and its readers."""
    target = own[0].target
    if len(own) > 1:
        return _name_of_cases(own)
    value = own[0].value
    if own[0].domain is Domain.HOST:
        special = _term_of_the_field(value)
        if special:
            return special
    readers = [let for let in lets if target in let.reads]
    for reader in readers:
        if own[0].domain in _NUMBERS and reader.domain is not own[0].domain:
            role = _role(target, value, reader)
            if role:
                return role
    described = describe(value)
    if len(described) <= MAX_DESCRIPTION and described.isidentifier():
        return described
    return f"{_stem(readers[0].target)}_term" if readers else "term"


def _name_of_cases(own: list[Let]) -> str:
    """What static choices choose: `v_max_or_v`, `scaled_g`, or the term of an update."""
    aliases = [_stem(let.value) for let in own if let.value.is_Symbol]
    if len(aliases) == len(own):
        return "_or_".join(aliases)
    for alias in (let.value for let in own if let.value.is_Symbol):
        if any(let.value.is_Mul and alias in let.value.args for let in own):
            return f"scaled_{_stem(alias)}"
    return "update"


def _term_of_the_field(value: sympy.Expr) -> str | None:
    """Scalars that every text on optimizers has a word for."""
    if value.is_Add and len(value.args) == 2 and value.args[0] == 1:
        taken = -value.args[1]
        if taken.is_Symbol:
            power = re.fullmatch(r"(\w+?)_power_t", taken.name)
            return _bias_correction(power[1]) if power else f"one_minus_{_stem(taken)}"
        if taken.is_Pow and taken.base.is_Symbol and taken.exp == symbol("t"):
            return _bias_correction(_stem(taken.base))
    if value.is_Pow and value.base.is_Symbol:
        if value.exp == sympy.S.Half:
            return f"sqrt_{_stem(value.base)}"
        if value.exp == symbol("t"):
            return f"{_stem(value.base)}_power_t"
    return None


def _bias_correction(beta: str) -> str:
    digits = re.search(r"\d*$", beta)
    return f"bias_correction{digits[0] if digits else ''}"


def _role(target: sympy.Symbol, value: sympy.Expr, reader: Let) -> str | None:
    """A coefficient is called after what it multiplies, a scaled hyper after the hyper."""
    for expr in sympy.preorder_traversal(reader.value):
        if expr.is_Mul and target in expr.args:
            others = [a for a in expr.args if a != target and not a.is_Number]
            direct = [a for a in others if a.is_Symbol] or [
                a.args[0] for a in others if isinstance(a, Square)
            ]
            inside = set().union(*map(symbols_in, others))
            scaled = direct or (list(inside) if len(inside) == 1 else [])
            hypers = [a for a in value.args if a.is_Symbol] if value.is_Mul else []
            if hypers and not scaled and expr != reader.value:
                return f"scaled_{_stem(hypers[0])}"
            return f"{_stem((scaled or [reader.target])[0])}_scale"
        if expr.is_Add and target in expr.args:
            hypers = [a for a in value.args if a.is_Symbol] if value.is_Mul else []
            if hypers:
                return f"scaled_{_stem(hypers[-1] if len(hypers) == 1 else hypers[0])}"
            return f"{_stem(reader.target)}_shift"
    return None


def _stem(symbol: sympy.Symbol) -> str:
    """The name of a series without its time; the gradient stays that when it is scaled."""
    name = series_of(symbol)
    return "grad" if name == "scaled_grad" else name


def describe(expr: sympy.Basic) -> str:
    """An expression in words that make an identifier.

    >>> from lucidgen.passes.examples import lr, t
    >>> describe(lr - 4), describe(lr / t)
    ('lr_minus_4', 'lr_over_t')
    """
    if expr.is_Symbol:
        return _stem(expr)
    if expr.is_Number:
        return str(expr).replace("-", "minus_").replace("/", "_over_")
    if expr.is_Add:
        positive = [a for a in expr.args if not a.could_extract_minus_sign()]
        negative = [-a for a in expr.args if a.could_extract_minus_sign()]
        positive.sort(key=lambda a: bool(a.is_Number))
        words = "_plus_".join(map(describe, positive))
        return "_minus_".join([words or "minus", *map(describe, negative)])
    if expr.is_Mul:
        top, bottom = expr.as_numer_denom()
        if bottom != 1:
            return f"{describe(top)}_over_{describe(bottom)}"
        return "_times_".join(map(describe, expr.args))
    if expr.is_Pow:
        half = sympy.S.Half
        templates = {2: "{}_squared", half: "sqrt_{}", -1: "one_over_{}", -half: "one_over_sqrt_{}"}
        template = templates.get(expr.exp, "{}_power_{}")
        return template.format(describe(expr.base), describe(expr.exp))
    if isinstance(expr, When):
        return f"{describe(expr.args[1])}_or_{describe(expr.args[2])}"
    inside = "_".join(describe(arg) for arg in expr.args)
    return f"{expr.func.__name__.lower()}_{inside}"
