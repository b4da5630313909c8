"""What a scheduler does to an optimizer: any step at one cost, any hyperparameter, no surprises."""

import copy
import gc
import json
import pickle
import sys

import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, Adam
from lucidgen.optim.lr_scheduler import (
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
)

EACH = {
    "StepLR": lambda o, **k: StepLR(o, 30, **k),
    "MultiStepLR": lambda o, **k: MultiStepLR(o, [5, 50], **k),
    "ConstantLR": lambda o, **k: ConstantLR(o, **k),
    "LinearLR": lambda o, **k: LinearLR(o, **k),
    "ExponentialLR": lambda o, **k: ExponentialLR(o, 0.999, **k),
    "PolynomialLR": lambda o, **k: PolynomialLR(o, 20000, 2.0, **k),
    "LambdaLR": lambda o, **k: LambdaLR(o, lambda t: 1 / (1 + t), **k),
    "CosineAnnealingLR": lambda o, **k: CosineAnnealingLR(o, 300, 1e-3, **k),
    "CosineAnnealingWarmRestarts": lambda o, **k: CosineAnnealingWarmRestarts(o, 10, 2, **k),
    "CyclicLR": lambda o, **k: CyclicLR(o, 0.01, 0.2, 40, cycle_momentum=False, **k),
    "OneCycleLR": lambda o, **k: OneCycleLR(o, 0.5, 20000, cycle_momentum=False, **k),
    "NoamScheduler": lambda o, **k: NoamScheduler(o, 512, 400, **k),
    "WarmupCosineLR": lambda o, **k: WarmupCosineLR(o, 100, 20000, **k),
    "WarmupStableDecayLR": lambda o, **k: WarmupStableDecayLR(o, 10, 5000, 20000, **k),
}
each = pytest.mark.parametrize("name", EACH)


def sgd(*rates, **arguments):
    """SGD with a group for each rate."""
    groups = [{"params": [Parameter(np.zeros(2))], "lr": rate} for rate in rates or (0.1,)]
    return SGD(groups, **{"lr": 0.1, "momentum": 0.9, **arguments})


def rates(optimizer, key="lr"):
    return [group[key] for group in optimizer.param_groups]


@each
def test_going_to_a_step_gives_what_stepping_there_gives(name):
    walking, jumping = sgd(0.1, 0.02), sgd(0.1, 0.02)
    walker, jumper = EACH[name](walking), EACH[name](jumping)
    for _ in range(1000):
        walker.step()
    jumper.step(1000)
    assert rates(walking) == rates(jumping) == walker.get_last_lr()
    jumper.step(3)
    walker.step(3)
    assert rates(walking) == rates(jumping)


@each
def test_step_ten_thousand_costs_what_step_one_costs(name):
    def work(scheduler, epoch):
        calls = 0

        def count(frame, event, argument):
            nonlocal calls
            calls += event == "line"
            return count

        gc.disable()  # finalizers of what other tests have left are lines, too
        sys.settrace(count)
        scheduler.step(epoch)
        sys.settrace(None)
        gc.enable()
        return calls

    scheduler = EACH[name](sgd())
    work(scheduler, 1)
    assert work(scheduler, 10_000) <= work(scheduler, 1) + 2


@each
def test_the_state_round_trips(name):
    straight, resumed = sgd(0.1, 0.02), sgd(0.1, 0.02)
    scheduler = EACH[name](straight)
    for _ in range(25):
        scheduler.step()
    state = copy.deepcopy(scheduler.state_dict())
    other = EACH[name](resumed)
    other.load_state_dict(pickle.loads(pickle.dumps(state)))
    assert other.state_dict() == state
    for _ in range(25):
        assert rates(straight) == rates(resumed)
        scheduler.step()
        other.step()


@each
def test_any_hyperparameter_can_be_driven(name):
    optimizer = sgd(0.1, weight_decay=0.5)
    reference = sgd(0.5)
    scheduler, other = EACH[name](optimizer, hyper="weight_decay"), EACH[name](reference)
    for _ in range(20):
        scheduler.step()
        other.step()
        optimizer.step()
    assert rates(optimizer, "weight_decay") == rates(reference)
    assert rates(optimizer) == [0.1]


