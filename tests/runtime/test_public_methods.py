"""Whatever is public says what it takes when it is given something else."""

import inspect
import traceback
from functools import partial
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

import lucidgen
import lucidgen.optim as optim
from lucidgen import Parameter
from lucidgen.optim import lr_scheduler

THING = object()
ODD = {"a number": 5, "None": None, "a string": "x", "an object": THING}


def parameters():
    p = Parameter(np.ones(3))
    p.grad = np.ones(3)
    return [p]


def tree():
    return {"a": mx.ones(3), "b": mx.ones((2, 2))}


def ready(made):
    made.init(tree())
    return made


class Mine(optim.Optimizer):
    def step(self, closure=None):
        """Takes whatever its author likes."""


MULTI = partial(optim.MultiOptimizer, [optim.Lion(), optim.Adam()], ["a"])
MADE = {
    "Adam(parameters)": lambda: optim.Adam(parameters()),
    "SGD(parameters)": lambda: optim.SGD(parameters(), lr=0.1, momentum=0.9),
    "Adam()": lambda: optim.Adam(),
    "Adam() with a state": lambda: ready(optim.Adam()),
    "Optimizer": lambda: Mine(parameters(), {"lr": 0.1}),
    "MultiOptimizer": MULTI,
    "MultiOptimizer with a state": lambda: ready(MULTI()),
    "ExponentialMovingAverage": lambda: optim.ExponentialMovingAverage(parameters()),
    "Parameter": lambda: parameters()[0],
    "Handle": lambda: optim.Adam(parameters()).register_step_pre_hook(print),
}
ARGUMENTS = {
    "StepLR": {"step_size": 2},
    "MultiStepLR": {"milestones": [2]},
    "ExponentialLR": {"gamma": 0.9},
    "CosineAnnealingLR": {"T_max": 5},
    "CosineAnnealingWarmRestarts": {"T_0": 4},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 0.5},
    "OneCycleLR": {"max_lr": 0.5, "total_steps": 20},
    "LambdaLR": {"lr_lambda": lambda step: 0.9},
    "MultiplicativeLR": {"lr_lambda": lambda step: 0.9},
    "NoamScheduler": {"model_size": 8, "warmup_steps": 4},
    "WarmupCosineLR": {"warmup_steps": 2, "total_steps": 9},
    "WarmupStableDecayLR": {"warmup_steps": 1, "stable_steps": 2, "decay_steps": 3},
    "SWALR": {"swa_lr": 0.05},
}
COMPOSED = ("ChainedScheduler", "SequentialLR")
SIMPLE = [
    name
    for name in lr_scheduler.__all__
    if name not in (*COMPOSED, "ClosedForm", "LRScheduler", "tabulate")
]


def driven():
    return optim.SGD(parameters(), lr=0.1, momentum=0.9)


def scheduler(name, **changed):
    """A scheduler of this name, with something else for some of its arguments."""
    if name not in COMPOSED:
        given = {"optimizer": driven(), **ARGUMENTS.get(name, {})}
        return getattr(lr_scheduler, name)(**{**given, **changed})
    optimizer = driven()
    parts = [lr_scheduler.ConstantLR(optimizer), lr_scheduler.ExponentialLR(optimizer, 0.9)]
    given = {"optimizer": optimizer, "schedulers": parts}
    if name == "SequentialLR":
        given["milestones"] = [3]
    return getattr(lr_scheduler, name)(**{**given, **changed})


MADE |= {name: partial(scheduler, name) for name in (*SIMPLE, *COMPOSED)}
#: What is called with something else than what was made.
GOOD = {"grads": tree, "params": tree, "model": dict, "metrics": lambda: 1.0}
#: Classes and functions; those of schedulers are below, and the switches of lucid.optim have tests
#: of their own.
CALLED = {
    name: getattr(module, name)
    for module in (lucidgen, optim)
    for name in module.__all__
    if callable(getattr(module, name)) and name not in ("activate", "deactivate", "Options")
}
#: Calls that an object may be given to: what an author has overridden.
FREE = [("Optimizer", "step")]


