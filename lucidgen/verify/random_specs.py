"""Random legal specs: what an author could have written, for property tests.

Owns a small grammar of equations. It draws through a function that picks from a list, so that any
source of choices will do; it knows neither the test framework nor the compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from ..spec.equation import Eq
from ..spec.functions import (
    Abs,
    Max,
    Min,
    Rational,
    column_max,
    column_mean,
    column_norm,
    column_total,
    count,
    exp,
    group,
    largest,
    log,
    mean,
    norm,
    normal,
    over_group,
    row_max,
    row_mean,
    row_norm,
    row_total,
    sign,
    sqrt,
    tanh,
    total,
    uniform,
    when,
)
from ..spec.optimizer import OptimizerSpec
from ..spec.quantities import (
    Series,
    columns,
    flag,
    grad,
    hyper,
    loss,
    ndim,
    rows,
    series,
    size,
    t,
    w,
)

Pick = Callable[[Sequence[Any]], Any]

lr = hyper("lr", 0.1, at_least=0)
beta1, beta2 = betas = hyper("betas", (0.5, 0.9), at_least=0, below=1)
eps = hyper("eps", 1e-3, at_least=0)
decay = hyper("decay", 0.0, at_least=0, special=0)
power = hyper("order", 1.0, special=1)
free = hyper("free", -0.3)
early, late = flag("early", False), flag("late", True)
ARGUMENTS = (lr, betas, eps, decay, power, free, early, late)

#: Values of the hyperparameters, legal edges among them.
VALUES = {
    "lr": (0.1, 1.5, 0.0),
    "beta1": (0.9, 0.5, 0.0),
    "beta2": (0.999, 0.7, 0.0),
    "eps": (1e-3, 1e-8, 0.0),
    "decay": (0.0, 0.01, 2.0),
    "order": (1.0, 0.75, -1.3),
    "free": (-0.3, 0.0, 2.5),
}


@dataclass
class Author:
    """Writes equations by picking from lists."""

    pick: Pick
    elements: list[Any] = field(default_factory=lambda: [grad[t], w[t - 1]])
    reduced: list[Any] = field(default_factory=list)
    scalars: list[Any] = field(default_factory=lambda: [lr, beta1, beta2, eps, decay, free])
    grouped: list[Any] = field(default_factory=list)

    def number(self) -> Any:
        """A rational constant."""
        return self.pick([sympy.Integer(2), sympy.Integer(-1), Rational(1, 3), Rational(3, 2)])

    def scalar(self, depth: int = 2) -> Any:
        """An expression of host scalars."""
        if depth == 0:
            return self.pick([*self.scalars, self.number()])
        a, b = self.scalar(depth - 1), self.scalar(depth - 1)
        return self.pick(
            [
                lambda: a,
                lambda: a + b,
                lambda: a * b,
                lambda: 1 - a,
                lambda: 1 - beta1**t,
                lambda: beta2**t,
                lambda: 1 / t,
                lambda: a / (1 - beta2**t),
                lambda: sqrt(a**2 + b**2),
                lambda: exp(-Abs(a)),
                lambda: Max(a, b),
                lambda: log(1 + Abs(a)),
                lambda: (1 + Abs(a)) ** power,
                lambda: a * sqrt(rows / size),
                lambda: a + 1 / columns,
                lambda: when(self.condition(), a, b),
            ]
        )()

    def condition(self, arrays: bool = False, depth: int = 1) -> Any:
        """A condition on flags, special values and scalars; on elements too if arrays."""
        a, b = self.scalar(1), self.scalar(0)
        choices = [
            lambda: early,
            lambda: late,
            lambda: decay,
            lambda: ~power,
            lambda: a > b,
            lambda: t >= 2,
            # Of no case that there would be no matrices in.
            lambda: ndim < 3,
            lambda: rows > columns,
            lambda: size >= 3,
            lambda: 2 * size > a + t,
            lambda: columns > free,
        ]
        if arrays:
            x = self.pick(self.elements)
            choices += [lambda: x > 0, lambda: x * grad[t] < self.number(), lambda: x <= a]
        if depth:
            p, q = self.condition(arrays, depth - 1), self.condition(arrays, depth - 1)
            choices += [lambda: p & q, lambda: p | q, lambda: ~p]
        return sympy.sympify(self.pick(choices)())

    def element(self, depth: int = 2) -> Any:
        """An expression that varies over the elements."""
        if depth == 0:
            return self.pick(self.elements)
        x, y = self.element(depth - 1), self.element(self.pick([0, depth - 1]))
        a, b = self.scalar(1), self.scalar(1)
        return self.pick(
            [
                lambda: x,
                lambda: a * x,
                lambda: a * x + b * y,
                lambda: a * x + (1 - a) * y**2,
                lambda: x + y,
                lambda: x - y,
                lambda: x * y,
                lambda: a * x / (sqrt(b * y**2) + eps),
                lambda: a * x / (sqrt(Abs(y) / (1 - beta2**t)) + eps),
                lambda: x / (1 + Abs(y)),
                lambda: x**3 / (1 + Abs(x) ** 3),
                lambda: Abs(x) ** Rational(3, 2),
                lambda: 1 / (eps + x**2),
                lambda: sign(x) * a,
                lambda: Max(x, y),
                lambda: Min(x, a),
                lambda: Max(x, y, -x),
                lambda: tanh(x),
                lambda: exp(-Abs(x)) * y,
                lambda: sqrt(x**2 + y**2),
                lambda: group(x + y) - y,
                lambda: group(a * x) + b,
                lambda: when(self.condition(), x, y),
                lambda: when(self.condition(), a * x, y),
                lambda: when(self.condition(True), x, y),
                lambda: when(self.condition(True), a * x, b * y),
                lambda: x / (norm(y) + 1),
                lambda: x - mean(y),
                lambda: mean(y) * a + x,
                lambda: x * Min(1, 1 / (1 + Abs(total(y)))),
                lambda: x / (1 + row_mean(y**2)),
                lambda: a * x - column_mean(y),
                lambda: x / (1 + column_max(Abs(y))),
                lambda: x * self.pick([*self.reduced, a]),
                lambda: x + self.pick([*self.reduced, b]),
                lambda: decay * x + y,
                lambda: power * x + y,
                lambda: (1 - lr * decay) * x,
            ]
        )()

    def reduction(self) -> Any:
        """What is one number per tensor, row or column."""
        x, y = self.element(0), self.element(1)
        return self.pick(
            [
                lambda: norm(x),
                lambda: norm(y) / (1 + norm(x)),
                lambda: mean(x * y),
                lambda: when(self.condition(), norm(x), self.pick([*self.reduced, mean(y)])),
                lambda: self.pick([*self.reduced, norm(x)]),
                lambda: largest(y) - count(x > 0),
                lambda: column_norm(x) * row_max(y),
                lambda: row_total(x) + column_total(row_norm(y)),
                lambda: row_mean(x**2),
                lambda: column_mean(Abs(x)),
            ]
        )()

    def of_group(self) -> Any:
        """What is one number per group: of sums over its parameters, and of arguments."""
        x, y = self.element(1), self.element(0)
        known = self.grouped or [lr]
        return self.pick(
            [
                lambda: over_group(norm(x)),
                lambda: over_group(total(x * y)) * self.pick(known),
                lambda: over_group(mean(Abs(x))) + over_group(largest(y)),
                lambda: Max(free, over_group(total(y))) / (1 + over_group(norm(x))),
                lambda: when(self.pick([early, decay]), over_group(norm(y)), self.pick(known)),
                lambda: when(over_group(norm(x)) > lr, 1 - beta1**t, self.pick(known)),
            ]
        )()

    def define_of_group(self, name: str, equations: list[Eq]) -> None:
        """An equation for a number of the group, which all that follows may read."""
        d = series(name)
        right = self.of_group()
        if self.pick([True, False]):
            right = beta1 * d[t - 1] + (1 - beta1) * right
            begin = self.pick(["zero", "start", "first"])
            if begin == "start":
                equations.append(Eq(d[0], lr))
            elif begin == "first":
                equations.append(Eq(d[1], over_group(norm(grad[1]))))
            self.grouped.append(d[t - 1])
        equations.append(Eq(d[t], right))
        self.grouped.append(d[t])
        self.scalars += [d[t], d[t]]

    def copied(self, known: Sequence[Any]) -> Any:
        """Another name of something, perhaps of something else in another case."""
        x, y = self.pick(known), self.pick(known)
        flags = [early, late, decay]
        return self.pick([x, x, when(self.pick(flags), x, y), when(self.condition(), x, y)])

    def spec(self) -> OptimizerSpec:
        """A spec of a few series of every domain, in any order."""
        equations: list[Eq] = []
        if self.pick([False, False, True]):
            self.scalars.append(loss)
        for index in range(self.pick([0, 1, 1, 2])):
            self.define(series(f"s{index}"), self.scalars, lambda: self.scalar(), equations)
        count = self.pick([1, 2, 3, 4])
        own = [series(f"x{index}", keep=self.pick([False, False, True])) for index in range(count)]
        self.elements += [x[t - 1] for x in own]
        has_groups = self.pick([False, False, True])
        if has_groups:
            self.define_of_group("d", equations)
        # What sums over a group need cannot be drawn: specs in which it is are not legal.
        kinds = [(), (), (), (normal,), (uniform,), (normal, uniform)]
        for draw in self.pick(kinds):
            noise = series(f"{draw.__name__}_noise")
            equations.append(Eq(noise[t], draw()))
            self.elements += [noise[t], noise[t - 1]]
        for index in range(self.pick([0, 0, 1, 2])):
            self.define(series(f"n{index}"), self.reduced, lambda: self.reduction(), equations)
        for x in own:
            copies = self.pick([False, False, False, True])
            value = (lambda: self.copied(self.elements)) if copies else (lambda: self.element())
            self.define(x, self.elements, value, equations, averaged=not copies)
        if has_groups and self.pick([False, True]):
            self.define_of_group("e", equations)
        moved = series("moved", keep=self.pick([False, True]))  # what w is after the step
        if self.pick([False, False, False, True]):
            equations.append(Eq(moved[t], self.copied([w[t], w[t], w[t - 1], grad[t]])))
            self.elements.append(moved[t - 1])
        for index, known in enumerate((self.scalars, self.reduced, self.elements)):
            if known and self.pick([False, True]) and not (has_groups and index == 0):
                x, of = series(f"c{index}"), self.copied(known)
                equations.append(Eq(x[t], of))
                known += [x[t - 1], x[t - 1], x[t]]
        equations.append(Eq(w[t], w[t - 1] - lr * self.element()))
        if self.pick([False, False, False, True]):
            equations.append(Eq(w[1], w[0] - lr * grad[1] / 2))
        matrices = self.pick(["last", "last", "first"])
        return OptimizerSpec(
            "Random", self.used(equations), self.shuffled(equations), matrices=matrices
        )

    def define(
        self,
        x: Series,
        known: list[Any],
        value: Callable[[], Any],
        equations: list[Eq],
        averaged: bool = True,
    ) -> None:
        """An equation for a series, with a start or a first update now and then."""
        right = value()
        if averaged and self.pick([True, True, False]):
            right = beta1 * x[t - 1] + (1 - beta1) * right
        equations.append(Eq(x[t], right))
        known += [x[t], x[t - 1]]
        if right.has(x[t - 1]):
            begin = self.pick(["zero", "zero", "start", "first"])
            if begin == "start":
                equations.append(Eq(x[0], self.start(known is self.elements)))
            elif begin == "first":
                first = self.scalars[0] if known is self.scalars else grad[1]
                first = norm(first) if known is self.reduced else first
                equations.append(Eq(x[1], self.pick([first, first / 2])))

    def start(self, of_elements: bool) -> Any:
        """How a state starts: from hyperparameters, and from the parameter if it is like that."""
        starts = [sympy.Integer(1), lr, 1 - beta1, free, sign(free), Max(free, lr), sqrt(eps) / 2]
        of_w = [w[0], sign(w[0]), Max(w[0], free), when(w[0] > 0, lr, -w[0]), sqrt(Abs(w[0]))]
        return self.pick([*starts, *of_w, *of_w] if of_elements else starts)

    def used(self, equations: Sequence[Eq]) -> tuple[Any, ...]:
        """The arguments that some equation reads."""
        read = set().union(*(e.right.free_symbols for e in equations))
        return tuple(a for a in ARGUMENTS if read & {a, *getattr(a, "symbols", ())})

    def shuffled(self, items: Sequence[Eq]) -> tuple[Eq, ...]:
        """The equations in any order."""
        rest, out = list(items), []
        while rest:
            out.append(rest.pop(self.pick(range(len(rest)))))
        return tuple(out)


def random_spec(pick: Pick) -> OptimizerSpec:
    """A spec from a function that picks an element of a list."""
    return Author(pick).spec()
