"""The dialect "lucid2" does what lucid-dl 2.9.0 does, its defects included."""

from __future__ import annotations

import pytest
from cases import CASES, RESUME_AT, fingerprint
from compare import FLOAT32, FLOAT64
from recording import Recording
from replay import NOT_0D, assert_same, mlx32, numpy32, numpy64, resume, run, saved_dict
from sampling import one_of_each
from tables import claimed

LUCID = Recording("lucid2")
LUCID_CASES = {name: CASES[name] for name in LUCID.cases}
# Lucid keeps these states and never writes to them; ours are a number and nothing at all.
NEVER_WRITTEN = ("step_size", "max_exp_avg_sq")
CLASSES = (
    *("SGD-momentum=0.9", "Adam", "AdamW-amsgrad", "NAdam-weight_decay=0.1", "RAdam"),
    *("Adamax", "ASGD-momentum=0.9", "Adagrad", "Adadelta", "RMSprop-centered", "Rprop-narrow"),
)


def test_recorded_from_these_cases() -> None:
    assert LUCID.about == {
        "library": "lucid2",
        "version": "2.9.0",
        "cases": fingerprint({n: CASES[n] for n in LUCID.cases}),
    }
    assert {CASES[name].optimizer for name in LUCID.cases} == {
        case.optimizer for case in CASES.values()
    }


@pytest.mark.parametrize("name", LUCID.cases)
def test_numpy_float64(name: str) -> None:
    case = CASES[name]
    ours = run(case, numpy64, NOT_0D, dialect="lucid2", kernel="numpy")
    bound = claimed(case.optimizer, "lucid2")
    assert_same(ours, LUCID, case, bound, NOT_0D, ignored=NEVER_WRITTEN)


@pytest.mark.complete
@pytest.mark.parametrize("name", LUCID.cases)
def test_loops_in_float64(name: str) -> None:
    case = CASES[name]
    ours = run(case, numpy64, NOT_0D, dialect="lucid2", kernel="cpp")
    assert_same(ours, LUCID, case, FLOAT64, NOT_0D, ignored=NEVER_WRITTEN)


@pytest.mark.parametrize("name", CLASSES)
def test_numpy_float32(name: str) -> None:
    case = CASES[name]
    ours = run(case, numpy32, NOT_0D, dialect="lucid2")
    assert_same(ours, LUCID, case, FLOAT32, NOT_0D, ignored=NEVER_WRITTEN)


@pytest.mark.parametrize("kernel", ["mlx", pytest.param("cpp", marks=pytest.mark.complete)])
@pytest.mark.parametrize("name", CLASSES)
def test_mlx_not_compiled(name: str, kernel: str, uncompiled: None) -> None:
    case = CASES[name]
    ours = run(case, mlx32, NOT_0D, dialect="lucid2", kernel=kernel)
    assert_same(ours, LUCID, case, FLOAT32, NOT_0D, ignored=NEVER_WRITTEN)


@pytest.mark.parametrize("name", one_of_each(LUCID_CASES))
def test_resumes_a_saved_run(name: str) -> None:
    case, held = CASES[name], LUCID.states(name, RESUME_AT)
    saved = saved_dict(LUCID, case, NOT_0D)
    ours = resume(case, numpy64, held, saved, NOT_0D, dialect="lucid2")
    assert_same(ours, LUCID, case, FLOAT64, NOT_0D, RESUME_AT, NEVER_WRITTEN)
