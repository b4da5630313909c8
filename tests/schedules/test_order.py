"""The warning where a scheduler steps before its optimizer does."""

import types
import warnings

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, Adam, Optimizer
from lucidgen.optim.lr_scheduler import (
    ChainedScheduler,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    SequentialLR,
    StepLR,
)

WARNING = r"call optimizer.step\(\) first. See .*how-to-adjust-learning-rate"


class Own(LRScheduler):
    """A user's own class."""

    def get_lr(self):
        return self.base_lrs


MAKERS = {
    "closed form": lambda o: StepLR(o, 3),
    "recursion": lambda o: MultiplicativeLR(o, lambda t: 0.5),
    "of one's own": Own,
    "chain": lambda o: ChainedScheduler([StepLR(o, 3), ExponentialLR(o, 0.5)]),
    "sequence": lambda o: SequentialLR(o, [LinearLR(o), StepLR(o, 2)], [1]),
    "nested": lambda o: ChainedScheduler([SequentialLR(o, [LinearLR(o), StepLR(o, 2)], [1])]),
}


def sgd():
    return SGD([Parameter(np.zeros(2))], lr=0.1)


def warned(scheduler, *steps):
    """The warnings of some steps, whether of the scheduler or the optimizer."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for step in steps:
            step()
    return [str(warning.message) for warning in found]


@pytest.mark.parametrize("name", MAKERS)
def test_the_wrong_order_is_warned_of_once_and_the_right_one_never(name):
    wrong, right = sgd(), sgd()
    scheduler, other = MAKERS[name](wrong), MAKERS[name](right)
    (message,) = warned(scheduler, scheduler.step, wrong.step, scheduler.step, wrong.step)
    assert message.startswith(f"{type(scheduler).__name__}: step() was called before the optimizer")
    assert warned(other, right.step, other.step, other.step) == []


def test_the_warning_points_at_who_called():
    scheduler = StepLR(sgd(), 3)
    with pytest.warns(UserWarning, match=WARNING) as found:
        scheduler.step()
    assert found[0].filename == __file__


def test_a_resumed_scheduler_warns_too_and_a_loaded_one_does_not():
    optimizer = sgd()
    optimizer.param_groups[0]["initial_lr"] = 0.1
    scheduler = StepLR(optimizer, 3, last_epoch=7)
    with pytest.warns(UserWarning, match=WARNING):
        scheduler.step()
    stepped = sgd()
    saved = StepLR(stepped, 3)
    assert warned(saved, stepped.step, saved.step) == []
    loaded = StepLR(sgd(), 3)
    loaded.load_state_dict(saved.state_dict())
    assert warned(loaded, loaded.step) == []


def test_an_update_of_a_tree_is_a_step():
    optimizer = Adam(lr=0.1)
    scheduler = StepLR(optimizer, 3)
    tree = {"w": mx.ones(2)}
    assert warned(scheduler, lambda: optimizer.apply_gradients(tree, tree), scheduler.step) == []
    late = StepLR(Adam(lr=0.1), 3)
    assert len(warned(late, late.step)) == 1


class StepsByItself(Optimizer):
    """A user's optimizer."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.1})

    def step(self, closure=None):
        pass


class Foreign:
    """What has groups and nothing else, as Lucid's own optimizers."""

    def __init__(self):
        self.param_groups = [{"params": [], "lr": 0.1}]


def replaced(calls_it):
    optimizer = sgd()
    original = optimizer.step
    optimizer.step = types.MethodType(
        lambda self, *args: original(*args) if calls_it else None, optimizer
    )
    return optimizer


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepsByItself([Parameter(np.zeros(2))]),
        Foreign,
        lambda: replaced(True),
        lambda: replaced(False),
    ],
    ids=["overridden", "foreign", "replaced", "replaced without the original"],
)
def test_where_nothing_is_known_nothing_is_said(make):
    scheduler = StepLR(make(), 3)
    assert warned(scheduler, scheduler.step) == []


def test_an_optimizer_with_hooks_as_torch_has_them_is_watched():
    class Hooked(Foreign):
        hooks = ()

        def register_step_post_hook(self, hook):
            self.hooks += (hook,)

        def step(self):
            for hook in self.hooks:
                hook(self, (), {})

    wrong, right = Hooked(), Hooked()
    scheduler, other = ExponentialLR(wrong, 0.5), ExponentialLR(right, 0.5)
    ExponentialLR(right, 0.5)
    assert len(right.hooks) == 1
    assert len(warned(scheduler, scheduler.step, wrong.step)) == 1
    assert warned(other, right.step, other.step) == []


@pytest.mark.parametrize("steps_first", [True, False])
def test_a_step_that_is_replaced_under_a_scheduler_is_said_once_whatever_the_order(steps_first):
    """As in torch, whose tests look for these words."""
    optimizer = sgd()
    scheduler = StepLR(optimizer, 3)
    optimizer.step = types.MethodType(lambda self: None, optimizer)
    first, then = (optimizer.step, scheduler.step)[:: 1 if steps_first else -1]
    (message,) = warned(scheduler, first, then, scheduler.step)
    assert "how-to-adjust-learning-rate" in message
    assert "`optimizer.step()` has been overridden after the scheduler was made" in message
    other = StepLR(optimizer, 3)  # which finds it so
    assert warned(other, other.step) == []
