"""Each generated optimizer trains a network on handwritten digits in the real Lucid."""

import pytest
from digits import SETTINGS, maker
from training import train_in_lucid

import lucidgen.optim


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    ("device", "evaluate"),
    [
        ("cpu", True),
        pytest.param("gpu", True, marks=pytest.mark.complete),
        ("gpu", False),
    ],
    ids=str,
)
def test_digits(name, device, evaluate):
    make = maker(lucidgen.optim, name, SETTINGS[name])
    run = train_in_lucid(make, 15, device, evaluate=evaluate)
    assert run.accuracy >= 0.95
    assert run.losses[-1] < 0.15 * run.losses[0]
