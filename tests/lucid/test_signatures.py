"""Every class of Lucid's optim with every argument: taken in its dialect, or answered with it."""

import inspect

import lucid.optim as theirs
import numpy as np
import pytest

import lucidgen.optim as ours
from lucidgen import Parameter

CLASSES = sorted(
    name
    for name, found in vars(theirs).items()
    if isinstance(found, type)
    and issubclass(found, theirs.Optimizer)
    and found is not theirs.Optimizer
)
ARGUMENTS = [
    (name, argument.name)
    for name in CLASSES
    for argument in inspect.signature(getattr(theirs, name)).parameters.values()
    if argument.default is not argument.empty
]


def other_than(default):
    """Another legal value of an argument: what ours must not lose on its way."""
    if isinstance(default, bool):
        return not default
    if isinstance(default, tuple):
        return tuple(0.9 * x for x in default)
    return 0.5 * default or 0.25


@pytest.fixture
def as_in_lucid_2(monkeypatch):
    """What lucidgen.activate(dialect="lucid2") does to the classes."""
    monkeypatch.setattr(ours.Optimizer, "preferred_dialect", "lucid2")


def test_the_real_lucid_is_walked_over():
    assert len(CLASSES) == 11
    assert len(ARGUMENTS) > 40


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_every_argument_of_lucid_is_taken_in_its_dialect(name, argument, as_in_lucid_2):
    default = inspect.signature(getattr(theirs, name)).parameters[argument].default
    value = other_than(default)
    if argument == "etas":
        value = (0.4, 1.3)
    optimizer = getattr(ours, name)([Parameter(np.ones(2))], **{argument: value})
    assert optimizer.dialect == "lucid2"
    assert optimizer.param_groups[0][argument] == value
    plain = getattr(ours, name)([Parameter(np.ones(2))])
    assert plain.param_groups[0][argument] == default


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_without_its_dialect_an_argument_is_taken_or_answered_with_it(name, argument):
    default = inspect.signature(getattr(theirs, name)).parameters[argument].default
    value = (0.4, 1.3) if argument == "etas" else other_than(default)
    if (name, argument) == ("ASGD", "momentum"):
        answer = (
            "ASGD: momentum=0.25 is not part of the dialect 'torch'; "
            "the dialect 'lucid2' has it: give dialect='lucid2'"
        )
        with pytest.raises(ValueError, match=answer):
            ours.ASGD([Parameter(np.ones(2))], momentum=value)
        return
    optimizer = getattr(ours, name)([Parameter(np.ones(2))], **{argument: value})
    assert optimizer.param_groups[0][argument] == value


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_by_position_mean_what_they_mean_in_lucid_or_are_refused(name, as_in_lucid_2):
    arguments = [argument for kind, argument in ARGUMENTS if kind == name]
    signature = inspect.signature(getattr(theirs, name)).parameters
    values = [other_than(signature[argument].default) for argument in arguments]
    if "etas" in arguments:
        values[arguments.index("etas")] = (0.4, 1.3)
    refused = 0
    for count in range(1, len(values) + 1):
        try:
            optimizer = getattr(ours, name)([Parameter(np.ones(2))], *values[:count])
        except TypeError as error:
            refused += "libraries have different orders for what comes then" in str(error)
            continue
        group = optimizer.param_groups[0]
        assert [group[argument] for argument in arguments[:count]] == values[:count]
    assert refused == {"ASGD": 5, "Adagrad": 3, "SGD": 1}.get(name, 0)
