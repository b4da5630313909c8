"""Each generated optimizer trains a network on handwritten digits in the real Lucid."""

import pytest
from digits import SETTINGS, maker
from readings import sampled
from training import train_in_lucid

import lucidgen.optim

#: On MLX, what makes a step there: a plain one, and one with scalars and a branch of the host.
SAMPLE = [
    ("gpu", False, "SGD"),
    ("gpu", False, "RAdam"),
    *(("cpu", True, n) for n in ("Adam", "AdamW", "NAdam")),
]
ALL = [
    (device, evaluate, name)
    for device, evaluate in (("cpu", True), ("gpu", True), ("gpu", False))
    for name in SETTINGS
]


@pytest.mark.parametrize(
    ("device", "evaluate", "name"),
    [pytest.param(*p.values[0], id=p.id, marks=p.marks) for p in sampled(ALL, SAMPLE, str)],
)
def test_digits(device, evaluate, name):
    make = maker(lucidgen.optim, name, SETTINGS[name])
    run = train_in_lucid(make, 15, device, evaluate=evaluate)
    assert run.accuracy >= 0.95
    assert run.losses[-1] < 0.15 * run.losses[0]
