"""Transforms of optimizers: what libraries' wrappers compute, and names that meet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.ir.lower import lower
from lucidgen.spec import (
    Eq,
    OptimizerSpec,
    SpecError,
    hyper,
    mean,
    row_mean,
    series,
    step_of,
    t,
    transformed,
    w,
    when,
)
from lucidgen.spec import grad as gradient
from lucidgen.spec import update as step
from lucidgen.spec.check import check, problems_of
from lucidgen.specs.adam import Adam, AdamW
from lucidgen.specs.asgd import ASGD
from lucidgen.specs.lion import Lion
from lucidgen.specs.sgd import SGD
from lucidgen.specs.transforms import (
    CautiousAdamW,
    agc,
    cautious,
    grafted,
    grokfast,
    lookahead,
    orthogonal_gradient,
)
from lucidgen.verify.oracle import Trajectory
from lucidgen.verify.setting import Setting

Built = Callable[[str], ModuleType]
RECORDED = np.load(Path(__file__).with_name("recorded_transforms.npz"))
SPEC = """
    '''What a user makes of transforms.'''
    from lucidgen.specs.adam import AdamW
    from lucidgen.specs.lion import Lion
    from lucidgen.specs.sgd import SGD
    from lucidgen.specs.transforms import (
        agc, cautious, centralized, grokfast, lookahead, orthogonal_gradient
    )

    LookaheadSGD = lookahead(SGD)
    LookaheadAdamW = lookahead(AdamW)
    OrthogonalSGD = orthogonal_gradient(SGD)
    GrokfastAdamW = grokfast(AdamW)
    AGCSGD = agc(SGD)
    CentralizedSGD = centralized(SGD)
    CautiousLion = cautious(Lion)
    Deep = lookahead(cautious(grokfast(AdamW)), name="Deep")
