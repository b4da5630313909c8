"""The base class of every generated optimizer.

Owns the public methods and the groups and states behind them; those for trees of MLX arrays are in
``trees``. How a step runs is in ``step`` (parameters with gradients of their own) and ``trees``;
how a state is saved and loaded is in ``checkpoints``. Knows no equations.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, ClassVar

from . import checking
from .arrays import is_mlx_module, make_mlx_types_picklable
from .backends.kernel_choice import checked_kernel
from .checking import nearest
from .checkpoints import checkpoint
from .groups import options, without_decay
from .groups.settings import CLIP_VALUE, check_values, settle
from .groups.states import States
from .rules.generation import GENERATION, adopt
from .step import stepping
from .step.accumulation import Accumulation
from .step.clipping import GRAD_NORM
from .step.hooks import Handle, Hook, Hooks
from .step.last_step import LastStep
from .step.masters import Masters
from .trees.idiom import MLXIdiom, Unready
from .trees.rate import is_schedule


class Optimizer(MLXIdiom):
    """Base of all optimizers: parameter groups, per-parameter state, checkpoints.

    Generated classes carry their ``rules``. A class without rules defines ``step`` by itself, and
    calls ``super().__init__(params, defaults)`` with a dict of hyperparameters, as in torch.
    """

    generation: ClassVar[int] = GENERATION
    #: What updates arrays: what is fastest here, or one of ``kernel_choice.CHOICES``.
    kernel: str = "auto"
    _hooks: Hooks | None = None

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
        if dialect is None:
            dialect = next(iter(self.rules), "")
        elif dialect not in self.rules:
            raise ValueError(f"{label}: no dialect {dialect!r}; {nearest(dialect, self.rules)}")
        self.dialect = dialect
        self.kernel = checked_kernel(kernel, label, self._rule)
        self._grad_norm: Any = None
        self._options = options.Options()
        self._accumulation = Accumulation()
        self._masters: Masters | None = None
        no_decay = None
        if self._rule is not None:
            own = {name: arguments.pop(name) for name in options.NAMES if name in arguments}
            self._options = options.checked(own, label)
            no_decay = without_decay.as_no_decay(own.get("no_decay"), self._rule, label)
        if self._options.get("master_weights"):
            self._masters = Masters()
        is_tree = params is None or is_mlx_module(params) or self._selects(params)
        schedule = arguments.get("lr") if is_schedule(arguments.get("lr")) else None
        if schedule is not None and self._rule is not None:
            if not is_tree:
                raise TypeError(
                    f"{label}: lr is a function of the step only where trees are updated, without "
                    f"parameters; here let a scheduler of lr_scheduler drive it"
                )
            arguments = self._without_schedule(arguments, label)
        self.defaults: dict[str, Any] = self._checked_defaults(
            {**(defaults or {}), **arguments}, given
        )
        self.param_groups: list[Any] = []
        self._states = States()
        self._last_step = LastStep()
        self._tree: Any = None
        make_mlx_types_picklable()
        if is_tree:
            self._no_decay = no_decay
            self._start_tree(params, schedule)
            self.accumulation_steps = self.accumulation_steps  # refused if it is above 1
        else:
            groups = self._group_dicts(params)
            if no_decay is not None:
                assert self._rule is not None
                groups = without_decay.split(groups, no_decay, self._rule, label)
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
    def _steps_by_itself(self) -> bool:
        return type(self).step is not Optimizer.step

    # -- stepping ---------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; the closure's loss is returned.

        NumPy parameters are updated in place, MLX parameters get new arrays.
        """
        if self._hooks is not None:
            return self._hooks.around(self, self._step, *([] if closure is None else [closure]))
        return self._step(closure)

    def _step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None if closure is None else closure()
        rule = self._rule
        if rule is None:
            raise NotImplementedError(f"{type(self).__name__} has no rules: define step() in it")
        if self._tree is not None:
            raise RuntimeError(
                f"{type(self).__name__}: constructed without parameters, so there is nothing to "
                f"step; give it parameters, or use update(model, grads)"
            )
        groups, states = self._settled(rule), self._states
        sums = self._accumulation
        if sums.waiting or self.accumulation_steps > 1:
            sums.add(groups, states)
            if sums.waiting < self.accumulation_steps:
                return loss
            groups = sums.means(groups, states)
        stepped = groups
        if self._masters is not None:
            stepped, states = self._masters.stand_in(groups, states), self._masters.states
        self._grad_norm = stepping.step(
            stepped, states, self._last_step, self.kernel, self.max_grad_norm
        )
        if self._masters is not None:
            self._masters.store(stepped, self._states)
        if sums.waiting:
            sums.clear(groups, self._states)
        return loss

    def register_step_pre_hook(self, hook: Hook) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` before every ``step()``.

        It may return new ``(args, kwargs)`` for step(). Hooks are left out of copies and pickles.

        Returns
        -------
        Handle
            Its ``remove()`` removes the hook.
        """
        hooks = self._hooks_to_be()
        return hooks.add(hooks.before, hook)

    def register_step_post_hook(self, hook: Hook) -> Handle:
        """Call ``hook(optimizer, args, kwargs)`` after every ``step()``; else as before it."""
        hooks = self._hooks_to_be()
        return hooks.add(hooks.after, hook)

    def _hooks_to_be(self) -> Hooks:
        if self._rule is None:
            raise RuntimeError(f"{type(self).__name__} defines step() itself, which calls no hooks")
        if self._tree is not None:
            raise RuntimeError(
                f"{type(self).__name__}: hooks are called around step(), which trees of arrays do "
                f"without; call the function after update()"
            )
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for param in group["params"]:
                if hasattr(param, "zero_grad"):
                    param.zero_grad()
                else:
                    param.grad = None

    @property
    def max_grad_norm(self) -> float | None:
        """To which norm the gradients of all groups are clipped; None does not clip."""
        return self._options.get("max_grad_norm")

    @max_grad_norm.setter
    def max_grad_norm(self, value: float | None) -> None:
        checked = options.as_max_grad_norm(value, type(self).__name__)
        if self._tree is not None:
            self._tree.check_change("max_grad_norm", self.max_grad_norm, checked)
        self._options["max_grad_norm"] = checked

    @property
    def grad_norm(self) -> Any:
        """The norm of all gradients at the last step, before clipping; None if nothing is clipped.

        A float, or a 0-d array where all parameters are MLX arrays.
        """
        return self._grad_norm if self._tree is None else self._tree.state.get(GRAD_NORM)

    @property
    def accumulation_steps(self) -> int:
        """How many calls of step() make one update."""
        return self._options.get("accumulation_steps", 1)

    @accumulation_steps.setter
    def accumulation_steps(self, value: int) -> None:
        label = f"{type(self).__name__}: accumulation_steps"
        count = checking.as_count(value, label)
        if self._tree is not None and count > 1:
            raise ValueError(
                f"{label}: update() applies what it is given; add up gradients with tree_map"
            )
        self._options["accumulation_steps"] = count

    @property
    def accumulated(self) -> int:
        """How many calls of step() wait for their update."""
        return self._accumulation.waiting

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
            average, is converted where ours does not and is none.

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
        found = self.__dict__.copy()
        del found["_last_step"]
        found.pop("_hooks", None)
        if self._tree is not None:
            found["_tree"] = Unready(self._tree.state, self._tree.shapes)
        return found

    def __setstate__(self, found: MutableMapping[str, Any]) -> None:
        self.__dict__.update(found)
        self._last_step = LastStep()
        if self._tree is not None and (
            self._tree.state or any(group.schedule for group in self.param_groups)
        ):
            self._ready_tree()

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
