"""Records the optimizers of ``group_cases`` into recorded/groups.npz and recorded/groups_optax.npz.

Run as a script where pytorch_optimizer and optax are installed; nothing of the project is needed.
Both libraries add up over all that an optimizer has, whatever its groups: each group has an
optimizer of its own here.  In optax, which does not know missing gradients, parameters that miss
one are left out.  The numbers of a group are recorded for each of its parameters that has begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytorch_optimizer
import torch
from cases import CHECKPOINTS, PARAMETERS, STEPS, Array, Case, change, gradients, starts
from group_cases import BY_GROUP, GROUP_CASES, OPTAX_CASES
from in_double import norm_in_double
from pytorch_optimizer.optimizer import alig, dadapt
from recording import Recorder, State, record_by_group

#: What pytorch_optimizer keeps in its groups from step to step.
OF_GROUPS = (
    *("d", "d_max", "d_numerator", "numerator_weighted", "g0_norm"),
    *("gsq_weighted", "sk_sq_weighted", "sk_l1", "gamma"),
)
#: Iterates without an average, which follow from the rest.
NOT_OURS = {"z"}
#: Our keys of optax's states, and its names of arguments.
KEYS = {
    "exp_avg": "exp_avg",
    "exp_avg_sq": "exp_avg_sq",
    "grad_sum": "s",
    "params0": "p0",
    "estim_lr": "d",
    "numerator_weighted": "d_numerator",
    "init_params": "init_params",
    "max_dist": "max_dist",
    "sum_sq_norm_grads": "sum_sq_norm_grads",
    "estim_sq_dist": "estim_sq_dist",
    "weighted_sq_norm_grads": "weighted_sq_norm_grads",
}
NAMES = {"lr": "learning_rate", "d0": "estim_lr0", "d_coef": "estim_lr_coef", "reps": "eps"}
#: What AliG calls the learning rate.
LARGEST = "max_lr"


def record(case: Case, recorder: Recorder) -> None:
    """Run one case of pytorch_optimizer and add its checkpoints."""
    weights = [torch.from_numpy(values).requires_grad_() for values in starts()]
    make, arguments = getattr(pytorch_optimizer, case.optimizer), dict(case.arguments)
    for name in ("beta3", "growth_rate"):  # ours has 0 for what is not given
        if arguments.get(name) == 0:
            del arguments[name]
    if case.optimizer == "AliG":
        arguments[LARGEST] = arguments.pop("lr")
    left_out = [case.optimizer in BY_GROUP and bool(p.missing) for p in PARAMETERS]
    triples = list(zip(weights, PARAMETERS, left_out, strict=True))
    members = [
        [w for w, p, is_out in triples if p.group == index and not is_out]
        for index in range(len(case.groups))
    ]
    made = [
        make([{"params": own, **values}], foreach=False, **arguments)
        for own, values in zip(members, case.groups, strict=True)
    ]
    schedule = case.schedule()
    for step, grads in enumerate(gradients(), start=1):
        change(case, [optimizer.param_groups[0] for optimizer in made], schedule.get(step, {}))
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = None if grad is None else torch.from_numpy(np.array(grad))
        loss = case.loss(step)
        for optimizer in made:
            for group in optimizer.param_groups if loss is not None else ():
                group[LARGEST] = group.pop("lr", group[LARGEST])
            optimizer.step(*([] if loss is None else [lambda loss=loss: loss]))
        if step in CHECKPOINTS:
            states = [None if out else _state(made[p.group], w) for w, p, out in triples]
            recorder.add(case, step, states)


def _state(optimizer: Any, weight: torch.Tensor) -> State:
    """What the library keeps of a parameter, and of its group once it has begun."""
    found: State = {"w": weight.detach().numpy().copy()}
    own = dict(optimizer.state.get(weight, {}))
    (group,) = optimizer.param_groups
    own |= {key: group[key] for key in OF_GROUPS if own and key in group}
    for key, value in own.items():
        if key not in NOT_OURS:
            array = np.array(value, dtype=np.float64)
            assert not isinstance(value, torch.Tensor) or value.dtype == torch.float64, key
            found[key] = array.reshape(()) if key in OF_GROUPS else array
    return found


class OfOptax:
    """A transformation over some parameters, with a learning rate that can be set."""

    def __init__(self, case: Case, arguments: Mapping[str, Any], begin: Sequence[Array]) -> None:
        given = {NAMES.get(key, key): value for key, value in arguments.items()}
        if case.optimizer == "DoG":
            given["init_step"] = ("heuristic", given.pop("reps_rel", 1e-6))
        rate = "learning_rate"
        if case.optimizer == "PolyakSGD":
            rate = "max_learning_rate"
            given[rate] = given.pop("learning_rate")
            given["variant"] = "sps+" if given.pop("positive", False) else "sps"
        make = {
            "Prodigy": optax.contrib.prodigy,
            "DoG": optax.contrib.dog,
            "PolyakSGD": optax.polyak_sgd,
        }
        of: Any = make.get(case.optimizer, optax.contrib.dowg)
        self.case, self.done = case, 0
        self.weights = [jnp.asarray(values) for values in begin]
        self.make = lambda lr: of(**{**given, rate: lr})
        self.transformation = self.make(given[rate])
        self.state = self.transformation.init(self.weights)

    def set_lr(self, lr: float) -> None:
        """Another learning rate; the state has none."""
        self.transformation = self.make(lr)

    def step(self, grads: Sequence[Any]) -> None:
        """One step."""
        given = [jnp.asarray(grad) for grad in grads]
        self.done += 1
        loss = self.case.loss(self.done)
        known = {} if loss is None else {"value": loss}
        update, self.state = self.transformation.update(given, self.state, self.weights, **known)
        self.weights = optax.apply_updates(self.weights, update)

    def states(self) -> list[State]:
        """Those of all parameters, and the numbers of all together in each."""
        parts = jax.tree.leaves(self.state, is_leaf=lambda x: hasattr(x, "_asdict"))
        kept = {
            k: v for part in parts if hasattr(part, "_asdict") for k, v in part._asdict().items()
        }
        found: list[State] = [{"w": np.asarray(w)} for w in self.weights]
        for key, ours in KEYS.items():
            for index, state in enumerate(found if key in kept else ()):
                value = kept[key][index] if isinstance(kept[key], list) else kept[key]
                assert value.dtype == jnp.float64, key
                state[ours] = np.asarray(value)
        return found


def main() -> None:
    """Record every case."""
    torch.set_default_dtype(torch.float64)
    dadapt.get_global_gradient_norm = alig.get_global_gradient_norm = norm_in_double
    recorder = Recorder()
    for case in GROUP_CASES.values():
        record(case, recorder)
    recorder.write(
        "pytorch_optimizer", version("pytorch_optimizer"), cases=GROUP_CASES, name="groups"
    )
    jax.config.update("jax_enable_x64", True)
    of_optax = Recorder()
    for case in OPTAX_CASES.values():
        record_by_group(case, of_optax, OfOptax)
    of_optax.write("optax", optax.__version__, cases=OPTAX_CASES, name="groups_optax")
    print(f"recorded {len(GROUP_CASES)} and {len(OPTAX_CASES)} cases of {STEPS} steps")


if __name__ == "__main__":
    main()