def test_an_element_of_a_tuple_is_driven_by_its_own_name():
    optimizer = Adam([Parameter(np.zeros(2))], betas=(0.8, 0.99))
    scheduler = LinearLR(optimizer, 0.5, hyper="beta1", total_iters=4)
    assert optimizer.param_groups[0]["betas"] == (0.4, 0.99)
    for _ in range(4):
        scheduler.step()
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.99)
    assert optimizer.param_groups[0]["initial_beta1"] == 0.8
    optimizer.step()


def test_schedulers_of_two_hyperparameters_leave_each_other_alone():
    optimizer = sgd(0.1, weight_decay=0.01)
    chained = ChainedScheduler(
        [ExponentialLR(optimizer, 0.5), LinearLR(optimizer, hyper="weight_decay", total_iters=3)]
    )
    for _ in range(3):
        chained.step()
    assert rates(optimizer) == [0.1 * 0.5**3]
    assert rates(optimizer, "weight_decay") == [0.01]


def test_any_object_with_groups_can_be_driven():
    class Foreign:
        def __init__(self):
            self.param_groups = [{"params": [], "lr": 1.0, "betas": (0.5, 0.9)}]

    foreign = Foreign()
    ExponentialLR(foreign, 0.5, hyper="beta2").step()
    StepLR(foreign, 1, 0.5).step()
    assert foreign.param_groups[0]["betas"] == (0.5, 0.45)
    assert foreign.param_groups[0]["lr"] == 0.5


def test_a_change_by_hand_is_carried_on():
    optimizer = sgd(0.1)
    scheduler = CosineAnnealingLR(optimizer, 100)
    scheduler.step(40)
    optimizer.param_groups[0]["lr"] /= 2
    scheduler.step()
    assert rates(optimizer)[0] == pytest.approx(CosineAnnealingLR.value(41, 0.05, T_max=100))
    scheduler.step(41)
    assert rates(optimizer)[0] == CosineAnnealingLR.value(41, 0.1, T_max=100)


def test_numbers_and_functions_may_differ_between_groups():
    optimizer = sgd(1.0, 1.0)
    scheduler = ExponentialLR(optimizer, [0.5, 0.25])
    scheduler.step()
    assert rates(optimizer) == [0.5, 0.25]


def test_a_chain_can_go_to_a_step():
    def made(optimizer):
        return ChainedScheduler([LinearLR(optimizer), StepLR(optimizer, 7, 0.5)])

    walking, jumping = sgd(), sgd()
    walker, jumper = made(walking), made(jumping)
    for _ in range(50):
        walker.step()
    jumper.step(50)
    assert rates(jumping) == pytest.approx(rates(walking), rel=1e-14)
    assert jumper.last_epoch == walker.last_epoch == 50


def test_a_sequence_can_go_to_a_step():
    def made(optimizer):
        parts = [LinearLR(optimizer, 0.1), StepLR(optimizer, 7, 0.5), ExponentialLR(optimizer, 0.9)]
        return SequentialLR(optimizer, parts, [5, 30])

    walking, jumping = sgd(), sgd()
    walker, jumper = made(walking), made(jumping)
    seen = [rates(walking)]
    for _ in range(50):
        walker.step()
        seen.append(rates(walking))
    for epoch in (50, 29, 30, 4, 5, 0):
        jumper.step(epoch)
        assert rates(jumping) == pytest.approx(seen[epoch], rel=1e-14)


def decayed_and_cycled(optimizer):
    """Two hyperparameters and a momentum, in turns and in a chain with one that overwrites."""
    parts = [
        OneCycleLR(optimizer, 0.5, 30),
        LinearLR(optimizer, 0.1, total_iters=5, hyper="weight_decay"),
        CosineAnnealingLR(optimizer, 20, 1e-3),
    ]
    sequence = SequentialLR(optimizer, parts, [7, 12])
    return ChainedScheduler([sequence, ExponentialLR(optimizer, 0.9)])


def driven(optimizer):
    return [{key: v for key, v in g.items() if key != "params"} for g in optimizer.param_groups]


