"""Equations as LaTeX, for docstrings and `lucidgen show --latex`.

Owns the mathematical typography of names: Greek letters, hats, indices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

import sympy

from ..operations import EVERYWHERE, OPTIMIZERS, Where
from ..spec.draws import Draw
from ..spec.quantities import At, Given, Shape
from .common.printer import ATOM, INFIX, Printer
from .common.trees import Node, Op

GREEK = {
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda"),
    *("mu", "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"),
}
#: The letters that the literature uses for what code calls by a longer name.
LETTERS = {
    "lr": r"\gamma",
    "weight_decay": r"\lambda",
    "eps": r"\epsilon",
    "momentum": r"\mu",
    "dampening": r"\tau",
    "momentum_decay": r"\psi",
    "lr_decay": r"\delta",
}
#: What whole names stand for, and nothing that begins like them.
NAMES = {"value": r"\eta", "base": r"\eta^{\mathrm{base}}", "lr_lambda": r"\lambda"}
#: What a draw is of; each is one of its own.
DISTRIBUTIONS = {"normal": r"\mathcal{N}(0, 1)", "uniform": r"\mathcal{U}[0, 1)"}
ACCENTS = {"hat": "hat", "bar": "bar", "tilde": "tilde"}
SUBSCRIPTS = {"inf": r"\infty"}
SUPERSCRIPTS = {"min": r"\min", "max": r"\max", "minus": "-", "plus": "+"}


def letter(name: str) -> tuple[str, str, str]:
    r"""The base, superscript and subscript of a name.

    >>> print(*letter("m_hat"), *letter("v_max"), *letter("beta1"))
    \hat{m}   v \max  \beta  1
    """
    if name in LETTERS or name in NAMES:
        return (LETTERS | NAMES)[name], "", ""
    head, *marks = name.split("_")
    match = re.fullmatch(r"([A-Za-z]+?)(\d*)", head)
    stem, subscript = (match[1], match[2]) if match else (head, "")
    base = LETTERS.get(stem) or (rf"\{stem}" if stem in GREEK else stem)
    if len(base) > 1 and not base.startswith("\\"):
        return r"\mathrm{" + name.replace("_", r"\_") + "}", "", ""
    superscript = ""
    for mark in marks:
        if mark in ACCENTS:
            base = rf"\{ACCENTS[mark]}{{{base}}}"
        elif mark in SUBSCRIPTS or mark.isdigit():
            subscript = SUBSCRIPTS.get(mark, mark)
        else:
            superscript += SUPERSCRIPTS.get(mark, rf"\mathrm{{{mark}}}")
    return base, superscript, subscript


def typeset(name: str, time: str = "") -> str:
    """A name with its indices: `m` at `t - 1` is m_{t-1}."""
    if name == "grad" and time:
        point = {"t": "t-1", "0": "-1", "1": "0"}.get(time, f"{time}-1")
        return rf"\nabla f(w_{{{point}}})"
    base, superscript, subscript = letter(name)
    index = ",".join(part for part in (subscript, time.replace(" ", "")) if part)
    return (
        base + (f"^{{{superscript}}}" if superscript else "") + (f"_{{{index}}}" if index else "")
    )


class LatexPrinter(Printer):
    """Mathematics in LaTeX."""

    language: ClassVar[str] = "latex"
    places: ClassVar[Where] = OPTIMIZERS | EVERYWHERE
    infix: ClassVar[Mapping[str, tuple[str, int]]] = {
        **INFIX,
        "mul": (r"\,", 7),
        "ge": (r"\ge", 4),
        "le": (r"\le", 4),
        "eq": ("=", 4),
        "ne": (r"\ne", 4),
        "mod": (r"\bmod", 7),
        "and": (r"\wedge", 2),
        "or": (r"\vee", 1),
    }

    def text(self, node: Node) -> tuple[str, int]:
        """As in Printer, with typeset names."""
        if isinstance(node, At):
            return typeset(node.series.name, node.time), ATOM
        if isinstance(node, Draw):
            return DISTRIBUTIONS[node.distribution], ATOM
        if isinstance(node, Shape):
            return rf"\text{{{node.name}}}", ATOM
        if isinstance(node, Given):
            return rf"\text{{{node.name}}}_{{t}}", ATOM
        if isinstance(node, sympy.Symbol):
            return typeset(node.name), ATOM
        return super().text(node)

    def print_mul(self, left: Node, right: Node) -> tuple[str, int]:
        """A thin space, or a dot between figures."""
        first, second = self.wrapped(left, 7), self.wrapped(right, 8)
        sign = r"\cdot" if first[-1].isdigit() and second[0].isdigit() else r"\,"
        return f"{first} {sign} {second}", 7

    def print_div(self, top: Node, bottom: Node) -> tuple[str, int]:
        """A fraction."""
        return rf"\frac{{{self.print(top)}}}{{{self.print(bottom)}}}", 8

    def print_pow(self, base: Node, exponent: Node) -> tuple[str, int]:
        """A power; what has indices already is put in parentheses only if it is composed."""
        text = self.wrapped(base, ATOM)
        if "^" in text and not text.startswith("("):
            text = f"({text})"
        return f"{text}^{{{self.print(exponent)}}}", 9

    def print_where(self, test: Node, yes: Node, no: Node) -> tuple[str, int]:
        """A case distinction."""
        cases = [
            (self.print(yes), r"\text{if } " + self.condition(test)),
            (self.print(no), r"\text{otherwise}"),
        ]
        rows = r" \\ ".join(f"{value} & {when}" for value, when in cases)
        return rf"\begin{{cases}} {rows} \end{{cases}}", ATOM

    def condition(self, node: Node) -> str:
        """A condition; flags and special hyperparameters by their names in code."""
        if isinstance(node, sympy.Symbol):
            name = node.name.replace("_", r"\_")
            return rf"\mathtt{{{name}}}"
        if isinstance(node, Op) and node.name == "not":
            return r"\neg " + self.condition(node.args[0])
        if isinstance(node, Op) and node.name in ("and", "or"):
            left, right = map(self.condition, node.args)
            return f"{left} {self.infix[node.name][0]} {right}"
        return self.print(node)

    def number(self, number: sympy.Number) -> str:
        """Integers and short decimals as they are, other rationals as fractions."""
        if isinstance(number, sympy.Rational) and not number.is_Integer:
            decimal = f"{float(number):g}"
            if sympy.Rational(decimal) != number:
                return rf"\frac{{{number.p}}}{{{number.q}}}"
            return decimal
        return super().number(number)
