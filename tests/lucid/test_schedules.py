"""The generated schedulers in the place of Lucid's: names, arguments, values, training."""

import inspect
import subprocess
import sys

import lucid.optim.lr_scheduler as theirs
import pytest
from lucid.optim import SGD as LucidSGD

import lucidgen.optim.lr_scheduler as ours
from lucidgen.optim import Adam

NAMES = [name for name in vars(theirs) if name.endswith(("LR", "Scheduler", "Plateau"))]


@pytest.mark.parametrize("name", NAMES)
def test_every_scheduler_of_lucid_is_here_with_its_arguments(name):
    expected = inspect.signature(getattr(theirs, name)).parameters
    found = inspect.signature(getattr(ours, name)).parameters
    assert set(expected) <= set(found)


#: Lucid's make no step when they are constructed: its step k is ours k - 1.
CALLS = {
    "StepLR": {"step_size": 3},
    "MultiStepLR": {"milestones": [2, 5], "gamma": 0.5},
    "ExponentialLR": {"gamma": 0.9},
    "CosineAnnealingLR": {"T_max": 7, "eta_min": 0.01},
    "NoamScheduler": {"model_size": 64, "warmup_steps": 4},
    "LambdaLR": {"lr_lambda": lambda t: 1 / (1 + t)},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 0.4, "step_size_up": 3, "cycle_momentum": False},
}


@pytest.mark.parametrize("name", CALLS)
def test_lucids_own_optimizer_is_driven_to_lucids_values(name, network):
    rates = {}
    for module in (theirs, ours):
        optimizer = LucidSGD(network().parameters(), lr=0.2)
        scheduler = getattr(module, name)(optimizer=optimizer, **CALLS[name])
        rates[module] = []
        for _ in range(12):
            if module is theirs:
                scheduler.step()
            rates[module].append(optimizer.param_groups[0]["lr"])
            if module is ours:
                scheduler.step()
    assert rates[ours] == pytest.approx(rates[theirs], rel=1e-12)


@pytest.mark.parametrize("name", [name for name in CALLS if name != "LambdaLR"])
def test_a_run_of_lucid_goes_on_here(name, network):
    optimizers = [LucidSGD(network().parameters(), lr=0.2) for _ in range(2)]
    scheduler = getattr(theirs, name)(optimizers[0], **CALLS[name])
    for _ in range(5):
        scheduler.step()
    other = getattr(ours, name)(optimizers[1], **CALLS[name])
    other.load_state_dict(scheduler.state_dict())
    for _ in range(5):
        assert other.get_last_lr() == pytest.approx(scheduler.last_lr, rel=1e-12)
        scheduler.step()
        other.step()


def test_a_network_trains_with_a_warmup(network, train):
    model = network()
    optimizer = Adam(model, lr=0.05)
    scheduler = ours.WarmupCosineLR(optimizer, 2, 6)
    seen = []
    train(model, optimizer, each=lambda: (seen.append(scheduler.last_lr[0]), scheduler.step()))
    assert seen[:3] == [0.0, 0.025, 0.05]
    assert seen == sorted(seen[:3]) + sorted(seen[3:], reverse=True)


def test_after_the_switch_lucids_name_is_ours():
    code = """
import lucid.optim.lr_scheduler as before
import lucidgen
lucidgen.activate()
import lucid.optim.lr_scheduler
from lucid.optim.lr_scheduler import NoamScheduler, OneCycleLR
import lucidgen.optim.lr_scheduler
assert lucid.optim.lr_scheduler is lucidgen.optim.lr_scheduler is not before
lucidgen.deactivate()
import lucid.optim.lr_scheduler
assert lucid.optim.lr_scheduler is before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
