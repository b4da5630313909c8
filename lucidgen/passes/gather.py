"""Gather factors by domain, so that scalars meet scalars before they meet arrays."""

from __future__ import annotations

from collections.abc import Iterable

import sympy

from ..ir.program import Program, rebuilt
from ..ir.ranges import range_of
from ..operations import Group
from ..spec.domains import Domain, domain_of


def gather(program: Program) -> Program:
    """The program with host scalars collected into as few factors as possible.

    A root splits (`sqrt(v / c)` into `sqrt(v) / sqrt(c)`), a sum in a product gives its scalar up
    (`sqrt(v) * s + eps` into `sqrt(v) + eps / s`, times s), and a product hands its scalar to a sum
    whose terms have scalars already. Each needs a sign that the hyperparameters' ranges prove.

    >>> from lucidgen.passes.examples import beta, eps, lr, m, program, show, t, v, w, w_before
    >>> from lucidgen.spec import sqrt
    >>> c = 1 - beta**t
    >>> show(gather(program((w, w_before - lr * (m / c) / (sqrt(v / c) + eps)))))
    w = -lr*m/(sqrt(1 - beta**t)*(eps*sqrt(1 - beta**t) + sqrt(v))) + w[t - 1]
    """
    gatherer = _Gatherer(program)
    lets = [
        let.with_value(gatherer.visit(let.value)) if let.domain is not Domain.HOST else let
        for let in program.lets
    ]
    return program.with_lets(lets)


class _Gatherer:
    def __init__(self, program: Program) -> None:
        self.program = program

    def is_host(self, expr: sympy.Expr) -> bool:
        return domain_of(expr, self.program.domains) is Domain.HOST

    def split(self, factors: Iterable[sympy.Expr]) -> tuple[sympy.Expr, sympy.Expr]:
        """A product as (its host part, the rest)."""
        factors = tuple(factors)
        host = sympy.Mul(*(f for f in factors if self.is_host(f)))
        return host, sympy.Mul(*(f for f in factors if not self.is_host(f)))

    def visit(self, expr: sympy.Basic) -> sympy.Basic:
        if not expr.args or isinstance(expr, Group) or self.is_host(expr):
            return expr
        expr = rebuilt(expr, map(self.visit, expr.args))
        if expr.is_Pow and expr.base.is_Mul and self.is_host(expr.exp) and not expr.exp.is_Integer:
            return self.split_power(expr)
        return self.collect(expr) if expr.is_Mul else expr

    def split_power(self, power: sympy.Pow) -> sympy.Expr:
        """(s * x)**e as s**e * x**e, for the factors s that cannot be negative."""
        outside = [
            factor
            for factor in power.base.args
            if self.is_host(factor) and range_of(factor, self.program).is_nonnegative
        ]
        inside = sympy.Mul(*(factor for factor in power.base.args if factor not in outside))
        if not outside:
            return power
        roots = [s.as_base_exp() for s in outside]
        return sympy.Mul(*(b ** (e * power.exp) for b, e in roots)) * inside**power.exp

    def collect(self, product: sympy.Mul) -> sympy.Expr:
        host, rest = self.split(product.args)
        if host in (1, -1):
            return product
        factors = []
        for factor in sympy.Mul.make_args(rest):
            base, exponent = factor.as_base_exp()
            scale = self.common_scale(base) if base.is_Add and exponent.is_Integer else None
            if scale is not None:
                host *= scale**exponent
                base = sympy.Add(*(term / scale for term in base.args))
            factors.append((base, exponent))
        for i, (base, exponent) in enumerate(factors):
            if exponent == 1 and base.is_Add and self.terms_have_scales(base):
                sign = -1 if host.could_extract_minus_sign() else 1
                factors[i] = (sympy.Add(*(sign * host * term for term in base.args)), exponent)
                host = sympy.Integer(sign)
                break
        return host * sympy.Mul(*(base**exponent for base, exponent in factors))

    def common_scale(self, total: sympy.Add) -> sympy.Expr | None:
        """The positive scalar that all array terms of a sum share, if there is one."""
        scales = {
            self.split(sympy.Mul.make_args(term))[0]
            for term in total.args
            if not self.is_host(term)
        }
        if len(scales) != 1:
            return None
        scale: sympy.Expr = scales.pop()
        positive = scale != 1 and range_of(scale, self.program).is_positive
        return scale if positive else None

    def terms_have_scales(self, total: sympy.Add) -> bool:
        """Whether every term of a sum is an array times a scalar that it could share."""
        return all(
            not self.is_host(term) and self.split(sympy.Mul.make_args(term))[0] not in (1, -1)
            for term in total.args
        )
