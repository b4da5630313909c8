"""What a scheduler refuses, in words that say what to do; and that nothing has changed then."""

import copy

import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, Adam
from lucidgen.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
    WarmupCosineLR,
)


def sgd(groups=1, **arguments):
    found = [{"params": [Parameter(np.zeros(2))]} for _ in range(groups)]
    return SGD(found, **{"lr": 0.1, "momentum": 0.9, **arguments})


CONSTRUCTIONS = {
    "no optimizer": (lambda o: StepLR([1.0], 3), "list is no optimizer"),
    "no steps": (lambda o: StepLR(o, 0), "StepLR: step_size must be at least 1, got 0"),
    "half a step": (lambda o: StepLR(o, 2.5), "step_size must be a whole number, got 2.5"),
    "a negative factor": (lambda o: ExponentialLR(o, -0.5), "gamma must be above 0, got -0.5"),
    "a factor above 1": (lambda o: LinearLR(o, 1.5), "start_factor must be at most 1"),
    "nothing that is a number": (lambda o: PolynomialLR(o, "5"), "total_iters must be a number"),
    "no finite number": (lambda o: CosineAnnealingLR(o, float("inf")), "T_max must be finite"),
    "a flag as a number": (lambda o: CosineAnnealingLR(o, True), "T_max must be a number"),
    "no period": (lambda o: CosineAnnealingLR(o, 0), "T_max must be above 0, got 0"),
    "shrinking periods": (
        lambda o: CosineAnnealingWarmRestarts(o, 5, 0),
        "T_mult must be at least 1, got 0",
    ),
    "unsorted milestones": (
        lambda o: MultiStepLR(o, [10, 5]),
        "milestones must be in increasing order, got 5 at [1] after 10; sort them",
    ),
    "no milestones": (lambda o: MultiStepLR(o, []), "milestones must hold at least one step"),
    "a single milestone": (lambda o: MultiStepLR(o, 30), "milestones must be a list of steps"),
    "too many numbers": (
        lambda o: ExponentialLR(o, [0.5, 0.9, 0.1]),
        "gamma must have one value for each parameter group, of which there are 2; got 3",
    ),
    "no function": (lambda o: LambdaLR(o, 0.5), "lr_lambda must be a function of the step"),
    "a function too few": (
        lambda o: LambdaLR(o, [abs]),
        "lr_lambda must have one value for each parameter group",
    ),
    "no total": (lambda o: OneCycleLR(o, 0.1), "give total_steps, or epochs and steps_per_epoch"),
    "no steps at all": (lambda o: OneCycleLR(o, 0.1, 0), "total_steps must be at least 1, got 0"),
    "an unknown shape": (
        lambda o: OneCycleLR(o, 0.1, 10, anneal_strategy="cosine"),
        "anneal_strategy must be one of 'cos', 'linear', got 'cosine'; did you mean 'cos'?",
    ),
    "an unknown mode": (
        lambda o: CyclicLR(o, 0.1, 0.2, mode="triangle"),
        "mode must be one of 'triangular', 'triangular2', 'exp_range', got 'triangle'",
    ),
    "warmup beyond the end": (
        lambda o: WarmupCosineLR(o, 10, 10),
        "WarmupCosineLR: warmup_steps must be below total_steps",
    ),
    "an unknown hyperparameter": (
        lambda o: StepLR(o, 3, hyper="weigth_decay"),
        "SGD has no hyperparameter 'weigth_decay'; did you mean 'weight_decay'?",
    ),
    "a hyperparameter that is a flag": (
        lambda o: StepLR(o, 3, hyper="nesterov"),
        "nesterov of SGD is False, which is no number",
    ),
    "the parameters": (lambda o: StepLR(o, 3, hyper="params"), "no hyperparameter 'params'"),
    "resuming without a note": (
        lambda o: StepLR(o, 3, last_epoch=5),
        "group 0 has no 'initial_lr', the value that it started with",
    ),
    "a plateau without a direction": (
        lambda o: ReduceLROnPlateau(o, "low"),
        "mode must be one of 'min', 'max', got 'low'",
    ),
    "a plateau that grows": (lambda o: ReduceLROnPlateau(o, factor=1.0), "factor must be below 1"),
    "a plateau with a factor for each group": (
        lambda o: ReduceLROnPlateau(o, factor=[0.1, 0.5]),
        "ReduceLROnPlateau: factor must be a number, got [0.1, 0.5] (list)",
    ),
    "resuming from half a step": (
        lambda o: StepLR(o, 3, last_epoch=2.5),
        "last_epoch must be a whole number, got 2.5",
    ),
    "resuming from before the beginning": (
        lambda o: StepLR(o, 3, last_epoch=-2),
        "StepLR: last_epoch must be at least -1, got -2",
    ),
    "a function that returns no number": (
        lambda o: LambdaLR(o, lambda t: None),
        "LambdaLR: no value at step 0: unsupported operand",
    ),
    "an empty chain": (lambda o: ChainedScheduler([]), "no schedulers (an empty list)"),
    "one scheduler as a chain": (
        lambda o: ChainedScheduler(StepLR(sgd(), 3)),
        "expected a list of schedulers",
    ),
    "a chain of other things": (lambda o: ChainedScheduler([o]), "schedulers[0] is no scheduler"),
    "a chain over two optimizers": (
        lambda o: ChainedScheduler([StepLR(sgd(), 3), StepLR(sgd(), 3)]),
        "schedulers[1] drives another optimizer",
    ),
    "a chained plateau": (
        lambda o: ChainedScheduler([ReduceLROnPlateau(sgd())]),
        "ReduceLROnPlateau needs a metric",
    ),
}


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_what_cannot_be_is_refused_and_changes_nothing(name):
    make, answer = CONSTRUCTIONS[name]
    optimizer = sgd(2)
    before = [dict(group) for group in optimizer.param_groups]
    with pytest.raises((ValueError, TypeError, KeyError)) as caught:
        make(optimizer)
    assert answer in str(caught.value)
    assert [dict(group) for group in optimizer.param_groups] == before


