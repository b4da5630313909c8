"""Dialects and gradients of the generated classes: what they have, refuse and ignore."""

from __future__ import annotations

import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import SGD, Adam, NAdam


def test_an_argument_that_a_dialect_does_not_have_must_keep_its_default() -> None:
    Adam([Parameter(np.ones(2))], weight_decay=0.0, dialect="paper")
    with pytest.raises(ValueError, match=r"weight_decay=0.1 is not part of the dialect 'paper'"):
        Adam([Parameter(np.ones(2))], weight_decay=0.1, dialect="paper")
    with pytest.raises(ValueError, match="nesterov=True is not part of the dialect 'lucid2'") as e:
        SGD([Parameter(np.ones(2))], momentum=0.9, nesterov=True, dialect="lucid2")
    having = [d for d, rule in SGD.rules.items() if "nesterov" in rule.arguments]
    assert str(e.value).endswith("have it: give dialect='torch', for example")
    assert all(repr(dialect) in str(e.value).partition(";")[2] for dialect in having)


def test_an_argument_that_a_dialect_ignores_is_accepted() -> None:
    parameter = Parameter(np.ones(2))
    optimizer = Adam([parameter], amsgrad=True, dialect="lucid2")
    parameter.grad = np.ones(2)
    optimizer.step()
    assert set(optimizer.state[parameter]) == {"step", "exp_avg", "exp_avg_sq"}


def test_a_dialect_has_its_own_states() -> None:
    parameter = Parameter(np.ones(2))
    parameter.grad = np.ones(2)
    for dialect, has_product in (("torch", True), ("lucid2", False)):
        optimizer = NAdam([parameter], dialect=dialect)
        optimizer.step()
        assert ("mu_product" in optimizer.state[parameter]) == has_product


def test_a_gradient_too_large_for_the_weights_becomes_infinite_without_a_warning() -> None:
    parameter = Parameter(np.ones(2, np.float32))
    optimizer = SGD([parameter], lr=0.5)
    parameter.grad = np.array([1e300, 1.0])
    optimizer.step()
    assert parameter.data.tolist() == [float("-inf"), 0.5]
