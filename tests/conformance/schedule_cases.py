"""What is recorded of torch's schedulers and replayed here: one list for both libraries.

Nothing here knows which library it runs in: a case is given the module of schedulers and an
optimizer, and returns the scheduler.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

STEPS = 200
#: The initial values of the groups.
RATES = (0.1, 0.003)

Make = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class ScheduleCase:
    """A scheduler, on SGD with momentum or on Adam.

    `epochs` are arguments of some of the calls of `step`, by the number of the call; `changes` are
    factors on the rates of all groups, made by hand before a call; `metric` is what a plateau is
    told at a call.
    """

    make: Make
    optimizer: str = "SGD"
    epochs: Mapping[int, float] = field(default_factory=dict)
    changes: Mapping[int, float] = field(default_factory=dict)
    metric: Callable[[int], float] | None = None
    steps: int = STEPS


def of(name: str, **arguments: Any) -> Make:
    """One scheduler by its name."""
    return lambda module, optimizer: getattr(module, name)(optimizer, **arguments)


def chain(*parts: Make) -> Make:
    """ChainedScheduler of some."""
    return lambda m, o: m.ChainedScheduler([part(m, o) for part in parts])


def sequence(*parts: Make, milestones: list[int]) -> Make:
    """SequentialLR of some."""
    return lambda m, o: m.SequentialLR(o, [part(m, o) for part in parts], milestones)


class Together:
    """Schedulers that are stepped one after the other by hand, as torch's users do."""

    def __init__(self, *schedulers: Any) -> None:
        self.schedulers = schedulers

    def step(self) -> None:
        """Step each of them."""
        for scheduler in self.schedulers:
            scheduler.step()

    def get_last_lr(self) -> list[float]:
        """What the last one wrote."""
        return self.schedulers[-1].get_last_lr()


class OneAfterTheOther:
    """A scheduler for some steps, and another one in its place from then on."""

    def __init__(self, first: Any, calls: int, second: Any) -> None:
        self.first, self.calls, self.second = first, calls, second

    def step(self) -> None:
        """Step the one or the other."""
        self.calls -= 1
        (self.second if self.calls < 0 else self.first).step()

    def get_last_lr(self) -> list[float]:
        """What the one that has stepped wrote."""
        return (self.second if self.calls < 0 else self.first).get_last_lr()


def then(first: Make, calls: int, second: Make) -> Make:
    """A scheduler after another, both made at once: how torch's users average weights."""
    return lambda m, o: OneAfterTheOther(first(m, o), calls, second(m, o))


