"""The base class of every generated optimizer.

Owns the public methods, the groups, and what an optimizer was told. How updates come about and
where the state is kept is the business of its engine: ``step.engine`` for parameters with gradients
of their own, ``trees.engine`` for trees of MLX arrays. How a state is saved and loaded is in
``checkpoints``. Knows no equations.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from . import checking, former
from .arrays import make_mlx_types_picklable, zeros_like
from .checking import nearest, shown
from .checkpoints import checkpoint
from .engine import Engine
from .groups import options, without_decay
from .groups.grouping import as_group_dicts
from .groups.settings import CLIP_VALUE, as_argument, check_values, settle
from .kernel_choice import checked_kernel
from .rules.generation import GENERATION, adopt
from .rules.rule import Rule, rate_of, reading_of
from .step.engine import ParameterEngine
from .step.hooks import Handle, Hook
from .step.loss import check_accumulation
from .trees.engine import TreeEngine, is_for_trees
from .trees.leaves import check_model
from .trees.rate import is_schedule, with_first_value

#: The kinds of engines, by their names in pickles.
ENGINES: dict[str, type[ParameterEngine] | type[TreeEngine]] = {
    engine.kind: engine for engine in (ParameterEngine, TreeEngine)
}


class Optimizer:
    """Base of all optimizers: parameter groups, per-parameter state, checkpoints.

    Generated classes carry their ``rules``. A class without rules defines ``step`` by itself, and
    calls ``super().__init__(params, defaults)`` with a dict of hyperparameters, as in torch.
    """

    rules: ClassVar[Mapping[str, Rule]] = {}
    generation: ClassVar[int] = GENERATION
    #: The reading that classes which have it compute where none is asked for; None: their first.
    preferred_dialect: ClassVar[str | None] = None
    #: What updates arrays: what is fastest here, or one of ``kernel_choice.CHOICES``.
    kernel: str = "auto"
    #: Whether it has made a step; called as torch's optimizers call it.
    _opt_called: bool = False
    _engine: Engine

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        adopt(cls, cls.generation)

    def __init__(
        self,
        params: Any = None,
        defaults: Mapping[str, Any] | None = None,
        *,
        dialect: str | None = None,
        kernel: str = "auto",
        **arguments: Any,
    ) -> None:
        given: frozenset[str] | None = self.__dict__.pop("_given", None)
        label = type(self).__name__
        if dialect is None or (given is not None and "dialect" not in given):
            preferred, first = self.preferred_dialect, next(iter(self.rules), "")
            dialect = preferred if preferred is not None and preferred in self.rules else first
        elif (dialect := reading_of(self.rules, dialect)) not in self.rules:
            raise ValueError(
                f"{label}: no dialect {shown(dialect)}; {nearest(dialect, self.rules)}"
            )
        self.dialect = dialect
        rule = self._rule
        self.kernel = checked_kernel(kernel, label, rule)
        self._options = options.Options()
        no_decay = schedule = None
        if rule is not None:
            own = {name: arguments.pop(name) for name in options.NAMES if name in arguments}
            self._options = options.checked(own, label)
            check_accumulation(rule, self.accumulation_steps, label)
            no_decay = without_decay.as_no_decay(own.get("no_decay"), rule, label)
        for_trees = is_for_trees(params, label)
        if rule is not None and is_schedule(arguments.get(rate_of(rule))):
            if not for_trees:
                raise TypeError(
                    f"{label}: {rate_of(rule)} is a function of the step only where trees are "
                    f"updated, without parameters; here let a scheduler of lr_scheduler drive it"
                )
            schedule = arguments[rate_of(rule)]
            arguments = with_first_value(rule, arguments, label)
        if defaults is not None and not isinstance(defaults, Mapping):
            raise TypeError(f"{label}: defaults must be a dict, got {shown(defaults)}")
        self.defaults: dict[str, Any] = self._checked_defaults(
            {**(defaults or {}), **arguments}, given
        )
        self.param_groups: list[Any] = []
        make_mlx_types_picklable()
        if for_trees:
            trees = self._engine = TreeEngine(no_decay)
            trees.start(self, params, schedule)
            self.accumulation_steps = self.accumulation_steps  # refused if it is above 1
        else:
            self._engine = ParameterEngine(self)
            groups = as_group_dicts(params, label)
            if no_decay is not None:
                assert rule is not None
                groups = without_decay.split(groups, no_decay, rule, label)
            for group in groups:
                self.add_param_group(group)

    def _checked_defaults(
        self, arguments: dict[str, Any], given: frozenset[str] | None
    ) -> dict[str, Any]:
        rule = self._rule
        if rule is None:
            return arguments
        for name, argument in rule.arguments.items():
            if name not in arguments or (given is not None and name not in given):
                arguments[name] = argument.default
        if CLIP_VALUE in self._options:
            arguments[CLIP_VALUE] = self._options["max_grad_value"]
        label = type(self).__name__
        checked = check_values(rule, self.rules, arguments, label)
        settle(rule, checked, label)
        return checked

    @property
    def _rule(self) -> Rule | None:
        """What this optimizer computes, or None for a class that defines step by itself."""
        return self.rules.get(self.dialect)

    @property
    def _steps_by_itself(self) -> bool:
        return type(self).step is not Optimizer.step

    # -- parameters with gradients ----------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None, *, loss: Any = None) -> Any:
        """Update every parameter that has a gradient; the loss is returned.

        NumPy parameters are updated in place, MLX parameters get new arrays.

        Parameters
        ----------
        closure : callable, optional
            Computes the gradients once more, and returns their loss.
        loss : number or array of one element, optional
            The loss of the gradients that there are. Optimizers whose equations read it need it,
            or a closure; others do without.

        Raises
        ------
        TypeError, ValueError
            If a gradient, a value of a group or the loss is not as it must be; then nothing has
            changed.
        """
        self._opt_called = True
        return self._engine.step(self, closure, loss)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group: a dict of "params" and the hyperparameters that differ from the defaults."""
        self._engine.add_group(self, param_group)

    def register_step_pre_hook(self, hook: Hook) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` before every ``step()``.

        It may return new ``(args, kwargs)`` for step(). Hooks are left out of copies and pickles.

        Returns
        -------
        Handle
            Its ``remove()`` removes the hook.
        """
        handle: Handle = self._engine.add_hook(self, hook, is_before=True)
        return handle

    def register_step_post_hook(self, hook: Hook) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` after every ``step()``; else as before it."""
        handle: Handle = self._engine.add_hook(self, hook, is_before=False)
        return handle

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients.

        Parameters
        ----------
        set_to_none : bool, default True
            Whether parameters are left without a gradient; else those that have one get zeros, in
            new arrays, and the next step counts them.
        """
        set_to_none = checking.as_bool(set_to_none, f"{type(self).__name__}: set_to_none")
        for group in self.param_groups:
            for param in group["params"]:
                if not set_to_none:
                    if param.grad is not None:
                        param.grad = zeros_like(param.grad)
                elif hasattr(param, "zero_grad"):
                    param.zero_grad()
                else:
                    param.grad = None

    # -- trees of MLX arrays ----------------------------------------------------------------------

    def init(self, params: Any) -> None:
        """Make the state for a tree of MLX arrays, or for an mlx.nn.Module.

        A state that was just assigned stays; what it lacks is made.

        Raises
        ------
        TypeError, ValueError
            If there are no floating arrays, no group takes one of them, or a group takes none.
        """
        self._engine.init(self, params)

    def apply_gradients(self, grads: Any, params: Any, *, loss: Any = None) -> Any:
        """The updated tree of parameters, unevaluated; parameters without gradient stay.

        Optimizers whose equations read the ``loss`` need it: an array, where a step is compiled.
        """
        self._opt_called = True
        return self._engine.apply_gradients(self, grads, params, loss)

    def update(self, model: Any, grads: Any, *, loss: Any = None) -> None:
        """Update an mlx.nn.Module from a tree of gradients, unevaluated.

        The ``loss`` is that of the gradients, as in ``apply_gradients``.
        """
        check_model(model, type(self).__name__)
        model.update(self.apply_gradients(grads, model, loss=loss))

    # -- state and options ------------------------------------------------------------------------

    @property
    def state(self) -> Any:
        """The state of each parameter: ``state[param]`` is a dict. In the MLX idiom, a tree.

        The tree is one object for good: what is assigned to ``state`` is checked and put into it,
        so that a step that captured it goes on from there. In the dialect "mlx" it is laid out as
        that of mlx.optimizers, and any dict may be assigned before the first update; it is checked
        when it is first used.
        """
        return self._engine.state

    @state.setter
    def state(self, value: Mapping[Any, Any]) -> None:
        self._engine.assign(self, value)

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the first group; setting it sets that of every group.

        A float; in the MLX idiom a 0-d array, which is part of the state.
        """
        return self._engine.learning_rate(self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        rule, rate = self._rule, rate_of(self._rule)
        where = type(self).__name__
        argument = None if rule is None else rule.arguments.get(rate)
        if argument is None:
            value = checking.as_number(value, f"{where}: {rate}")
        elif not (isinstance(self._engine, TreeEngine) and is_schedule(value)):
            value = as_argument(argument, value, where)
        for group in self.param_groups:
            group[rate] = value

    @property
    def max_grad_norm(self) -> float | None:
        """To which norm the gradients of all groups are clipped; None does not clip."""
        return self._options.get("max_grad_norm")

    @max_grad_norm.setter
    def max_grad_norm(self, value: float | None) -> None:
        checked = options.as_max_grad_norm(value, type(self).__name__)
        self._engine.check_change("max_grad_norm", self.max_grad_norm, checked)
        self._options["max_grad_norm"] = checked

    @property
    def grad_norm(self) -> Any:
        """The norm of all gradients at the last step, before clipping; None if nothing is clipped.

        A float, or a 0-d array where all parameters are MLX arrays.
        """
        return self._engine.grad_norm

    @property
    def accumulation_steps(self) -> int:
        """How many calls of step() make one update."""
        return self._options.get("accumulation_steps", 1)

    @accumulation_steps.setter
    def accumulation_steps(self, value: int) -> None:
        label = f"{type(self).__name__}: accumulation_steps"
        count = checking.as_count(value, label)
        self._engine.check_accumulation(label, count)
        check_accumulation(self._rule, count, type(self).__name__)
        self._options["accumulation_steps"] = count

    @property
    def accumulated(self) -> int:
        """How many calls of step() wait for their update."""
        return self._engine.accumulated

    # -- saving and showing -----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """torch's layout plus names, shapes, class and dialect. All arrays are copies."""
        return checkpoint.save(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what an optimizer has saved, here or in another library.

        Parameters are matched by name where both sides have names, else by position: then a swap
        of two parameters of equal shape cannot be seen, so prefer names.

        Parameters
        ----------
        state_dict : dict
            What ``state_dict()`` returned here, in Lucid 2, torch or pytorch_optimizer; the
            ``state`` of mlx.optimizers, as a tree or flattened; keras's variables by their paths,
            ``{v.path: v.numpy() for v in optimizer.variables}``, whose parameters are matched by
            position; what ``lucidgen.from_optax`` makes of a state of optax. ``dialect`` must be
            one that goes on as the library does. Momentum that holds the learning rate, or is an
            average, is converted where ours does not and is none. A parameter without a state in
            it begins afresh. Float32 masters are dropped, with a warning, by an optimizer that was
            not told to keep any.

        Raises
        ------
        TypeError, ValueError
            If it does not fit this optimizer; then nothing has changed.
        """
        checkpoint.load(self, state_dict)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, which ``load``, ``mx.load`` and readers of safetensors read.

        The file replaces what is at ``path`` when it is complete; it has a checksum.

        Parameters
        ----------
        path : str or path
            Must end in ``.safetensors``.

        Raises
        ------
        TypeError, ValueError, OSError
            If the state or the path is not fit for a file, or it cannot be written.
        """
        from .checkpoints import state_file

        state_file.save(path, self.state_dict())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Load what ``save`` wrote, as ``load_state_dict`` does: a failed load changes nothing.

        Raises
        ------
        TypeError, ValueError, OSError
            If the file is damaged, is none of ours, or does not fit this optimizer.
        """
        from .checkpoints import state_file

        self.load_state_dict(state_file.load(path))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_engine": {"kind": self._engine.kind, **self._engine.kept()}}

    def __setstate__(self, found: Mapping[str, Any]) -> None:
        found = former.with_engine(found)
        self.__dict__.update(found)
        self.dialect = reading_of(self.rules, self.dialect)
        arguments = {} if self._rule is None else self._rule.arguments
        defaults = {name: argument.default for name, argument in arguments.items()}
        former.complete((self.defaults, *self.param_groups), defaults)
        kept = found["_engine"]
        self._engine = ENGINES[kept["kind"]].restored(self, kept)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for index, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {index}")
            lines += [
                f"    {key}: {group[key]}"
                for key in sorted(group)
                if key not in ("params", "param_names")
            ]
        return "\n".join([*lines, ")"])