@pytest.mark.parametrize("step", [0, 3, 7, 9, 12, 25])
def test_compositions_of_all_kinds_can_go_to_a_step(step):
    walking, jumping = sgd(weight_decay=0.1), sgd(weight_decay=0.1)
    walker, jumper = decayed_and_cycled(walking), decayed_and_cycled(jumping)
    for _ in range(step):
        walker.step()
    for start in (40, step):
        jumper.step(start)
    assert driven(jumping) == driven(walking)
    alone = sgd(weight_decay=0.1)
    sequence = decayed_and_cycled(alone)._schedulers[0]
    sequence.step(40)
    sequence.step(step)
    assert alone.param_groups[0]["weight_decay"] == walking.param_groups[0]["weight_decay"]
    assert alone.param_groups[0]["momentum"] == walking.param_groups[0]["momentum"]


@pytest.mark.parametrize("step", [0, 3, 7, 9, 12, 25])
def test_a_loaded_composition_writes_all_that_it_drives(step):
    saved, loaded = sgd(weight_decay=0.1), sgd(weight_decay=0.1)
    scheduler, other = decayed_and_cycled(saved), decayed_and_cycled(loaded)
    for _ in range(step):
        scheduler.step()
    for _ in range(15):
        other.step()
    other.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
    for _ in range(10):
        assert driven(loaded) == driven(saved)
        assert other.get_last_lr() == rates(loaded)
        scheduler.step()
        other.step()


def test_sequences_nest_without_a_step_too_many():
    def parts(o):
        return LinearLR(o, 0.1, total_iters=10), StepLR(o, 30, 0.5), ExponentialLR(o, 0.98)

    nested, flat = sgd(), sgd()
    first, second, third = parts(nested)
    inner = SequentialLR(nested, [first, second], [10])
    deep = SequentialLR(nested, [inner, third], [90])
    plain = SequentialLR(flat, list(parts(flat)), [10, 90])
    for _ in range(150):
        assert rates(nested) == rates(flat)
        deep.step()
        plain.step()


def test_a_chain_can_take_its_turn_in_a_sequence():
    optimizer, by_hand = sgd(), sgd()
    chain = ChainedScheduler([ExponentialLR(optimizer, 0.9), StepLR(optimizer, 4, 0.5)])
    scheduler = SequentialLR(optimizer, [ConstantLR(optimizer, 0.5, 100), chain], [3])
    alone = ChainedScheduler([ExponentialLR(by_hand, 0.9), StepLR(by_hand, 4, 0.5)])
    for _ in range(3):
        assert rates(optimizer) == [0.05]
        scheduler.step()
    for _ in range(10):
        assert rates(optimizer) == pytest.approx(rates(by_hand), rel=1e-14)
        scheduler.step()
        alone.step()


def test_resuming_writes_the_next_step():
    optimizer = sgd(0.1)
    optimizer.param_groups[0]["initial_lr"] = 0.1
    scheduler = CosineAnnealingLR(optimizer, 100, last_epoch=49)
    assert scheduler.last_epoch == 50
    assert rates(optimizer) == [CosineAnnealingLR.value(50, 0.1, T_max=100)]


@pytest.mark.parametrize("optimizer_first", [True, False])
def test_optimizer_and_scheduler_load_in_either_order(optimizer_first):
    optimizer = sgd(0.1)
    scheduler = CosineAnnealingLR(optimizer, 100)
    for _ in range(10):
        scheduler.step()
    states = optimizer.state_dict(), scheduler.state_dict()
    other = sgd(0.1)
    second = CosineAnnealingLR(other, 100)
    for target, state in [(other, states[0]), (second, states[1])][:: 1 if optimizer_first else -1]:
        target.load_state_dict(state)
    scheduler.step()
    second.step()
    assert rates(other) == rates(optimizer)


def test_a_scheduler_goes_with_its_optimizer_through_copies_and_pickles():
    optimizer = sgd(0.1)
    scheduler = WarmupCosineLR(optimizer, 5, 50)
    scheduler.step()
    for copied in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        other = copied(scheduler)
        other.step()
        assert rates(other.optimizer) == [
            WarmupCosineLR.value(2, 0.1, warmup_steps=5, total_steps=50)
        ]
    assert rates(optimizer) == scheduler.get_last_lr()


def test_a_scheduler_of_ones_own_defines_get_lr():
    class Halving(LRScheduler):
        def get_lr(self):
            return [base / 2**self.last_epoch for base in self.base_lrs]

    optimizer = sgd(1.0, 3.0)
    scheduler = Halving(optimizer)
    assert rates(optimizer) == [1.0, 3.0]
    scheduler.step()
    scheduler.step()
    assert rates(optimizer) == [0.25, 0.75] == scheduler.last_lr
    other = Halving(sgd(1.0, 3.0))
    other.load_state_dict(scheduler.state_dict())
    other.step()
    assert other.get_last_lr() == [0.125, 0.375]