"""


def trained(cls: Any, grads: Any, start: Any, **arguments: Any) -> np.ndarray[Any, Any]:
    """The weights after every step."""
    parameter = Parameter(start.copy())
    optimizer = cls([parameter], **arguments)
    found = []
    for grad in grads:
        parameter.grad = grad.copy()
        optimizer.step()
        found.append(parameter.data.copy())
    return np.stack(found)


@pytest.mark.parametrize(
    ("name", "arguments", "tolerance"),
    [
        ("LookaheadSGD", {"lr": 0.1, "momentum": 0.9, "k": 3, "alpha": 0.25}, 1e-14),
        ("LookaheadAdamW", {"lr": 0.01, "weight_decay": 0.1}, 1e-14),
        ("GrokfastAdamW", {"lr": 0.01, "weight_decay": 0.1, "alpha": 0.9, "lamb": 1.5}, 1e-14),
        ("CautiousLion", {"lr": 0.01, "betas": (0.9, 0.5), "weight_decay": 0.1}, 1e-14),
        # The library rounds the gradient to float32, by half a unit in the last place of at most 4,
        # and a momentum of 0.9 adds up to ten of them.
        ("OrthogonalSGD", {"lr": 0.1, "momentum": 0.9}, 20 * 10 * 0.1 * 4 * 2**-24),
    ],
)
def test_a_transform_follows_the_librarys_wrapper(
    name: str, arguments: dict[str, Any], tolerance: float, built: Built
) -> None:
    found = trained(getattr(built(SPEC), name), RECORDED["grads"], RECORDED["start"], **arguments)
    assert np.abs(found - RECORDED[name]).max() <= tolerance * np.abs(RECORDED[name]).max()


@pytest.mark.parametrize("end", ["", "-1", "-4"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("AGCSGD", {"clipping": 0.3, "least_norm": 0.5}), ("CentralizedSGD", {})],
)
def test_units_of_a_layer_are_those_of_the_library(
    name: str, arguments: dict[str, Any], end: str, built: Built
) -> None:
    """Rows of matrices, the first axis against the others, and vectors as one."""
    start, grads, theirs = (RECORDED[f"{what}{end}"] for what in ("start", "grads", name))
    found = trained(getattr(built(SPEC), name), grads, start, lr=0.1, momentum=0.9, **arguments)
    assert np.abs(found - theirs).max() <= 1e-14 * np.abs(theirs).max()


def test_a_transform_of_units_needs_a_base_that_sees_the_same_matrices() -> None:
    rowwise = OptimizerSpec(
        "Rowwise", (alpha,), (Eq(w[t], w[t - 1] - alpha * row_mean(gradient[t])),)
    )
    assert "reads tensors as matrices='first', and Rowwise as 'last'" in problems(agc(rowwise))
    check(agc(cautious(SGD)))


def test_what_comes_out_is_a_class_like_any_other(built: Built) -> None:
    """Composed transforms: state is saved, found again, and goes on; the arguments are said."""
    cls = built(SPEC).Deep
    start, grads = RECORDED["start"], RECORDED["grads"]
    whole = trained(cls, grads, start, lr=0.05, k=2)
    first = Parameter(start.copy())
    optimizer = cls([first], lr=0.05, k=2)
    for grad in grads[:7]:
        first.grad = grad
        optimizer.step()
    second = Parameter(first.data.copy())
    again = cls([second], lr=0.05, k=2)
    again.load_state_dict(optimizer.state_dict())
    for grad in grads[7:]:
        second.grad = grad
        again.step()
    assert np.array_equal(second.data, whole[-1])
    assert {"exp_avg", "grok_exp_avg", "slow_params"} <= {*again.state[second]}
    assert "Decay rate of the gradient's slow average." in cls.__doc__
    for source in ("1711.05101", "2405.20233", "2411.16085", "1907.08610"):
        assert source in cls.__doc__


def test_a_cautious_step_goes_down_the_gradient_and_farther_there() -> None:
    path = Trajectory(Setting(CautiousAdamW, {"lr": 0.1, "weight_decay": 0.5}), RECORDED["start"])
    plain = Trajectory(Setting(AdamW, {"lr": 0.1, "weight_decay": 0.5}), RECORDED["start"])
    for number, grad in enumerate(RECORDED["grads"][:3]):
        before = np.array(path.w, dtype=float)
        plain.w = path.w
        path.step(grad)
        plain.step(grad)
        decayed = (1 - 0.1 * 0.5) * before
        mine, others = (np.array(p.w, dtype=float) - decayed for p in (path, plain))
        goes_down = others * grad < 0
        assert goes_down.all() == (number == 0)
        farther = grad.size / (goes_down.sum() + 1)
        assert np.allclose(mine, others * goes_down * farther, rtol=1e-12, atol=1e-12)


def test_a_grafted_step_is_as_long_as_the_others() -> None:
    made = grafted(AdamW, SGD)
    assert [a.name for a in made.parameters][-5:-3] == ["magnitude_lr", "magnitude_momentum"]
    hypers = {"lr": 7.0, "magnitude_lr": 0.25, "weight_decay": 0.0}
    path = Trajectory(Setting(made, hypers), RECORDED["start"])
    adam = Trajectory(Setting(AdamW, {"lr": 7.0, "weight_decay": 0.0}), RECORDED["start"])
    for grad in RECORDED["grads"][:3]:
        before = np.array(path.w, dtype=float)
        adam.w = path.w
        path.step(grad)
        adam.step(grad)
        mine, others = (np.array(p.w, dtype=float) - before for p in (path, adam))
        assert np.linalg.norm(mine) == pytest.approx(0.25 * np.linalg.norm(grad))
        assert np.allclose(mine / np.linalg.norm(mine), others / np.linalg.norm(others))


def test_a_grafted_default_is_that_of_the_spec_it_comes_from() -> None:
    named = {a.name: a for a in grafted(SGD, AdamW).parameters}
    assert named["magnitude_weight_decay"].default == 1e-2
    assert named["magnitude_lr"].role == ""


# Equations

x, alpha = series("x"), hyper("alpha", 0.5)
WHOLE = Eq(w[t], w[t - 1] + x[t])


def equations(made: OptimizerSpec) -> dict[str, str]:
    check(made)
    return {str(e.left): str(e.right) for e in made.equations}


@pytest.mark.parametrize(
    ("base", "kept"),
    [
        (Adam, "w[t - 1]"),
        (AdamW, "w[t - 1]*(-lr*weight_decay + 1)"),
        (AdamW.dialects["keras"], "w_decayed[t]"),
        (AdamW.dialects["paper"], "w[t - 1]*(-eta[t]*weight_decay + 1)"),
        (Lion, "w[t - 1]*(-lr*weight_decay + 1)"),
    ],
    ids=lambda given: str(given),
)
def test_a_decay_that_multiplies_the_weights_is_no_part_of_the_step(
    base: OptimizerSpec, kept: str
) -> None:
    made = equations(transformed(base, "half", (Eq(step[t], step[t] / 2),)))
    raw = f"{base.name.lower()}_update[t]"
    assert made["half_update[t]"] == f"{raw}/2"
    assert "w[t" not in made[raw]
    assert made["w[t]"].replace("half_update[t]", "").strip(" +") == kept


def test_what_is_no_multiple_of_the_weights_and_a_step_is_a_step_as_a_whole() -> None:
    prox = OptimizerSpec("Prox", (alpha,), (Eq(w[t], (w[t - 1] - gradient[t]) ** 3),))
    whole = transformed(prox, "half", (Eq(step[t], step[t] / 2),))
    assert whole.equations[0].right == prox.equations[0].right - w[t - 1]
    nested = OptimizerSpec(
        "Nested",
        (alpha,),
        (Eq(w[t], w[t - 1] - alpha * (gradient[t] + when(alpha > 1, 2 * w[t - 1], w[t - 1]))),),
    )
    made = equations(transformed(nested, "half", (Eq(step[t], step[t] / 2),)))
    assert made["nested_update[t]"] == str(-alpha * gradient[t])


def test_a_first_update_of_the_weights_has_a_step_too() -> None:
    first = OptimizerSpec(
        "First", (alpha,), (Eq(w[1], w[0] - gradient[1]), Eq(w[t], w[t - 1] - alpha * gradient[t]))
    )
    made = transformed(first, "double", (Eq(step[t], 2 * step[t]),))
    path = Trajectory(Setting(made), np.array([1.0]))
    for expected in (1 - 2 * 3.0, 1 - 2 * 3.0 - 2 * 0.5 * 3.0):
        path.step(np.array([3.0]))
        assert float(path.w[0]) == expected


def test_all_that_reads_the_gradient_reads_what_goes_on() -> None:
    made = transformed(ASGD, "half", (Eq(gradient[t], gradient[t] / 2),))
    readers = [e for e in made.equations if "grad[t]" in str(e.right).replace("half_grad", "")]
    assert [str(e.left) for e in readers] == ["half_grad[t]"]


def test_names_and_keys_that_meet_are_told_apart() -> None:
    twice = lookahead(lookahead(SGD))
    assert [a.name for a in twice.parameters][-4:] == [
        "k",
        "alpha",
        "lookahead_k",
        "lookahead_alpha",
    ]
    assert [s.saved_as for s in twice.states][-2:] == ["slow_params", "lookahead_slow"]
    thrice = lookahead(twice)
    check(thrice)
    assert [a.name for a in thrice.parameters][-1] == "lookahead_alpha_2"
    lower(thrice)


def test_the_order_of_transforms_is_that_of_the_calls() -> None:
    inner = equations(cautious(grokfast(SGD)))
    assert "grad[t]" in inner["aligned[t]"]
    assert "grokfast_grad" not in inner["aligned[t]"], "the gradient that the whole is given"
    outer = equations(grokfast(cautious(SGD)))
    assert "grokfast_grad[t]" in outer["aligned[t]"]


def test_arguments_that_only_other_readings_have_are_left_out() -> None:
    assert "eps_root" not in {a.name for a in CautiousAdamW.parameters}
    assert cautious(AdamW.dialects["keras"]).defaults["weight_decay"] == 4e-3


def problems(made: OptimizerSpec) -> str:
    return "\n".join(map(str, problems_of(made)))


def test_a_transform_that_changes_nothing_is_refused() -> None:
    said = problems(transformed(SGD, "idle", (Eq(x[t], step[t]),)))
    assert "the transform 'idle' changes nothing of SGD" in said
    assert "test_transforms.py" in said or "Eq(update[t], ...)" in said


def test_an_optimizer_has_no_step_of_its_own_to_read() -> None:
    reads = OptimizerSpec("Reads", (alpha,), (Eq(w[t], w[t - 1] + alpha * step[t]),))
    defines = OptimizerSpec("Defines", (alpha,), (Eq(step[t], alpha * gradient[t]), WHOLE))
    for made in (reads, defines):
        assert "update is what an optimizer does, for transforms of it" in problems(made)


def test_a_remainder_is_of_what_a_step_has_once() -> None:
    made = OptimizerSpec("Odd", (alpha,), (Eq(w[t], w[t - 1] - alpha * (gradient[t] % 2)),))
    assert "Mod(grad[t], 2) is of a per-element quantity" in problems(made)


@pytest.mark.parametrize(
    "given",
    [
        {"equations": Eq(step[t], 0)},
        {"equations": (1,)},
        {"equations": (), "word": 5},
        {"equations": (), "arguments": alpha},
    ],
)
def test_what_is_no_tuple_of_equations_is_a_type_error(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"must be|no equation"):
        transformed(SGD, **{"word": "odd", **given})


def test_a_problem_of_the_base_is_a_problem_of_what_is_made_of_it() -> None:
    wrong = SGD.variant("Wrong", replace=(Eq(x[t], 1),))
    with pytest.raises(SpecError, match=r"cannot replace x\[t\]"):
        check(transformed(wrong, "half", (Eq(step[t], step[t] / 2),)))


def test_a_step_beside_another_has_no_names_of_its_own_twice() -> None:
    other = step_of(Adam, "other")
    assert str(other.update) == "other_update"
    assert {a.name for a in other.arguments} >= {"other_lr", "other_betas", "other_eps"}
    equation = other.equations[-1]
    assert "other_lr" in str(equation.right)
    assert "other_betas2" not in str(equation.right)


def test_the_mean_of_a_gradient_can_be_taken_from_it() -> None:
    made = transformed(SGD, "central", (Eq(gradient[t], gradient[t] - mean(gradient[t])),))
    path = Trajectory(Setting(made, {"lr": 1.0}), np.array([0.0, 0.0]))
    path.step(np.array([1.0, 2.0]))
    assert path.w.tolist() == [0.5, -0.5]


def test_an_orthogonal_gradient_is_as_long_as_before_and_orthogonal_to_the_weights() -> None:
    start, grad = np.array([3.0, 4.0]), np.array([2.0, -1.0])
    path = Trajectory(Setting(orthogonal_gradient(SGD), {"lr": 1.0}), start)
    path.step(grad)
    moved = np.array(path.w, dtype=float) - start
    assert moved @ start == pytest.approx(0, abs=1e-14)
    assert np.linalg.norm(moved) == pytest.approx(np.linalg.norm(grad))
