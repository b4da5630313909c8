"""Random schedulers, saved and loaded at random steps, with groups that come at random steps."""

import copy
import json
import pickle

import numpy as np
import pytest
from random_schedulers import Draw, new_group, optimizer_with

SEEDS = [pytest.param(seed, marks=() if seed < 25 else pytest.mark.complete) for seed in range(400)]
FIRST = [(0.1, 0.02), (0.004, 0.3)]
LATER = [(0.05, 0.1), (0.7, 0.004)]


def driven(optimizer):
    """What schedulers drive of each group."""
    return [
        [g["lr"], g["weight_decay"], g["momentum"] if "momentum" in g else g["betas"][0]]
        for g in optimizer.param_groups
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_happens_on_the_way_changes_no_value(seed):
    draw = Draw(seed)
    adam = bool(draw.whole(0, 2))
    make, text = draw.maker()
    plain = optimizer_with([*FIRST, *LATER], adam)  # all groups, and nothing happens
    reference = make(plain)
    optimizer = optimizer_with(FIRST, adam)
    scheduler = make(optimizer)
    arrivals = sorted(draw.whole(0, 30) for _ in LATER)
    came = []
    for step in range(45):
        for group in LATER[len(came) : sum(arrival <= step for arrival in arrivals)]:
            new_group(optimizer, *group)
            came.append(group)
        event = draw.random.random()
        if event < 0.15 and min(map(min, driven(optimizer))) >= 0:  # others are refused
            optimizer, scheduler = saved_and_loaded(make, optimizer, scheduler, came, adam)
        elif event < 0.2:
            optimizer, scheduler = copied(optimizer, scheduler, text)
        elif event < 0.25:
            driven_before = driven(optimizer)
            scheduler.state_dict()
            assert driven(optimizer) == driven_before
        if event > 0.95:
            goal = draw.whole(0, 45)
            reference.step(goal)
            scheduler.step(goal)
        elif event > 0.85:
            factor = draw.number(0.5, 2)
            for groups in (plain.param_groups[: len(FIRST)], optimizer.param_groups[: len(FIRST)]):
                for group in groups:
                    group["lr"] *= factor
            reference.step()
            scheduler.step()
        else:
            reference.step()
            scheduler.step()
        count = len(optimizer.param_groups)
        np.testing.assert_allclose(
            driven(optimizer),
            driven(plain)[:count],
            rtol=1e-9,
            atol=1e-15,
            err_msg=f"{step}: {text}",
        )
        np.testing.assert_allclose(
            scheduler.get_last_lr(), reference.get_last_lr()[:count], 1e-9, 1e-15
        )


def saved_and_loaded(make, optimizer, scheduler, came, adam):
    """Another optimizer and scheduler, with groups from the start, that load what these save."""
    groups = [*FIRST, *came]
    other = optimizer_with(groups, adam)
    made = make(other)
    made.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert driven(other) == driven(optimizer)
    return other, made


def copied(optimizer, scheduler, text):
    """A deep copy of both, or a pickle where there are no functions without names."""
    pair = (optimizer, scheduler)
    return copy.deepcopy(pair) if "lambda" in text else pickle.loads(pickle.dumps(pair))