def test_restarts_are_never_misplaced():
    for multiple in (1, 2, 3, 5, 7, 10):
        begin, length = 0, 10
        while begin < 10**12:
            for t, expected in ((begin, 1.0), (begin + length - 1, None)):
                found = CosineAnnealingWarmRestarts.value(t, 1.0, T_0=10, T_mult=multiple)
                assert found == expected if expected else 0 <= found < 0.03, (multiple, t)
            begin, length = begin + length, length * multiple
            if multiple == 1:
                begin = begin * 3


def test_a_warmup_stable_decay_has_three_parts():
    optimizer = sgd(1.0)
    scheduler = WarmupStableDecayLR(optimizer, 4, 10, 8, end_factor=0.2)
    seen = [rates(optimizer)[0]]
    for _ in range(25):
        scheduler.step()
        seen += rates(optimizer)
    assert seen[:5] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert set(seen[4:15]) == {1.0}
    assert seen[18] == pytest.approx(0.6)
    assert set(seen[22:]) == {0.2}
    values = {
        shape: WarmupStableDecayLR.value(
            6, 1.0, warmup_steps=0, stable_steps=4, decay_steps=8, decay=shape
        )
        for shape in ("linear", "cosine", "sqrt")
    }
    assert values == pytest.approx({"linear": 0.75, "cosine": (1 + 0.5**0.5) / 2, "sqrt": 0.5})


def test_noam_rises_to_warmup_and_decays_with_the_root():
    optimizer = sgd(123.0)
    scheduler = NoamScheduler(optimizer, model_size=64, warmup_steps=100, factor=2.0)
    assert rates(optimizer) == [pytest.approx(2 / 8 * 100**-1.5)]
    for step, expected in ((1, 100**-1.5), (50, 50 * 100**-1.5), (100, 0.1), (400, 0.05)):
        scheduler.step(step)
        assert rates(optimizer) == [pytest.approx(2 / 8 * expected)]


def test_lambdas_of_lucid_come_first():
    optimizer = sgd(1.0)
    scheduler = LambdaLR(lambda t: 0.5**t, optimizer)
    scheduler.step()
    assert rates(optimizer) == [0.5]


def test_objects_in_lambdas_are_saved_as_torch_does():
    class Slope:
        def __init__(self, slope):
            self.slope = slope

        def __call__(self, t):
            return 1 - self.slope * t

    scheduler = LambdaLR(sgd(1.0), Slope(0.25))
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [{"slope": 0.25}]
    other = LambdaLR(sgd(1.0), Slope(0.5))
    other.load_state_dict(state)
    other.step()
    assert other.get_last_lr() == [0.75]


def test_verbose_says_what_was_written(capsys):
    StepLR(sgd(0.5), 1, 0.5, verbose=True).step()
    assert capsys.readouterr().out.splitlines()[-1] == "StepLR: step 1, lr = [0.25]"


def test_multiplicative_goes_to_a_step_through_all_factors():
    walking, jumping = sgd(1.0), sgd(1.0)
    walker = MultiplicativeLR(walking, lambda t: 1 - 1 / (1 + t))
    jumper = MultiplicativeLR(jumping, lambda t: 1 - 1 / (1 + t))
    for _ in range(9):
        walker.step()
    jumper.step(9)
    assert rates(jumping) == pytest.approx(rates(walking)) == [pytest.approx(0.1)]


def test_a_plateau_can_reduce_another_hyperparameter():
    optimizer = sgd(0.1, weight_decay=0.8)
    scheduler = ReduceLROnPlateau(optimizer, patience=0, factor=0.5, hyper="weight_decay")
    for _ in range(3):
        scheduler.step(np.float32(1.0))
    assert rates(optimizer, "weight_decay") == [0.2]
    assert rates(optimizer) == [0.1]


class Slope:
    """A function with a state."""

    def __init__(self, slope):
        self.slope = slope

    def __call__(self, t):
        return 1 / (1 + self.slope * t)


