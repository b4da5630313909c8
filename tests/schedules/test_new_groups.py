"""A group that is added after its scheduler was made gets what it would have had from the start."""

import copy
import json

import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, Adam
from lucidgen.optim.lr_scheduler import (
    SWALR,
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    NoamScheduler,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
    WarmupCosineLR,
    WarmupStableDecayLR,
    tabulate,
)


class Own(LRScheduler):
    """A user's own class."""

    def get_lr(self):
        return [base / (1 + self.last_epoch) for base in self.base_lrs]


EACH = {
    "StepLR": lambda o: StepLR(o, 3, 0.5),
    "MultiStepLR": lambda o: MultiStepLR(o, [2, 9]),
    "ConstantLR": lambda o: ConstantLR(o, total_iters=8),
    "LinearLR": lambda o: LinearLR(o, total_iters=8),
    "ExponentialLR": lambda o: ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: PolynomialLR(o, 20, 2.0),
    "LambdaLR": lambda o: LambdaLR(o, lambda t: 1 / (1 + t)),
    "MultiplicativeLR": lambda o: MultiplicativeLR(o, lambda t: 0.5 if t % 2 else 0.9),
    "CosineAnnealingLR": lambda o: CosineAnnealingLR(o, 20, 1e-3),
    "CosineAnnealingWarmRestarts": lambda o: CosineAnnealingWarmRestarts(o, 4, 2),
    "SWALR": lambda o: SWALR(o, 0.03, 9),
    "CyclicLR": lambda o: CyclicLR(o, 0.01, 0.2, 4),
    "OneCycleLR": lambda o: OneCycleLR(o, 0.5, 30),
    "NoamScheduler": lambda o: NoamScheduler(o, 512, 9),
    "WarmupCosineLR": lambda o: WarmupCosineLR(o, 9, 30),
    "WarmupStableDecayLR": lambda o: WarmupStableDecayLR(o, 3, 3, 9),
    "of one's own": Own,
    "weight decay": lambda o: LinearLR(o, 0.1, hyper="weight_decay", total_iters=9),
    "chain": lambda o: ChainedScheduler([LinearLR(o, 0.5), CosineAnnealingLR(o, 20, 1e-3)]),
    "sequence": lambda o: SequentialLR(o, [LinearLR(o, 0.1), StepLR(o, 2, 0.5)], [3]),
    "nested": lambda o: ChainedScheduler(
        [
            SequentialLR(o, [OneCycleLR(o, 0.5, 30), PolynomialLR(o, 9)], [4]),
            MultiplicativeLR(o, lambda t: 0.97),
            LinearLR(o, 0.1, hyper="weight_decay"),
        ]
    ),
}
each = pytest.mark.parametrize("name", EACH)


def sgd(*rates):
    """SGD with a group for each rate."""
    groups = [{"params": [Parameter(np.zeros(2))], "lr": rate} for rate in rates]
    return SGD(groups, momentum=0.9, weight_decay=0.1)


def added(optimizer, rate=0.04):
    """The same optimizer, with another group."""
    optimizer.add_param_group({"params": [Parameter(np.zeros(2))], "lr": rate})
    return optimizer


def driven(optimizer):
    return [[g["lr"], g["momentum"], g["weight_decay"]] for g in optimizer.param_groups]


def run(optimizer, scheduler, steps):
    for _ in range(steps):
        optimizer.step()
        scheduler.step()


@each
@pytest.mark.parametrize("late", [0, 1, 5, 11])
def test_a_new_group_has_what_it_would_have_from_the_start(name, late):
    reference, optimizer = sgd(0.1, 0.02, 0.04), sgd(0.1, 0.02)
    from_the_start, scheduler = EACH[name](reference), EACH[name](optimizer)
    run(reference, from_the_start, late)
    run(optimizer, scheduler, late)
    before = driven(added(optimizer))
    assert before[-1] == [0.04, 0.9, 0.1]  # its own values, until the scheduler steps
    assert before[:-1] == driven(reference)[:-1]
    for _ in range(6):
        run(reference, from_the_start, 1)
        run(optimizer, scheduler, 1)
        np.testing.assert_allclose(driven(optimizer), driven(reference), rtol=1e-13)
        np.testing.assert_allclose(scheduler.get_last_lr(), from_the_start.get_last_lr(), 1e-13)
    if name != "of one's own":
        scheduler.step(3)
        from_the_start.step(3)
        np.testing.assert_allclose(driven(optimizer), driven(reference), rtol=1e-13)


@each
@pytest.mark.parametrize("steps_before_saving", [0, 2])
def test_a_state_is_saved_and_loaded_before_and_after_a_group_was_taken_in(
    name, steps_before_saving
):
    straight = sgd(0.1, 0.02)
    scheduler = EACH[name](straight)
    run(straight, scheduler, 4)
    added(straight)
    run(straight, scheduler, steps_before_saving)
    before = driven(straight)
    state = json.loads(json.dumps([scheduler.state_dict(), straight.state_dict()["param_groups"]]))
    assert driven(straight) == before  # to save takes nothing in
    resumed = sgd(0.1, 0.02, 0.04)
    other = EACH[name](resumed)
    other.load_state_dict(state[0])
    resumed.load_state_dict({"state": {}, "param_groups": state[1]})
    for _ in range(6):
        assert driven(resumed) == driven(straight)
        run(straight, scheduler, 1)
        run(resumed, other, 1)
    assert other.state_dict() == scheduler.state_dict()