def is_ours(error):
    """Whether an error was raised by the runtime itself, in words of its own.

    KeyError is what torch's schedulers raise where a group lacks a note.
    """
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        isinstance(error, TypeError | ValueError | RuntimeError | KeyError)
        and Path(lucidgen.__file__).parent in Path(last.filename).parents
        and last.line.startswith("raise ")
    )


def refused(call):
    """Whether a call is refused; it may also be accepted, but not fall over."""
    try:
        call()
    except Exception as error:
        if not is_ours(error):
            raise AssertionError(f"not in words of ours: {error!r}") from error
        return True
    return False


def arguments_of(function):
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p for p in inspect.signature(function).parameters.values() if p.kind not in kinds]


def odd_calls(function, given):
    """Calls with an odd value in the place of each argument in its turn."""
    names = arguments_of(function)
    for odd in names:
        needed = [p.name for p in names if p.default is p.empty and p.name != odd.name]
        yield odd.name, {name: given[name]() for name in needed}


def public(cls, is_property):
    names = [name for name in dir(cls) if not name.startswith("_")]
    found = {name: inspect.getattr_static(cls, name) for name in names}
    return [name for name, value in found.items() if isinstance(value, property) == is_property]


def is_emitted(cls, name):
    """Whether a method is the equation of a scheduler: arithmetic, without a scheduler."""
    return isinstance(inspect.getattr_static(cls, name), staticmethod)


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
@pytest.mark.parametrize("made", MADE)
def test_every_public_method_says_what_it_takes(made, value):
    cls = type(MADE[made]())
    for name in public(cls, is_property=False):
        if not inspect.isroutine(getattr(cls, name)) or is_emitted(cls, name):
            continue
        for odd, given in odd_calls(getattr(MADE[made](), name), GOOD):
            method = getattr(MADE[made](), name)
            was_refused = refused(partial(method, **given, **{odd: value}))
            assert was_refused or value is not THING or (made, name) in FREE, (name, odd)
    for name in public(cls, is_property=True):
        if getattr(cls, name).fset is not None:
            was_refused = refused(partial(setattr, MADE[made](), name, value))
            assert was_refused or value is not THING, name


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
@pytest.mark.parametrize("name", CALLED)
def test_every_public_class_and_function_says_what_it_takes(name, value):
    optimizers = [optim.Lion(), optim.Adam()]
    given = {"optimizers": lambda: optimizers, "opt_state": lambda: None, "data": lambda: [1.0]}
    given |= {"source": parameters, "params": parameters, "filters": lambda: ["a"]}
    for odd, others in odd_calls(CALLED[name], given):
        if name == "MultiOptimizer" and odd == "optimizers":
            others["filters"] = ["a"]
        if name not in ("MultiOptimizer", "Parameter") and "params" in given and odd != "params":
            others |= {"params": parameters()} if issubclass_of_optimizer(name) else {}
        call = partial(CALLED[name], **others, **{odd: value})
        assert refused(call) or value is not THING, odd


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
@pytest.mark.parametrize("name", [*SIMPLE, *COMPOSED])
def test_every_scheduler_says_what_it_takes(name, value):
    for argument in arguments_of(getattr(lr_scheduler, name)):
        was_refused = refused(partial(scheduler, name, **{argument.name: value}))
        is_free = argument.name == "verbose"  # for which torch takes anything
        assert was_refused or value is not THING or is_free, argument.name


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_tabulate_says_what_it_takes(value):
    given = {"scheduler": scheduler("StepLR"), "steps": 5, "group": 0}
    for argument in arguments_of(lr_scheduler.tabulate):
        was_refused = refused(partial(lr_scheduler.tabulate, **{**given, argument.name: value}))
        assert was_refused or value is not THING, argument.name


def issubclass_of_optimizer(name):
    return isinstance(CALLED[name], type) and issubclass(CALLED[name], optim.Optimizer)


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
@pytest.mark.parametrize("option", optim.Options.__annotations__)
def test_every_option_says_what_it_takes(option, value):
    for make in (partial(optim.AdamW, parameters()), optim.AdamW):
        was_refused = refused(lambda make=make: make(**{option: value}))
        assert was_refused or value is not THING