def test_the_function_of_a_cycle_is_saved_as_torch_does():
    def made(scale_fn):
        return CyclicLR(sgd(0.1, 0.2), 0.1, 0.5, 4, scale_fn=scale_fn, scale_mode="iterations")

    assert made(None).state_dict()["_scale_fn_custom"] is None
    assert made(lambda t: 0.5).state_dict()["_scale_fn_custom"] is None
    assert made([Slope(1.0), lambda t: 0.5]).state_dict()["_scale_fn_custom"] == [
        {"slope": 1.0},
        None,
    ]
    scheduler, other = made(Slope(0.25)), made(Slope(0.5))
    assert scheduler.state_dict()["_scale_fn_custom"] == {"slope": 0.25}
    other.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
    scheduler.step()
    other.step()
    assert other.get_last_lr() == scheduler.get_last_lr() == [0.1 + 0.4 * 0.25 * 0.8] * 2


def test_functions_are_attributes_under_torchs_names_and_their_own():
    slope = Slope(0.5)
    assert CyclicLR(sgd(), 0.1, 0.5, scale_fn=slope)._scale_fn_custom is slope
    assert CyclicLR(sgd(), 0.1, 0.5, scale_fn=slope).scale_fn is slope
    for kind in (LambdaLR, MultiplicativeLR):
        assert kind(sgd(), slope).lr_lambdas is kind(sgd(), slope).lr_lambda is slope
        copied = pickle.loads(pickle.dumps(kind(sgd(), slope)))
        assert copied.lr_lambda.slope == 0.5
    with pytest.raises(AttributeError, match="'LambdaLR' object has no attribute 'lr_lamda'"):
        LambdaLR(sgd(), slope).lr_lamda  # noqa: B018


def test_a_pickle_with_the_function_under_its_former_name_loads():
    for kind in (LambdaLR, MultiplicativeLR):
        scheduler = kind(sgd(), Slope(0.5))
        former = copy.deepcopy(scheduler.__dict__)
        former["lr_lambda"] = former.pop("lr_lambdas")
        made = kind.__new__(kind)
        made.__setstate__(former)
        made.step()
        scheduler.step()
        assert made.get_last_lr() == scheduler.get_last_lr()


def test_the_states_of_parts_are_under_the_name_of_lucid_3_too():
    def made():
        optimizer = sgd()
        chain = ChainedScheduler([ExponentialLR(optimizer, 0.9), StepLR(optimizer, 2, 0.5)])
        return SequentialLR(optimizer, [LinearLR(optimizer), chain], [2])

    scheduler = made()
    for _ in range(5):
        scheduler.step()
    state = json.loads(json.dumps(scheduler.state_dict()))
    assert state["schedulers"] == state["_schedulers"]
    assert "schedulers" not in state["schedulers"][1]
    for name in ("schedulers", "_schedulers"):
        other = made()
        other.load_state_dict({key: value for key, value in state.items() if key != name})
        assert other.state_dict() == scheduler.state_dict()
    with pytest.raises(ValueError, match="6 child states under 'schedulers', and 2 under"):
        made().load_state_dict({**state, "schedulers": state["schedulers"] * 3})
    with pytest.raises(ValueError, match="the state has 6 child states, here there are 2"):
        made().load_state_dict({**state, **dict.fromkeys(("schedulers", "_schedulers"), [{}] * 6)})


class OfLucid3:
    """The schedulers of Lucid 3, as far as their states go: what it counts and what it saves."""

    def __init__(self, own, **saved):
        self.own, self.last_epoch, self._step_count = own, 0, 0
        self.saved = saved

    def step(self):
        self.own.step()
        self.last_epoch += 1
        self._step_count += 1

    def state_dict(self):
        counts = {"last_epoch": self.last_epoch, "_step_count": self._step_count, "verbose": False}
        return {**counts, **self.saved, "base_lrs": [0.1], "_last_lr": self.own.get_last_lr()}


