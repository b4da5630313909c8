"""Schedulers that have no closed form: each value follows from the one before it.

Owns MultiplicativeLR and ReduceLROnPlateau, in torch's reading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..checking import as_number, shown
from .arguments import (
    Choice,
    Function,
    Number,
    checked,
    function_state,
    of_group,
    of_groups,
    restore_functions,
)
from .scheduler import Bare, LRScheduler, checked_optimizer, checked_time, in_role


class MultiplicativeLR(LRScheduler):
    """Multiplies the value of the last step by a factor, which is a function of the step.

    Parameters
    ----------
    optimizer : Optimizer
        Whose groups to write to: any object with ``param_groups``.
    lr_lambda : function of int, or list with one for each group
        The factor of a step.
    last_epoch : int, default -1
        The number of the last step if a run is resumed.
    verbose : bool, default False
        Whether to print the values at every step.
    hyper : str, optional
        Which hyperparameter to drive, by default the learning rate.
    """

    _argument = Function("lr_lambda", saved_as="lr_lambdas")

    def __init__(
        self,
        optimizer: Any,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
        verbose: bool = False,
        *,
        hyper: str | None = None,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer, self._label)
        self.lr_lambdas = checked(self._argument, lr_lambda, self._label, len(self._groups()))
        super().__init__(optimizer, last_epoch, verbose, hyper=hyper)

    def get_lr(self) -> list[float]:
        """The values at ``last_epoch``: those in the groups, times the factors."""
        return [value * self._factor(i, self.last_epoch) for i, value in enumerate(self._present())]

    def step(self, epoch: float | None = None) -> None:
        """Multiply by the next factor, or go to step ``epoch`` through all factors up to it."""
        goal = None if epoch is None else int(checked_time(epoch, self._label))
        with self._step_of_all_groups():
            if goal is None:
                self._go(self._time + 1)
            else:
                self._go_from(self.base_lrs, goal)

    @property
    def lr_lambda(self) -> Any:
        """The function, or the list of functions, that was given."""
        return self.lr_lambdas

    def _factor(self, index: int, time: float) -> float:
        function = of_group(self.lr_lambdas, index)
        return as_number(function(time), f"{self._label}: lr_lambda({time})")

    def _go_from(self, starts: Sequence[float], time: int) -> None:
        """Be at a time, with what all factors up to it make of the values at the start."""
        values = [
            math.prod((self._factor(i, k) for k in range(1, time + 1)), start=start)
            for i, start in enumerate(starts)
        ]
        self._write(values)
        self._set_time(time)
        self._moved()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._set_time(self._time + 1)
        self._write(self._present())
        self._moved()

    def _restart(self) -> None:
        self._go(0)

    def _take_turn(self, time: float) -> None:
        self._restart()
        self._go_from(self._present(), int(time))

    def _take_in(self) -> None:
        groups, known, place = self._new_groups(), len(self._last_lr), self._place()
        fresh = self._fresh(Bare(self.optimizer, groups), known)
        fresh._start_anew()
        fresh._walk(self._time)
        super()._take_in()
        self._last_lr[known:] = fresh._last_lr
        for group, value in zip(groups, fresh._last_lr, strict=True):
            place.write(group, value)

    def _fresh(self, bare: Bare, first: int) -> MultiplicativeLR:
        made = super()._fresh(bare, first)
        assert isinstance(made, MultiplicativeLR)
        if isinstance(self.lr_lambdas, list):
            end = first + len(bare.param_groups)
            made.lr_lambdas = of_groups(self.lr_lambdas, first, end, f"{self._label}: lr_lambdas")
        return made

    def _walk(self, time: float) -> None:
        if time:
            self._go_from(self._present(), int(time))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({_FORMER.get(key, key): value for key, value in state.items()})

    def _saved(self) -> dict[str, Any]:
        groups = len(self._last_lr)
        saved = function_state(self._argument, self.lr_lambdas, groups)
        return {**super()._saved(), "lr_lambdas": saved}

    def _restore(self, found: Mapping[str, Any]) -> None:
        restore_functions(self.lr_lambdas, found.get("lr_lambdas"))
        super()._restore({k: v for k, v in found.items() if k != "lr_lambdas"})


#: How attributes are called in older pickles.
_FORMER = {"lr_lambda": "lr_lambdas"}


class ReduceLROnPlateau(LRScheduler):
    """Reduces the value when a metric has not become better for some steps.

    Parameters
    ----------
    optimizer : Optimizer
        Whose groups to write to: any object with ``param_groups``.
    mode : {"min", "max"}, default "min"
        Whether a better metric is a smaller or a larger one.
    factor : float, at least 0 and below 1, default 0.1
        What the value is multiplied with.
    patience : int, at least 0, default 10
        The number of steps without improvement that are borne.
    threshold : float, default 1e-4
        How much better counts as better.
    threshold_mode : {"rel", "abs"}, default "rel"
        Whether that is a fraction of the best metric, or a difference.
    cooldown : int, at least 0, default 0
        The number of steps after a reduction in which nothing is counted.
    min_lr : float or list with one for each group, default 0.0
        The value is not reduced further.
    eps : float, default 1e-8
        Reductions by less than this are left out.
    verbose : bool, default False
        Whether to print the values at every step.
    hyper : str, optional
        Which hyperparameter to drive, by default the learning rate.
    """

    essential: ClassVar[tuple[str, ...]] = ("last_epoch", "_last_lr", "best")

    _arguments = (
        Choice("mode", ("min", "max")),
        Number("factor", shared=True, at_least=0, below=1),
        Number("patience", shared=True, whole=True, at_least=0),
        Number("threshold", shared=True),
        Choice("threshold_mode", ("rel", "abs")),
        Number("cooldown", shared=True, whole=True, at_least=0),
        Number("min_lr"),
        Number("eps", shared=True),
    )

    def __init__(
        self,
        optimizer: Any,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
        verbose: bool = False,
        *,
        hyper: str | None = None,
    ) -> None:
        self.optimizer = checked_optimizer(optimizer, self._label)
        given = locals()
        groups = len(self._groups())
        values = {a.name: checked(a, given[a.name], self._label, groups) for a in self._arguments}
        minimum = values.pop("min_lr")
        self.__dict__.update(values)
        self.hyper, self.verbose = hyper or in_role(optimizer, "rate") or "lr", verbose
        self.default_min_lr = None if isinstance(minimum, list) else minimum
        self.min_lrs = minimum if isinstance(minimum, list) else [minimum] * groups
        self.last_epoch, self._fraction, self._step_count = 0, 0.0, 0
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.best = self.mode_worse
        self.num_bad_epochs = self.cooldown_counter = 0
        self._last_lr = self._present()

    @property
    def in_cooldown(self) -> bool:
        """Whether the last reduction is so recent that nothing is counted."""
        return self.cooldown_counter > 0

    def _metric(self, value: Any) -> float:
        """A metric as a float: of a tensor, too."""
        try:
            return float(value)
        except (TypeError, ValueError):
            raise TypeError(
                f"{self._label}: the metric must be a number, got {shown(value)}"
            ) from None

    def is_better(self, metrics: float, best: float | None = None) -> bool:
        """Whether a metric is better than the best one, by the threshold."""
        metrics = self._metric(metrics)
        best = self.best if best is None else self._metric(best)
        sign = -1.0 if self.__dict__["mode"] == "min" else 1.0
        threshold = self.__dict__["threshold"]
        relative = self.__dict__["threshold_mode"] == "rel"
        limit = best * (1 + sign * threshold) if relative else best + sign * threshold
        return bool(metrics > limit if sign > 0 else metrics < limit)

    def step(self, metrics: Any, epoch: float | None = None) -> None:  # type: ignore[override]
        """Take note of a metric, and reduce the values if it has not improved for long."""
        current = self._metric(metrics)
        time = self._time + 1 if epoch is None else checked_time(epoch, self._label)
        with self._undone_on_error():
            self._take_in()
            self._see(current, time)

    def _see(self, current: float, time: float) -> None:
        settings = self.__dict__
        self._set_time(time)
        if self.is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > settings["patience"]:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = settings["cooldown"], 0
        self._last_lr = self._present()
        self._moved()

    def _take_in(self) -> None:
        groups = self._new_groups()
        self._last_lr = [*self._last_lr, *map(self._place().read, groups)]

    def _reduce(self) -> None:
        groups, place = self._groups(), self._place()
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise ValueError(
                    f"{self._label}: min_lrs must have one value for each parameter group, of "
                    f"which there are {len(groups)} now; it has {len(self.min_lrs)}: append what "
                    f"the new ones shall have"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            old = place.read(group)
            new = max(old * self.__dict__["factor"], least)
            if old - new > self.__dict__["eps"]:
                place.write(group, new)

    def get_lr(self) -> list[float]:
        """The values in the groups."""
        return self._present()