def test_a_tuple_is_not_driven_as_a_whole():
    optimizer = Adam([Parameter(np.zeros(2))])
    with pytest.raises(ValueError, match="betas of Adam holds 2 numbers; name one of beta1, beta2"):
        StepLR(optimizer, 3, hyper="betas")
    with pytest.raises(ValueError, match="no hyperparameter 'beta3'; did you mean 'beta"):
        StepLR(optimizer, 3, hyper="beta3")


def test_all_groups_have_what_is_driven():
    optimizer = sgd(2)
    del optimizer.param_groups[1]["momentum"]
    with pytest.raises(ValueError, match="group 1 has no 'momentum', which group 0 has"):
        StepLR(optimizer, 3, hyper="momentum")


@pytest.mark.parametrize("metric", ["low", None, [1.0], np.ones(2)], ids=repr)
def test_a_metric_is_a_number(metric):
    optimizer = sgd()
    scheduler = ReduceLROnPlateau(optimizer, patience=0)
    with pytest.raises(TypeError, match="ReduceLROnPlateau: the metric must be a number, got"):
        scheduler.step(metric)
    assert scheduler.last_epoch == 0


def test_a_chain_goes_to_whole_steps():
    chain = ChainedScheduler([StepLR(sgd(), 3)])
    with pytest.raises(TypeError, match="ChainedScheduler: epoch must be a whole number, got"):
        chain.step(2.5)


def test_a_cycle_needs_a_momentum():
    class Bare:
        def __init__(self):
            self.param_groups = [{"params": [], "lr": 0.1}]

    bare = Bare()
    with pytest.raises(ValueError, match=r"neither momentum nor betas.*cycle_momentum=False"):
        CyclicLR(bare, 0.1, 0.2)
    assert bare.param_groups == [{"params": [], "lr": 0.1}]
    CyclicLR(bare, 0.1, 0.2, cycle_momentum=False)