def of_lucid_3(steps, milestones):
    """The state of a sequence there, whose second scheduler is a chain, after some steps."""
    parts = [
        OfLucid3(ExponentialLR(sgd(), 0.9), gamma=0.9),
        OfLucid3(ExponentialLR(sgd(), 0.8), gamma=0.8),
    ]
    last_epoch, turn = -1, 0
    for _ in range(steps):
        last_epoch += 1
        while turn < len(milestones) and last_epoch >= milestones[turn]:
            turn += 1
        parts[turn].step()
    first, second = (part.state_dict() for part in parts)
    return {
        "milestones": milestones,
        "last_epoch": last_epoch,
        "_idx": turn,
        "schedulers": [first, {"schedulers": [second]}],
    }


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_state_of_a_composition_of_lucid_3_goes_on(steps):
    """It has the children's states and the turn, and neither last values nor a chain's count."""

    def made():
        optimizer = sgd()
        chain = ChainedScheduler([ExponentialLR(optimizer, 0.8)])
        return SequentialLR(optimizer, [ExponentialLR(optimizer, 0.9), chain], [3])

    expected, found = made(), made()
    for _ in range(steps):
        expected.step()
    state = json.loads(json.dumps(of_lucid_3(steps, [3])))
    found.load_state_dict(state)
    for _ in range(3):
        assert found.get_last_lr() == pytest.approx(expected.get_last_lr(), rel=1e-14)
        assert found.last_epoch == expected.last_epoch
        found.step()
        expected.step()
    for key in ("schedulers", "_idx", "milestones", "last_epoch"):
        broken = {k: v for k, v in state.items() if k != key}
        with pytest.raises(ValueError, match=r"SequentialLR: the state (lacks|holds)"):
            made().load_state_dict(broken)
    broken = {**state, "schedulers": [state["schedulers"][0], {"schedulers": [{}]}]}
    with pytest.raises(ValueError, match=r"Chained.*: the state lacks|of 0 parameter groups"):
        made().load_state_dict(broken)


def test_the_width_of_a_model_has_two_names():
    rates_of = [
        rates(NoamScheduler(sgd(), **arguments).optimizer)
        for arguments in (
            {"model_size": 64, "warmup_steps": 4000},
            {"d_model": 64, "warmup_steps": 4000},
            {"model_size": 64},
        )
    ]
    assert rates_of[0] == rates_of[1] == rates_of[2]
    scheduler = NoamScheduler(sgd(), 64, 9)
    state = {key: v for key, v in scheduler.state_dict().items() if key != "d_model"}
    NoamScheduler(sgd(), d_model=32, warmup_steps=5).load_state_dict(state)
    with pytest.raises(ValueError, match="NoamScheduler: give model_size, or d_model"):
        NoamScheduler(sgd(), warmup_steps=4)


def test_going_back_gives_back_the_momentum_of_a_later_turn():
    optimizer = sgd()
    parts = [LinearLR(optimizer), OneCycleLR(optimizer, 0.5, 30)]
    scheduler = SequentialLR(optimizer, parts, [5])
    before = optimizer.param_groups[0]["momentum"]
    scheduler.step(9)
    assert optimizer.param_groups[0]["momentum"] != before
    scheduler.step(2)
    assert optimizer.param_groups[0]["momentum"] == before


def test_a_later_turn_that_multiplies_can_be_gone_to():
    def made(optimizer):
        parts = [LinearLR(optimizer), MultiplicativeLR(optimizer, lambda t: 1 - 1 / (2 + t))]
        return SequentialLR(optimizer, [*parts, StepLR(optimizer, 9)], [3, 6])

    walking, jumping = sgd(0.1, weight_decay=0.1), sgd(0.1, weight_decay=0.1)
    walker, jumper = made(walking), made(jumping)
    for step in range(1, 9):
        walker.step()
        jumper.step(step)
        assert rates(jumping) == pytest.approx(rates(walking), rel=1e-14)


def test_a_cycle_that_torch_saved_before_its_first_step_keeps_its_base():
    scheduler = CyclicLR(sgd(0.1), 0.01, 0.5, 4)
    state = {key: v for key, v in scheduler.state_dict().items() if key not in ("class", "_bases")}
    state["_last_lr"] = [0.1]  # torch begins at what another scheduler has noted
    scheduler.load_state_dict(state)
    scheduler.step()
    assert scheduler.get_last_lr() == [0.01 + 0.49 / 4]


def test_a_composition_asks_its_parts_what_they_save():
    class Noting(ExponentialLR):
        def state_dict(self):
            return {**super().state_dict(), "verbose": "asked"}

    optimizer = sgd()
    chain = ChainedScheduler([ChainedScheduler([Noting(optimizer, 0.5)])])
    assert chain.state_dict()["schedulers"][0]["_schedulers"][0]["verbose"] == "asked"
