"""Schedules and a training step that mx.compile captures whole: nothing goes stale."""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optimizers
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import Adam, Rprop
from lucidgen.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
    tabulate,
)

SCHEDULERS = {
    "cosine": lambda o: CosineAnnealingLR(o, 8, 1e-3),
    "chain": lambda o: ChainedScheduler([LinearLR(o, total_iters=4), StepLR(o, 3, 0.5)]),
    "sequence": lambda o: SequentialLR(o, [LinearLR(o, total_iters=3), StepLR(o, 2)], [3]),
    "one cycle to its end": lambda o: OneCycleLR(
        o, 0.1, 8, anneal_strategy="linear", cycle_momentum=False
    ),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_captured_step_follows_its_scheduler_without_a_retrace(name):
    rng = np.random.default_rng(3)
    start = rng.normal(size=(3, 2)).astype(np.float32)
    x = mx.array(rng.normal(size=(5, 3)).astype(np.float32))
    model = nn.Linear(3, 2, bias=False)
    model.weight = mx.array(start.T)
    optimizer = Adam(lr=0.1)
    optimizer.init(model.trainable_parameters())
    traces = []
    value_and_grad = nn.value_and_grad(model, lambda model, x: (model(x) ** 2).mean())

    def step(x):
        traces.append(1)
        loss, grads = value_and_grad(model, x)
        optimizer.update(model, grads)
        return loss

    state = [model.state, optimizer.state]
    compiled = mx.compile(step, inputs=state, outputs=state)
    scheduler = SCHEDULERS[name](optimizer)

    parameter = Parameter(start.T.copy())
    eager = Adam([parameter], lr=0.1)
    reference = SCHEDULERS[name](eager)
    seen = set()
    for _ in range(8):
        mx.eval(compiled(x), state)
        gradient = mx.grad(lambda w: ((x @ w.T) ** 2).mean())(mx.array(parameter.data))
        parameter.grad = np.array(gradient)
        eager.step()
        assert float(optimizer.state["lr"]) == np.float32(eager.param_groups[0]["lr"])
        seen.add(float(optimizer.state["lr"]))
        # Eight steps in single precision, by two orders of operations.
        np.testing.assert_allclose(np.array(model.weight), parameter.data, rtol=0, atol=1e-5)
        scheduler.step()
        reference.step()
    assert len(traces) == 1
    assert len(seen) >= 4


def test_another_hyperparameter_cannot_change_in_a_captured_step():
    model = nn.Linear(3, 2)
    optimizer = Adam(lr=0.1)
    optimizer.init(model.trainable_parameters())
    scheduler = LinearLR(optimizer, 0.5, hyper="beta1")
    grads = {"weight": mx.ones((2, 3)), "bias": mx.ones((2,))}

    def step():
        optimizer.update(model, grads)

    state = [model.state, optimizer.state]
    mx.compile(step, inputs=state, outputs=state)()
    before = scheduler.state_dict()
    with pytest.raises(RuntimeError, match="betas cannot change after the step was traced"):
        scheduler.step()
    assert scheduler.state_dict() == before


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_table_is_the_scheduler_as_a_function(name):
    optimizer = Adam([Parameter(np.zeros(2))], lr=0.1)
    scheduler = SCHEDULERS[name](optimizer)
    scheduler.step()
    groups, state = dict(optimizer.param_groups[0]), scheduler.state_dict()
    function = tabulate(scheduler, 8)
    assert dict(optimizer.param_groups[0]) == groups
    assert scheduler.state_dict() == state
    fresh = SCHEDULERS[name](Adam([Parameter(np.zeros(2))], lr=0.1))
    for t in range(8):
        assert function(t) == fresh.get_last_lr()[0]
        assert float(function(mx.array(t))) == np.float32(function(t))
        fresh.step()
    assert function(1000) == function(7)


def test_a_table_is_the_rate_of_an_optimizer_of_mlx_in_a_captured_step():
    scheduler = CosineAnnealingLR(Adam([Parameter(np.zeros(2))], lr=0.5), 6)
    optimizer = optimizers.SGD(learning_rate=tabulate(scheduler, 6))
    model = nn.Linear(2, 1, bias=False)
    model.weight = mx.zeros((1, 2))
    optimizer.init(model.trainable_parameters())

    def step():
        optimizer.update(model, {"weight": mx.ones((1, 2))})

    state = [model.state, optimizer.state]
    compiled = mx.compile(step, inputs=state, outputs=state)
    expected = 0.0
    for _ in range(5):
        compiled()
        expected -= scheduler.get_last_lr()[0]
        scheduler.step()
        np.testing.assert_allclose(np.array(model.weight), expected, rtol=1e-6)


def test_a_table_begins_at_the_first_step():
    table = tabulate(ExponentialLR(Adam([Parameter(np.zeros(2))], lr=0.5), 0.5), 4)
    assert table(-1) == float(table(mx.array(-1))) == 0.5


def test_elements_of_tuples_are_tabulated_by_the_names_of_the_optimizer():
    scheduler = ExponentialLR(Rprop([Parameter(np.zeros(2))]), 0.5, hyper="eta_minus")
    assert tabulate(scheduler, 3)(2) == 0.125


def test_a_table_of_what_is_no_scheduler_or_no_group_is_refused():
    optimizer = Adam([Parameter(np.zeros(2))])
    with pytest.raises(TypeError, match="needs no metric, got ReduceLROnPlateau"):
        tabulate(ReduceLROnPlateau(optimizer), 5)
    with pytest.raises(TypeError, match="steps must be a whole number, got"):
        tabulate(StepLR(optimizer, 3), 2.5)
    with pytest.raises(ValueError, match="no group 1; there are 1, counted from 0"):
        tabulate(StepLR(optimizer, 3), 5, group=1)


def test_a_table_of_nothing_is_refused():
    scheduler = OneCycleLR(Adam([Parameter(np.zeros(2))], lr=0.5), 0.1, 5)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        tabulate(scheduler, 0)
    with pytest.raises(ValueError, match="step 6 is beyond total_steps = 5"):
        tabulate(scheduler, 7)