@pytest.mark.parametrize(
    ("milestones", "answer"),
    [([5], "1 for 3 schedulers; there must be 2"), ([5, 3], "in increasing order, got 3 at [1]")],
)
def test_milestones_of_a_sequence_fit(milestones, answer):
    optimizer = sgd()
    parts = [StepLR(optimizer, 3) for _ in range(3)]
    with pytest.raises(ValueError, match="milestones") as caught:
        SequentialLR(optimizer, parts, milestones)
    assert answer in str(caught.value)


def test_a_step_beyond_the_end_is_refused():
    optimizer = sgd()
    scheduler = OneCycleLR(optimizer, 0.1, 3)
    for _ in range(3):
        scheduler.step()
    before, state = dict(optimizer.param_groups[0]), scheduler.state_dict()
    with pytest.raises(ValueError, match="step 4 is beyond total_steps = 3"):
        scheduler.step()
    assert dict(optimizer.param_groups[0]) == before
    assert scheduler.state_dict() == state


def test_a_step_that_cannot_be_computed_is_refused():
    optimizer = sgd()
    scheduler = ExponentialLR(optimizer, 10.0)
    with pytest.raises(ValueError, match="ExponentialLR: no value at step 1000"):
        scheduler.step(1000)
    assert scheduler.last_epoch == 0
    with pytest.raises(ValueError, match="epoch must be at least 0, got -1"):
        scheduler.step(-1)
    failing = LambdaLR(sgd(), lambda t: [1.0, "half"][t])
    with pytest.raises((TypeError, ValueError), match=r"half|LambdaLR|multiply"):
        failing.step()
    assert failing.last_epoch == 0


def test_a_value_out_of_range_is_refused_by_the_optimizer():
    optimizer = sgd()
    LinearLR(optimizer, hyper="momentum")
    StepLR(optimizer, 1, gamma=3.0, hyper="dampening").step()
    optimizer.step()
    LambdaLR(optimizer, lambda t: -1.0)
    with pytest.raises(ValueError, match="lr must be at least 0"):
        optimizer.step()


def test_groups_that_go_are_noticed():
    optimizer = sgd(2)
    scheduler = StepLR(optimizer, 3)
    optimizer.param_groups.pop()
    with pytest.raises(ValueError, match="made for 2 parameter groups, of which there are 1 now"):
        scheduler.step()
    assert scheduler.last_epoch == 0


LOADS = {
    "another class": (lambda s: StepLR(sgd(), 3).state_dict(), "this is the state of a StepLR"),
    "another class of torch": (
        lambda s: {k: v for k, v in StepLR(sgd(), 3).state_dict().items() if k != "class"},
        "holds 'gamma', 'step_size', which this class has not",
    ),
    "another hyperparameter": (
        lambda s: CosineAnnealingLR(sgd(), 9, hyper="momentum").state_dict(),
        "a schedule of momentum, not of lr",
    ),
    "another number of groups": (
        lambda s: CosineAnnealingLR(sgd(3), 9).state_dict(),
        "that of 3 parameter groups, here there are 1",
    ),
    "an illegal argument": (lambda s: {**s, "T_max": -1}, "T_max must be above 0"),
    "something missing": (
        lambda s: {k: v for k, v in s.items() if k != "T_max"},
        "the state lacks 'T_max'",
    ),
    "no steps": (
        lambda s: {k: v for k, v in s.items() if k != "last_epoch"},
        "the state lacks 'last_epoch'",
    ),
    "no dict": (lambda s: [1, 2], "expected a state dict, got list"),
}


@pytest.mark.parametrize("name", LOADS)
def test_a_state_that_does_not_fit_is_refused(name):
    make, answer = LOADS[name]
    scheduler = CosineAnnealingLR(sgd(), 100)
    scheduler.step()
    before = copy.deepcopy(scheduler.state_dict())
    groups = [dict(group) for group in scheduler.optimizer.param_groups]
    with pytest.raises((ValueError, TypeError)) as caught:
        scheduler.load_state_dict(make(scheduler.state_dict()))
    assert answer in str(caught.value)
    assert scheduler.state_dict() == before
    assert [dict(group) for group in scheduler.optimizer.param_groups] == groups


