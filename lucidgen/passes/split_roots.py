"""Split roots of outer products: those of rows and of columns are fewer than those of elements."""

from __future__ import annotations

import sympy

from ..ir.program import Let, Program, rebuilt
from ..ir.signs import Signs
from ..operations import Group
from ..spec.domains import Domain, domain_of
from ..spec.expressions import replaced, symbols_in
from .inline import occurrences


def split_roots(program: Program) -> Program:
    """The program whose roots of what is made of rows and columns are taken of these.

    `sqrt(r * c)` is `sqrt(r) * sqrt(c)` where no step makes r or c negative (`ir.signs`). The cases
    of a quantity go into its only reader, if the root that is taken of it there comes apart in one.

    >>> from lucidgen.ir.lower import lower
    >>> from lucidgen.passes import drop_dead, inline
    >>> from lucidgen.passes.examples import show
    >>> from lucidgen.specs.came import CAME
    >>> lowered = inline(drop_dead(lower(CAME)))
    >>> print(next(let for let in split_roots(lowered).lets if str(let.target) == "u").value)
    scaled_grad*sqrt(column_mean(r))/(sqrt(c)*sqrt(r))
    """
    program = _in_cases(program)
    roots = _Roots(program)
    lets = [
        let.with_value(roots.visit(let.value)) if let.domain is Domain.ELEMENT else let
        for let in program.lets
    ]
    return program.with_lets(lets)


def _in_cases(program: Program) -> Program:
    """The program with the cases of a quantity in its only reader, if a root comes apart there."""
    outputs = {output.after for output in program.outputs}
    for target in dict.fromkeys(let.target for let in program.body):
        cases = [let for let in program.body if let.target == target]
        readers = [let for let in program.lets if target in let.reads]
        if len(cases) < 2 or target in outputs or len(readers) != 1:
            continue
        (reader,) = readers
        is_in_power = any(target in symbols_in(p.base) for p in reader.value.atoms(sympy.Pow))
        if not is_in_power or occurrences(reader.value, target) > 1:
            continue
        made = [
            Let(
                reader.target,
                replaced(reader.value, {target: case.value}),
                reader.domain,
                reader.guard & case.guard,
                tuple(sorted({*case.note, *reader.note})),
            )
            for case in cases
            if reader.guard & case.guard
        ]
        roots = _Roots(program)
        if any(roots.has_apart(let.value) for let in made):
            lets = [let for let in program.lets if let not in cases]
            place = lets.index(reader)
            program = program.with_lets([*lets[:place], *made, *lets[place + 1 :]])
    return program


class _Roots:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.signs = Signs(program)

    def visit(self, expr: sympy.Basic) -> sympy.Basic:
        if not expr.args or isinstance(expr, Group) or self.is_host(expr):
            return expr
        expr = rebuilt(expr, map(self.visit, expr.args))
        return (expr.is_Pow and self.apart(expr)) or expr

    def is_host(self, expr: sympy.Expr) -> bool:
        return domain_of(expr, self.program.domains) is Domain.HOST

    def has_apart(self, expr: sympy.Expr) -> bool:
        """Whether a root in an expression comes apart."""
        return any(self.apart(power) is not None for power in expr.atoms(sympy.Pow))

    def apart(self, power: sympy.Pow) -> sympy.Expr | None:
        """A power of an outer product as one of powers; None if it is none.

        The larger one of an outer product and of something else has the larger root. Powers above
        1 stay: those of the factors may be too large, where that of the product is not.
        """
        base, exponent = power.as_base_exp()
        if not (exponent.is_Rational and abs(exponent) <= 1) or exponent.is_Integer:
            return None
        if isinstance(base, sympy.Max):
            roots = [self.apart(arg ** abs(exponent)) for arg in base.args]
            others = [a for a, root in zip(base.args, roots, strict=True) if root is None]
            if len(others) < len(roots) and all(map(self.signs.is_nonnegative, others)):
                found = [r for r in roots if r is not None]
                found += [self.power(other, abs(exponent)) for other in others]
                return sympy.Max(*found) ** sympy.sign(exponent)
        if not base.is_Mul:
            return None
        domain = domain_of(base, self.program.domains)
        if domain.rank <= Domain.MATRIX.rank:
            return None
        for factor in base.args:
            is_less = domain_of(factor, self.program.domains).rank < domain.rank
            if not (is_less and self.signs.is_nonnegative(factor)):
                return None
        return sympy.Mul(*(self.power(factor, exponent) for factor in base.args))

    def power(self, of: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        """A power of what is not negative: of a power whose base is not, it is one power."""
        base, inner = of.as_base_exp()
        if inner != 1 and self.signs.is_nonnegative(base):
            return base ** (inner * exponent)
        return of**exponent