class Slope:
    """A function with a state of its own, which is saved."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def __call__(self, t: float) -> float:
        """The factor at t."""
        return 1 / (1 + self.slope * t)


def together(*parts: Make) -> Make:
    """Schedulers over one optimizer without a composition."""
    return lambda m, o: Together(*[part(m, o) for part in parts])


def saw(call: int) -> float:
    """A metric that improves for a while, and again later."""
    return 1.0 / (1 + min(call, 25)) + (0.001 if call % 7 else 0.0) - (0.02 if call > 120 else 0.0)


ONE = {"max_lr": 0.5, "total_steps": 220}
CYCLE = {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 13, "step_size_down": 20}
constant, exponential = of("ConstantLR", factor=0.3, total_iters=7), of("ExponentialLR", gamma=0.98)
linear = of("LinearLR", start_factor=0.1, end_factor=1.0, total_iters=10)
cosine = of("CosineAnnealingLR", T_max=50, eta_min=0.0005)
restarts = of("CosineAnnealingWarmRestarts", T_0=10, T_mult=2, eta_min=0.0001)
steps = of("StepLR", step_size=30, gamma=0.5)
changed = {20: 0.5, 21: 1.25, 90: 3.0}

swa = of("SWALR", swa_lr=0.02, anneal_epochs=30)

CASES = {
    "lambda": ScheduleCase(of("LambdaLR", lr_lambda=lambda t: 0.97**t)),
    "lambda-per-group": ScheduleCase(
        of("LambdaLR", lr_lambda=[lambda t: 1 / (1 + t), lambda t: 0.9 ** (t // 5)])
    ),
    "multiplicative": ScheduleCase(
        of("MultiplicativeLR", lr_lambda=lambda t: 0.99 if t % 3 else 1.01)
    ),
    "step": ScheduleCase(steps),
    "multi-step": ScheduleCase(of("MultiStepLR", milestones=[10, 40, 40, 150], gamma=0.3)),
    "constant": ScheduleCase(constant),
    "linear": ScheduleCase(linear),
    "linear-down": ScheduleCase(of("LinearLR", start_factor=1.0, end_factor=0.0, total_iters=150)),
    "exponential": ScheduleCase(exponential),
    "polynomial": ScheduleCase(of("PolynomialLR", total_iters=120, power=2.5)),
    "cosine": ScheduleCase(cosine),
    "cosine-long": ScheduleCase(of("CosineAnnealingLR", T_max=400)),
    "restarts": ScheduleCase(of("CosineAnnealingWarmRestarts", T_0=17)),
    "restarts-longer": ScheduleCase(restarts),
    "restarts-tripled": ScheduleCase(of("CosineAnnealingWarmRestarts", T_0=5, T_mult=3)),
    "one-cycle": ScheduleCase(of("OneCycleLR", **ONE)),
    "one-cycle-adam": ScheduleCase(of("OneCycleLR", **ONE), "Adam"),
    "one-cycle-linear": ScheduleCase(of("OneCycleLR", **ONE, anneal_strategy="linear")),
    "one-cycle-three": ScheduleCase(of("OneCycleLR", **ONE, three_phase=True, pct_start=0.2)),
    "one-cycle-three-linear": ScheduleCase(
        of("OneCycleLR", **ONE, three_phase=True, anneal_strategy="linear"), "Adam"
    ),
    "one-cycle-per-group": ScheduleCase(
        of("OneCycleLR", max_lr=[0.5, 0.02], epochs=10, steps_per_epoch=21, div_factor=10.0)
    ),
    "one-cycle-to-the-end": ScheduleCase(of("OneCycleLR", max_lr=0.5, total_steps=200)),
    "cyclic": ScheduleCase(of("CyclicLR", **CYCLE)),
    "cyclic-halved": ScheduleCase(of("CyclicLR", **CYCLE, mode="triangular2"), "Adam"),
    "cyclic-decayed": ScheduleCase(of("CyclicLR", **CYCLE, mode="exp_range", gamma=0.99), "Adam"),
    "cyclic-alone": ScheduleCase(of("CyclicLR", **CYCLE, cycle_momentum=False, mode="triangular2")),
    "cyclic-function": ScheduleCase(of("CyclicLR", **CYCLE, scale_fn=lambda n: 1 / n)),
    "cyclic-function-of-steps": ScheduleCase(
        of("CyclicLR", **CYCLE, scale_fn=lambda t: 0.999**t, scale_mode="iterations")
    ),
    "cyclic-per-group": ScheduleCase(
        of("CyclicLR", base_lr=[0.01, 0.001], max_lr=[0.2, 0.1], step_size_up=16)
    ),
    "one-cycle-linear-to-the-end": ScheduleCase(
        of("OneCycleLR", max_lr=0.3, total_steps=200, pct_start=0.4, anneal_strategy="linear")
    ),
    "lambda-object": ScheduleCase(of("LambdaLR", lr_lambda=Slope(0.1))),
    "multiplicative-object": ScheduleCase(of("MultiplicativeLR", lr_lambda=Slope(0.001))),
    "cyclic-object": ScheduleCase(of("CyclicLR", **CYCLE, scale_fn=Slope(0.5))),
    "cyclic-object-adam": ScheduleCase(
        of("CyclicLR", **CYCLE, scale_fn=Slope(0.5), base_momentum=[0.7, 0.75]), "Adam"
    ),
    "swa": ScheduleCase(swa),
    "swa-linear": ScheduleCase(
        of("SWALR", swa_lr=[0.5, 0.001], anneal_epochs=40, anneal_strategy="linear"), "Adam"
    ),
    "swa-at-once": ScheduleCase(of("SWALR", swa_lr=0.02, anneal_epochs=0)),
    "swa-after-a-product": ScheduleCase(
        then(of("MultiplicativeLR", lr_lambda=lambda t: 0.98), 25, swa)
    ),
    "swa-at-once-after-a-cosine": ScheduleCase(
        then(cosine, 25, of("SWALR", swa_lr=0.02, anneal_epochs=0))
    ),
    "swa-in-its-turn": ScheduleCase(sequence(exponential, swa, steps, milestones=[20, 70])),
    "chain-with-swa-past-an-end": ScheduleCase(
        chain(
            of("SWALR", swa_lr=0.02, anneal_epochs=10),
            of("PolynomialLR", total_iters=25),
            exponential,
        )
    ),
    "chain-onto-a-cycle": ScheduleCase(
        chain(linear, steps, of("CyclicLR", **CYCLE, mode="exp_range", gamma=0.99))
    ),
    "changed-by-hand-swa": ScheduleCase(swa, changes=changed),
    "plateau": ScheduleCase(of("ReduceLROnPlateau", patience=4), metric=saw),
    "plateau-cooldown": ScheduleCase(
        of("ReduceLROnPlateau", patience=2, cooldown=5, factor=0.5, min_lr=[1e-3, 1e-5]),
        metric=saw,
    ),
    "plateau-max-abs": ScheduleCase(
        of("ReduceLROnPlateau", mode="max", threshold_mode="abs", threshold=0.01, factor=0.7),
        metric=lambda call: -saw(call),
    ),
    "plateau-max-rel": ScheduleCase(
        of("ReduceLROnPlateau", mode="max", threshold=0.05, factor=0.7, patience=1),
        metric=lambda call: 2 - saw(call),
    ),
    "sequence": ScheduleCase(sequence(linear, cosine, milestones=[10])),
    "sequence-of-four": ScheduleCase(
        sequence(constant, exponential, restarts, steps, milestones=[7, 60, 130])
    ),
    "sequence-of-factors": ScheduleCase(
        sequence(
            of("LambdaLR", lr_lambda=lambda t: 1 / (1 + t)),
            of("MultiplicativeLR", lr_lambda=lambda t: 0.95),
            of("PolynomialLR", total_iters=50),
            milestones=[20, 70],
        )
    ),
    "sequence-into-a-cycle": ScheduleCase(
        sequence(linear, of("CyclicLR", **CYCLE, cycle_momentum=False), milestones=[25])
    ),
    "chain": ScheduleCase(chain(constant, exponential)),
    "chain-of-three": ScheduleCase(chain(linear, steps, of("MultiStepLR", milestones=[15, 80]))),
    "chain-with-cosine": ScheduleCase(chain(cosine, of("ExponentialLR", gamma=0.9999))),
    "chain-after-cosine": ScheduleCase(chain(exponential, of("CosineAnnealingLR", T_max=30))),
    "chain-with-polynomial": ScheduleCase(
        chain(of("PolynomialLR", total_iters=90, power=2.0), linear)
    ),
    "chain-onto-restarts": ScheduleCase(chain(restarts, exponential)),
    "chain-of-products": ScheduleCase(
        chain(of("MultiplicativeLR", lr_lambda=lambda t: 0.99), linear)
    ),
    "together": ScheduleCase(together(constant, exponential)),
    "changed-by-hand-exponential": ScheduleCase(exponential, changes=changed),
    "changed-by-hand-cosine": ScheduleCase(cosine, changes=changed),
    "changed-by-hand-linear": ScheduleCase(linear, changes=changed),
    "changed-by-hand-step": ScheduleCase(steps, changes=changed),
    "changed-by-hand-polynomial": ScheduleCase(of("PolynomialLR", total_iters=60), changes=changed),
    "changed-by-hand-lambda": ScheduleCase(
        of("LambdaLR", lr_lambda=lambda t: 0.97**t), changes=changed
    ),
    "changed-by-hand-restarts": ScheduleCase(restarts, changes=changed),
    "epochs-step": ScheduleCase(steps, epochs={10: 95, 50: 3}),
    "epochs-multi-step": ScheduleCase(
        of("MultiStepLR", milestones=[10, 40]), epochs={10: 95, 50: 3}
    ),
    "epochs-cosine": ScheduleCase(cosine, epochs={10: 75, 50: 3}),
    "epochs-linear": ScheduleCase(linear, epochs={5: 2, 50: 3}),
    "epochs-exponential": ScheduleCase(exponential, epochs={10: 150, 50: 3}),
    "epochs-restarts": ScheduleCase(restarts, epochs={10: 75, 50: 3, 60: 30}),
    "epochs-fractions-and-steps": ScheduleCase(restarts, epochs={10: 5.5, 60: 29.75}),
    "epochs-fractions": ScheduleCase(
        restarts, epochs={call: call / 4 for call in range(STEPS)}, steps=160
    ),
}


def fingerprint() -> str:
    """What tells this list of cases from another."""
    return sha256(Path(__file__).read_bytes()).hexdigest()[:16]


def run(case: ScheduleCase, module: Any, optimizer: Any) -> list[list[float]]:
    """Run a case: after each call, the rates of both groups, and their momenta."""
    scheduler = case.make(module, optimizer)
    rows = [row(optimizer)]
    for call in range(case.steps):
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] *= case.changes.get(call, 1.0)
        if case.metric is not None:
            scheduler.step(case.metric(call))
        elif call in case.epochs:
            scheduler.step(case.epochs[call])
        else:
            scheduler.step()
        rows.append(row(optimizer))
        assert [float(x) for x in scheduler.get_last_lr()] == rows[-1][: len(RATES)]
    return rows


def row(optimizer: Any) -> list[float]:
    """The rates of the groups, then their momenta."""
    groups = optimizer.param_groups
    momenta = [g["momentum"] if "momentum" in g else g["betas"][0] for g in groups]
    return [float(x) for x in (*(group["lr"] for group in groups), *momenta)]


def plain(state: Any) -> Any:
    """A saved state as it can stand in JSON; a Counter becomes pairs."""
    if isinstance(state, Mapping):
        if all(isinstance(key, int) for key in state) and state:
            return {"counter": sorted(state.items())}
        return {key: plain(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [plain(value) for value in state]
    return json.loads(json.dumps(state))
