"""The schedulers write what torch's do, step by step, and load what torch's save."""

import json
from pathlib import Path

import numpy as np
import pytest
from schedule_cases import CASES, RATES, ScheduleCase, fingerprint, row, run

from lucidgen import Parameter
from lucidgen.optim import SGD, Adam, lr_scheduler

RECORDED = Path(__file__).parent / "recorded/torch_schedules.npz"
#: Relative to the largest value of a group: torch multiplies its way, 200 roundings at most.
TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def recording():
    with np.load(RECORDED) as archive:
        found = dict(archive)
    about = json.loads(str(found.pop("about")))
    assert about["cases"] == fingerprint(), "record the cases again"
    return found, json.loads(str(found.pop("states"))), about


def optimizer_of(case: ScheduleCase):
    groups = [{"params": [Parameter(np.zeros(1))], "lr": rate} for rate in RATES]
    return Adam(groups) if case.optimizer == "Adam" else SGD(groups, lr=0.1, momentum=0.9)


def close(found, expected):
    largest = np.abs(expected).max(axis=0)
    np.testing.assert_array_less(
        np.abs(found - expected), TOLERANCE * np.broadcast_to(largest, expected.shape)
    )


#: Where torch's line goes on one step after its end, and ours does not.
PAST_THE_END = "one-cycle-linear-to-the-end"
#: Where torch's cycle begins at what another scheduler has noted, and ours at its own base.
ONTO_A_CYCLE = "chain-onto-a-cycle"


@pytest.mark.parametrize("name", CASES)
def test_every_step_is_torchs(name, recording):
    found = np.array(run(CASES[name], lr_scheduler, optimizer_of(CASES[name])))
    expected = recording[0][name]
    assert found.shape == expected.shape
    if name == PAST_THE_END:
        found, expected = found[:-1], expected[:-1]
    if name == ONTO_A_CYCLE:
        found, expected = found[1:], expected[1:]
    close(found, expected)


def test_a_line_of_one_cycle_ends_where_torchs_goes_below_zero(recording):
    expected = recording[0][PAST_THE_END]
    found = run(CASES[PAST_THE_END], lr_scheduler, optimizer_of(CASES[PAST_THE_END]))
    assert max(expected[-1][:2]) < 0
    assert min(expected[-1][2:]) > 0.95
    assert found[-1] == found[-2] == pytest.approx([1.2e-6, 1.2e-6, 0.95, 0.95])


#: Schedulers beside each other have no state in common.
BESIDE = ("together", "swa-after-a-product", "swa-at-once-after-a-cosine")
LOADED = [
    name
    for name, case in CASES.items()
    if not (case.epochs or case.changes or name in (*BESIDE, PAST_THE_END))
]


@pytest.mark.parametrize("name", LOADED)
def test_a_run_of_torch_goes_on_here(name, recording):
    arrays, states, about = recording
    case, saved = CASES[name], states[name]
    optimizer = optimizer_of(case)
    scheduler = case.make(lr_scheduler, optimizer)
    state = counters(saved["scheduler"])
    scheduler.load_state_dict(state)
    rows = [row(optimizer)]
    for call in range(about["saved_at"], case.steps):
        scheduler.step(*(() if case.metric is None else (case.metric(call),)))
        rows.append(row(optimizer))
    close(np.array(rows), arrays[name][about["saved_at"] :])


def counters(state):
    """The saved state with its counters, which JSON does not know."""
    if isinstance(state, dict):
        if set(state) == {"counter"}:
            return dict(state["counter"])
        return {key: counters(value) for key, value in state.items()}
    return [counters(value) for value in state] if isinstance(state, list) else state
