"""Expressions as trees of binary operations, in the order in which they are computed.

Owns that order: SymPy sorts terms for itself, and rounding and beauty both depend on order. All
targets print these trees and the cost model counts them, so that none can disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from typing import Any, TypeAlias

import sympy
from sympy.core.operations import LatticeOp
from sympy.logic.boolalg import BooleanAtom

from ...operations import HEADS, Group
from ...spec.domains import Domain, domain_of
from ...spec.expressions import symbols_in


@dataclass(frozen=True)
class Op:
    """One operation on one, two or three operands."""

    name: str
    args: tuple[Node, ...]


Node: TypeAlias = Op | sympy.Symbol | sympy.Number

_MIRRORED = {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}

#: What stands for the number pi where its name is to be printed, and not its value.
PI = sympy.Symbol("pi", positive=True)


def with_pi(expr: sympy.Basic) -> sympy.Basic:
    """The expression with pi as a name."""
    return expr.xreplace({sympy.pi: PI})


def tree_of(
    expr: sympy.Basic, domain: Callable[[sympy.Basic], Domain] = lambda _: Domain.HOST
) -> Node:
    """The tree of an expression.

    Scalars meet scalars before arrays, terms with a plus come before terms with a minus, and a
    product is divided once.

    >>> from lucidgen.ir.program import symbol
    >>> w, lr, c = symbol("w"), symbol("lr"), symbol("c")
    >>> tree_of(w - w * lr / c)  # doctest: +NORMALIZE_WHITESPACE
    Op(name='sub', args=(w, Op(name='div', args=(Op(name='mul', args=(lr, w)), c))))
    """
    return _Reader(domain).read(expr)


def tree_in(expr: sympy.Basic, known: Mapping[sympy.Symbol, Domain]) -> Node:
    """The tree of an expression, given the domains of its symbols: one for all targets."""
    return _tree(expr, frozenset((s, known.get(s, Domain.HOST)) for s in symbols_in(expr)))


@lru_cache(maxsize=4096)
def _tree(expr: sympy.Basic, domains: frozenset[tuple[sympy.Symbol, Domain]]) -> Node:
    known = dict(domains)
    return tree_of(expr, lambda part: domain_of(part, known))


def _fold(name: str, a: Node, b: Node) -> Node:
    return Op(name, (a, b))


@lru_cache(maxsize=4096)
def _text(expr: sympy.Basic) -> str:
    """An expression as SymPy prints it."""
    return expr.name if isinstance(expr, sympy.Symbol) else str(expr)


class _Late:
    """The last part of a sorting key, which takes long: computed where nothing before decides."""

    __slots__ = ("expr", "key")

    def __init__(self, key: Callable[[sympy.Basic], Any], expr: sympy.Basic) -> None:
        self.key, self.expr = key, expr

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Late) and bool(self.key(self.expr) == other.key(other.expr))

    def __lt__(self, other: _Late) -> bool:
        return bool(self.key(self.expr) < other.key(other.expr))


@lru_cache(maxsize=4096)
def _look(term: sympy.Basic) -> tuple[bool, bool, int, _Late]:
    """How a term looks, whatever its domain: what is simple, or holds a last value, is less."""
    no_memory = not any("[t - 1]" in s.name for s in symbols_in(term))
    size = sum(1 for _ in sympy.preorder_traversal(term))
    return not isinstance(term, sympy.Symbol), no_memory, size, _Late(_text, term)


def _called(factor: sympy.Basic) -> tuple[str, str]:
    """A factor as SymPy prints it, what scales something next to that."""
    text = _text(factor)
    return text.removesuffix("_scale"), text


def walk(node: Node) -> Iterator[Op]:
    """Every operation of a tree, operands first."""
    if isinstance(node, Op):
        for arg in node.args:
            yield from walk(arg)
        yield node


def reads(node: Node) -> set[sympy.Symbol]:
    """The symbols that a tree reads."""
    if isinstance(node, Op):
        return set().union(*map(reads, node.args))
    return {node} if isinstance(node, sympy.Symbol) else set()


class _Reader:
    def __init__(self, domain: Callable[[sympy.Basic], Domain]) -> None:
        self.domain = domain

    def read(self, expr: sympy.Basic) -> Node:
        if isinstance(expr, sympy.Symbol | sympy.Number | BooleanAtom):
            return expr
        if expr is sympy.pi or expr is sympy.E:
            return sympy.Float(expr, 17)
        if isinstance(expr, Group):
            return self.read(expr.args[0])
        if isinstance(expr, sympy.Add):
            return self.total(expr)
        if isinstance(expr, sympy.Mul | sympy.Pow):
            return self.product(expr)
        name = HEADS[expr.func]
        if isinstance(expr, LatticeOp):  # Max, Min, And, Or: of any number of operands
            args = [self.read(arg) for arg in sorted(expr.args, key=self.term_key)]
            return reduce(partial(_fold, name), args)
        sides = tuple(map(self.read, expr.args))
        if name in _MIRRORED and str(sides[1]) == "t":
            return Op(_MIRRORED[name], sides[::-1])  # t on the left, whatever SymPy prefers
        return Op(name, sides)

    def total(self, expr: sympy.Add) -> Node:
        terms = sorted(expr.args, key=self.term_key)
        plus = [term for term in terms if not term.could_extract_minus_sign()]
        minus = [-term for term in terms if term.could_extract_minus_sign()]
        if not plus:
            return Op("neg", (self.total(-expr) if len(minus) > 1 else self.read(minus[0]),))
        value = reduce(lambda a, b: Op("add", (a, b)), map(self.read, plus))
        return reduce(lambda a, b: Op("sub", (a, b)), map(self.read, minus), value)

    def product(self, expr: sympy.Mul | sympy.Pow) -> Node:
        negative = isinstance(expr, sympy.Mul) and expr.could_extract_minus_sign()
        top, bottom = [], []
        for factor in sympy.Mul.make_args(-expr if negative else expr):
            base, exponent = factor.as_base_exp()
            if self.is_divisor(factor, expr):
                top += [sympy.Integer(factor.p)] if factor.p != 1 else []
                bottom.append(sympy.Integer(factor.q))
            elif exponent.is_Rational and exponent < 0:
                bottom.append(base**-exponent)
            else:
                top.append(factor)
        value = self.chain(top)
        if bottom:
            value = Op("div", (value, self.chain(bottom)))
        return Op("neg", (value,)) if negative else value

    def is_divisor(self, factor: sympy.Expr, product: sympy.Expr) -> bool:
        """Whether a fraction divides by what it has below: where it is no double, and on the host,
        where a division costs nothing."""
        if not factor.is_Rational or factor.is_Integer or self.domain(product) is not Domain.HOST:
            return False
        return bool(factor.q & (factor.q - 1))

    def chain(self, factors: list[sympy.Expr]) -> Node:
        if not factors:
            return sympy.S.One
        ordered = sorted(factors, key=self.factor_key)
        return reduce(lambda a, b: Op("mul", (a, b)), map(self.factor, ordered))

    def factor(self, expr: sympy.Expr) -> Node:
        if not isinstance(expr, sympy.Pow):
            return self.read(expr)
        if expr.exp == sympy.S.Half:
            return Op("sqrt", (self.read(expr.base),))
        if expr.exp == sympy.Rational(1, 3):
            return Op("cbrt", (self.read(expr.base),))
        return Op("pow", (self.read(expr.base), self.read(expr.exp)))

    def term_key(self, term: sympy.Basic) -> tuple[object, ...]:
        """Arrays first, a state's last value before new ones, names before what is made of them."""
        return bool(term.is_Number), -self.domain(term).rank, *_look(term)

    def factor_key(self, factor: sympy.Expr) -> tuple[object, ...]:
        """Numbers, then scalars, then arrays; t first and names before what is made of them."""
        is_symbol = isinstance(factor, sympy.Symbol)
        rank = self.domain(factor).rank
        is_step = is_symbol and factor.name == "t"
        return (not factor.is_Number, rank, not is_step, not is_symbol, _Late(_called, factor))