@each
def test_the_old_groups_notice_nothing(name):
    alone, joined = sgd(0.1, 0.02), sgd(0.1, 0.02)
    undisturbed, scheduler = EACH[name](alone), EACH[name](joined)
    run(alone, undisturbed, 4)
    run(joined, scheduler, 4)
    for optimizer in (alone, joined):
        optimizer.param_groups[0]["lr"] *= 0.5  # and a change by hand is carried on
    added(joined)
    for _ in range(5):
        run(alone, undisturbed, 1)
        run(joined, scheduler, 1)
        assert driven(joined)[:2] == driven(alone)


def test_schedulers_beside_each_other_both_take_it_in():
    reference, optimizer = sgd(0.1, 0.04), sgd(0.1)
    pairs = [(ExponentialLR(o, 0.9), StepLR(o, 2, 0.5)) for o in (reference, optimizer)]
    for step in range(9):
        if step == 5:
            added(optimizer)
        for one in (scheduler for pair in pairs for scheduler in pair):
            one.step()
    np.testing.assert_allclose(driven(optimizer), driven(reference), rtol=1e-13)


def test_a_new_group_may_say_itself_what_it_starts_with():
    optimizer = sgd(0.1)
    scheduler = ExponentialLR(optimizer, 0.5)
    run(optimizer, scheduler, 2)
    group = {"params": [Parameter(np.zeros(2))], "lr": 0.3, "initial_lr": 0.8}
    optimizer.add_param_group(group)
    assert optimizer.param_groups[1]["initial_lr"] == 0.8
    scheduler.step()
    scheduler.step(4)
    assert driven(optimizer)[1][0] == 0.8 * 0.5**4


@pytest.mark.parametrize("name", ["numbers", "functions", "factors", "in a chain"])
def test_arguments_for_each_group_need_a_value_for_the_new_one(name):
    make, attribute, value = {
        "numbers": (lambda o: ExponentialLR(o, [0.5, 0.25]), "gamma", 0.75),
        "functions": (
            lambda o: LambdaLR(o, [lambda t: 0.5**t, lambda t: 0.25**t]),
            "lr_lambdas",
            lambda t: 0.75**t,
        ),
        "factors": (
            lambda o: MultiplicativeLR(o, [lambda t: 0.5, lambda t: 0.25]),
            "lr_lambdas",
            lambda t: 0.75,
        ),
        "in a chain": (
            lambda o: ChainedScheduler([ExponentialLR(o, [0.5, 0.25]), ConstantLR(o, 1.0)]),
            "gamma",
            0.75,
        ),
    }[name]
    optimizer = sgd(1.0, 1.0)
    scheduler = make(optimizer)
    run(optimizer, scheduler, 2)
    added(optimizer, 1.0)
    before, state = copy.deepcopy(driven(optimizer)), copy.deepcopy(scheduler.state_dict())
    answer = f"{attribute} must have one value for each parameter group, of which there are 3 now; "
    with pytest.raises(ValueError, match=answer + "it has 2: append what the new ones shall have"):
        scheduler.step()
    assert driven(optimizer) == before
    assert scheduler.state_dict() == state
    assert "initial_lr" not in optimizer.param_groups[2]
    owner = scheduler._schedulers[0] if name == "in a chain" else scheduler
    getattr(owner, attribute).append(value)
    scheduler.step()
    assert [rate for rate, _, _ in driven(optimizer)] == pytest.approx([0.5**3, 0.25**3, 0.75**3])


def test_a_plateau_takes_it_in_as_it_is():
    optimizer = sgd(0.1)
    scheduler = ReduceLROnPlateau(optimizer, patience=1, factor=0.5)
    for metric in (1.0, 1.0):
        scheduler.step(metric)
    added(optimizer)
    assert scheduler.get_last_lr() == [0.1]
    scheduler.step(1.0)
    assert scheduler.get_last_lr() == [0.05, 0.02]
    limited = ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.01, 0.01])
    added(optimizer)
    limited.step(1.0)
    with pytest.raises(ValueError, match="min_lrs must have one value for each parameter group"):
        limited.step(1.0)
    limited.min_lrs.append(0.03)
    limited.step(1.0)
    assert limited.get_last_lr() == [0.01, 0.01, 0.03]


def test_a_momentum_is_driven_in_a_new_group():
    optimizer = Adam([Parameter(np.zeros(2))], lr=0.1)
    scheduler = OneCycleLR(optimizer, 0.5, 10)
    run(optimizer, scheduler, 3)
    optimizer.add_param_group({"params": [Parameter(np.zeros(2))], "betas": (0.5, 0.9)})
    run(optimizer, scheduler, 1)
    first, second = (group["betas"] for group in optimizer.param_groups)
    assert second == (first[0], 0.9)


@pytest.mark.parametrize("name", [name for name in EACH if name != "weight decay"])
def test_a_table_has_a_group_that_was_not_taken_in_yet(name):
    optimizer = sgd(0.1)
    scheduler = EACH[name](optimizer)
    run(optimizer, scheduler, 3)
    added(optimizer)
    table = tabulate(EACH[name](sgd(0.1, 0.04)), 8, group=1)
    late = tabulate(scheduler, 8, group=1)
    assert [late(t) for t in range(8)] == pytest.approx([table(t) for t in range(8)], rel=1e-12)


def test_groups_of_trees_are_fixed():
    optimizer = Adam(lr=0.1)
    with pytest.raises(RuntimeError, match="groups of an optimizer without parameters are given"):
        optimizer.add_param_group({"params": "*"})
