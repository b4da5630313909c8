"""One emitted step on symbols next to the equations: the same numbers, to 40 digits.

Owns the point at which the Python of a rule runs (`equivalence`) and the truth there (`oracle`):
host arithmetic in both its forms, and the steps in NumPy and MLX. What rounding adds is not seen
here; a wrong array, a wrong branch or a wrong order of writes is.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from ..operations.reals import Value, multiply, real
from ..runtime.groups.shapes import choices
from ..runtime.rules import Rule
from ..runtime.rules.rule import GROUP_SIZE
from .equivalence import Box, distance, run, source_of, values
from .oracle import Trajectory

#: A larger distance is more than what is left of 50 digits.
TOLERANCE = 1e-40

#: The forms of a step, by how they are called here.
FORMS = ("numpy", "mlx", "captured")


class SymbolicStep:
    """The next step of a trajectory, as the equations have it and as the code of a rule does.

    Parameters
    ----------
    rule : Rule
        The generated rule of the trajectory's reading.
    before : Trajectory
        The parameter, its states and the setting before the step.
    grad : array
        The gradient, in exact numbers.
    factor : float
        What the gradient is multiplied with before the equations read it, besides its sign.
    """

    #: What code gives of sums over groups; a step gives none.
    sums: tuple[str, ...] = ()

    def __init__(self, rule: Rule, before: Trajectory, grad: Value, factor: float = 1.0) -> None:
        self.rule, self.before, self.grad, self.factor = rule, before, grad, factor
        self.setting = setting = before.setting
        self.live = [series.name for series in setting.states()]
        # A rule also keeps what the equations read only under conditions that never hold.
        on = self.choices()
        kept = (s.name for s in rule.arrays if s.live is None or s.live(on))
        of_group = [state.name for state in rule.group_states]
        own = (name for name in self.live if name not in of_group)
        self.kept = tuple(name for name in dict.fromkeys([*own, *kept]) if name not in self.sums)
        self.point: dict[str, Value] = {
            "t": real(before.t + 1),
            "w": before.w,
            "grad": grad,
            "grad_factor": real(factor * setting.grad_factor),
            "grad_bound": real(setting.grad_bound),
            **{hyper.name: real(setting.hyper(hyper)) for hyper in setting.spec.hypers},
            **{rule.called(name): real(setting.number(sympy.Symbol(name))) for name in rule.reads},
            **{rule.called(name): setting.given(name, before.t + 1) for name in setting.spec.given},
            **{state.name: real(0) for state in rule.scalar_states},
            **dict.fromkeys(self.sums, real(0)),
            **{name: before.last(name) for name in self.kept},
            **{
                own.name: setting.drawn(
                    setting.spec.draws[own.number], before.t + 1, np.shape(before.w)
                )
                for own in rule.draws
            },
        }

    @cached_property
    def truth(self) -> dict[str, Value]:
        """The new parameter and the new live states, from the equations."""
        path = Trajectory(self.setting, self.before.w, dict(self.before.states), self.before.t)
        path.step(multiply(self.factor, self.grad))
        return {"w": path.w} | {name: path.states[name] for name in self.live}

    def worst(self, found: Mapping[str, Value]) -> float:
        """The largest relative distance of found values from the truth; infinite if any lacks."""
        if found.keys() != self.truth.keys():
            return math.inf
        return max(distance(found[name], self.truth[name]) for name in self.truth)

    def computed(self, form: str) -> dict[str, Value]:
        """What the rule's own code computes, in one of the forms, that of its rounds before it."""
        known = self.numbers(form)
        self.point.update(known)
        of_group = {s.name: known[s.name] for s in self.rule.group_states if s.name in self.live}
        return self.stepped(form) | of_group

    def numbers(self, form: str) -> dict[str, Value]:
        """The numbers of a group that has no other parameters."""
        rule, known = self.rule, dict[str, Value]()
        if not rule.rounds:
            return known
        known[rule.called(GROUP_SIZE)] = real(np.size(self.before.w))
        choices = self.choices()
        for state in rule.group_states:
            known[state.before] = self.before.last(state.name)
            choices[f"first_{state.name}"] = state.name not in self.before.states
        for found in rule.rounds:
            if found.shares is not None:
                shares = _Shares(found.shares, self, tuple(found.sums), known)
                known |= {name: shares.stepped(form)[name] for name in found.sums}
            if found.values is not None:
                function: Any = found.values
                if form != "numpy":
                    function = getattr(
                        importlib.import_module(rule.targets["mlx"]), _name(function)
                    )
                point = {**self.point, **known}
                given = {name: sympy.Symbol(name, real=True) for name in point} | choices
                returned, _ = run(source_of(function), given, point)
                known |= {
                    name: box.value() if isinstance(box, Box) else real(box)
                    for name, box in returned.items()
                }
        return known

    def stepped(self, form: str) -> dict[str, Value]:
        """What the code of the step computes, in one of the forms."""
        if form == "numpy":
            return self.numpy(_text(self.rule.scalars), source_of(self.rule.numpy))
        module = importlib.import_module(self.rule.targets["mlx"])
        step: Any = getattr(module, f"{self.rule.name}_step")
        if form == "mlx":
            return self.mlx(_text(self.rule.scalars), source_of(step))
        scalars = getattr(module, f"{self.rule.name}_scalars", None)
        captured = getattr(module, f"{self.rule.name}_captured_step", None)
        return self.mlx(_text(scalars), source_of(captured or step), decide=captured is None)

    def numpy(self, host: str | None, step: str) -> dict[str, Value]:
        """What the texts of the host arithmetic and of a NumPy step compute."""
        given = self.hosted(host)
        names = ("w", *self.live, *self.sums)
        writes = frozenset(("w", *self.kept, *self.sums))
        _, boxes = run(step, self.decided(given), self.point, writes=writes)
        found = values({name: boxes[name] for name in names if name in boxes})
        return found | self.scalars(given)

    def mlx(self, host: str | None, step: str, decide: bool = True) -> dict[str, Value]:
        """What the texts of the host arithmetic and of an MLX step compute.

        Conditions on the host are truth values if `decide`, else part of what is computed.
        """
        given = self.hosted(host)
        returned, _ = run(step, self.decided(given) if decide else given, self.point)
        names = ("w", *(state.name for state in self.rule.arrays))
        returned = returned if isinstance(returned, tuple) else (returned,)
        found = values(dict(zip(names, returned, strict=True)))
        wanted = ("w", *self.live, *self.sums)
        found = {name: value for name, value in found.items() if name in wanted}
        return found | self.scalars(given)

    def choices(self) -> dict[str, bool]:
        """The static choices of the step."""
        setting, first = self.setting, {"first_w": self.before.t == 0}
        found = {"scale_grad": setting.scales_grad or self.factor != 1, **first}
        found |= {flag.name: setting.flag(flag) for flag in setting.spec.flags}
        for hyper in setting.spec.hypers:
            if hyper.special is not None:
                found[f"use_{hyper.name}"] = setting.is_away(hyper)
        if self.rule.asks_shapes:
            values = {hyper.name: setting.hyper(hyper) for hyper in setting.spec.hypers}
            found |= choices(self.rule, setting.shape or (), {**values, **found})
        created = set(self.live) - set(self.before.states)
        return found | {f"first_{s.name}": s.name in created for s in self.rule.states if s.first}

    def hosted(self, source: str | None) -> dict[str, Any]:
        """The arguments of a step, host arithmetic included; None for states not needed."""
        given: dict[str, Any] = dict.fromkeys(state.name for state in self.rule.arrays)
        given |= {name: sympy.Symbol(name, real=True) for name in self.point}
        given |= self.choices()
        if source is not None:
            returned, _ = run(source, given, self.point)
            given |= returned
        return given

    def decided(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with the host's conditions as truth values."""
        truths = {
            name: bool(box)
            for name, box in given.items()
            if isinstance(getattr(box, "expr", None), sympy.logic.boolalg.Boolean)
            and not box.expr.is_Symbol
        }
        return {**given, **truths}

    def scalars(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """The new values of the scalar states, which the host computes."""
        names = {state.name for state in self.rule.scalar_states} & set(self.live)
        return {
            name: given[name].value() if isinstance(given[name], Box) else real(given[name])
            for name in names
        }


def _text(function: Callable[..., Any] | None) -> str | None:
    return None if function is None else source_of(function)


def _name(function: Callable[..., Any]) -> str:
    return str(function.__name__)


class _Shares(SymbolicStep):
    """What a parameter gives to sums over its group, which the code of their rule computes."""

    def __init__(
        self, rule: Rule, step: SymbolicStep, sums: tuple[str, ...], known: Mapping[str, Value]
    ) -> None:
        self.sums = sums
        super().__init__(rule, step.before, step.grad, step.factor)
        self.point.update(known)