def test_a_composition_loads_all_of_a_state_or_nothing():
    def made():
        optimizer = sgd()
        return ChainedScheduler([StepLR(optimizer, 3), ExponentialLR(optimizer, 0.5)])

    chained = made()
    chained.step()
    before = copy.deepcopy(chained.state_dict())
    for spoil in (
        lambda s: s["_schedulers"][1].update(gamma=-1.0),
        lambda s: s["_schedulers"].reverse(),
        lambda s: s["_schedulers"].pop(),
    ):
        state = copy.deepcopy(made().state_dict())
        spoil(state)
        with pytest.raises(ValueError, match=r"gamma|state"):
            chained.load_state_dict(state)
        assert chained.state_dict() == before


def test_a_state_of_lucid_2_is_taken():
    saved = {
        "last_epoch": 40,
        "base_lrs": [0.1],
        "_step_count": 41,
        "_last_lr": [CosineAnnealingLR.value(40, 0.1, T_max=100)],
        "_group_count": 1,
    }
    scheduler = CosineAnnealingLR(sgd(), 100)
    scheduler.load_state_dict(saved)
    assert scheduler.optimizer.param_groups[0]["lr"] == saved["_last_lr"][0]
    scheduler.step()
    assert scheduler.get_last_lr() == [CosineAnnealingLR.value(41, 0.1, T_max=100)]


def test_a_multiplicative_function_is_checked():
    with pytest.raises(TypeError, match="lr_lambda must be a function"):
        MultiplicativeLR(sgd(), 0.5)
    scheduler = MultiplicativeLR(sgd(), lambda t: float("nan"))
    with pytest.raises(ValueError, match=r"lr_lambda\(1\) must be finite"):
        scheduler.step()
    assert scheduler.last_epoch == 0


def test_a_chain_that_cannot_go_on_stays_where_it_is():
    optimizer = sgd()
    chained = ChainedScheduler(
        [ExponentialLR(optimizer, 0.5), OneCycleLR(optimizer, 0.1, 2, hyper="weight_decay")]
    )
    chained.step()
    chained.step()
    before = [dict(group) for group in optimizer.param_groups], chained.state_dict()
    with pytest.raises(ValueError, match="step 3 is beyond total_steps = 2"):
        chained.step()
    assert ([dict(group) for group in optimizer.param_groups], chained.state_dict()) == before


def test_a_sequence_that_cannot_go_on_stays_where_it_is():
    optimizer = sgd()
    parts = [StepLR(optimizer, 3), OneCycleLR(optimizer, 0.1, 1)]
    sequence = SequentialLR(optimizer, parts, [2])
    for _ in range(3):
        sequence.step()
    before = [dict(group) for group in optimizer.param_groups], sequence.state_dict()
    with pytest.raises(ValueError, match="step 2 is beyond total_steps = 1"):
        sequence.step()
    assert ([dict(group) for group in optimizer.param_groups], sequence.state_dict()) == before


def test_a_failed_write_takes_back_what_was_written():
    class Stubborn(dict):
        def __setitem__(self, key, value):
            if key == "betas" and value[0] < 0.9:
                raise RuntimeError("refused")
            super().__setitem__(key, value)

    class Foreign:
        def __init__(self):
            self.param_groups = [Stubborn(params=[], lr=1.0, betas=(0.9, 0.99))]

    foreign = Foreign()
    scheduler = CyclicLR(foreign, 0.1, 0.5, 4, max_momentum=0.95)
    scheduler.step()
    before, state = dict(foreign.param_groups[0]), scheduler.state_dict()
    with pytest.raises(RuntimeError, match="refused"):
        scheduler.step()
    assert dict(foreign.param_groups[0]) == before
    assert scheduler.state_dict() == state
