"""How optimizers are related: where one becomes another, and what each one cannot see."""

import itertools
import math
from typing import Any

import numpy as np
import pytest

from lucidgen import Parameter, optim
from lucidgen.spec import Eq, t
from lucidgen.specs.adabelief import AdaBelief
from lucidgen.specs.adam import Adam, beta2, g, m, v
from lucidgen.verify.oracle import Trajectory
from lucidgen.verify.setting import Setting

Array = np.ndarray[Any, Any]
UNIT = 2.0**-53


def gradients(steps: int = 6) -> list[Array]:
    random = np.random.default_rng(7)
    return [random.standard_normal(5) * 10.0 ** (step % 3 - 1) for step in range(steps)]


def run(cls: Any, grads: list[Array], **chosen: Any) -> tuple[list[Array], list[dict[str, Any]]]:
    """The parameter and its states after each step."""
    parameter = Parameter(np.linspace(-1.0, 2.0, 5))
    optimizer = cls([parameter], **chosen)
    places, states = [], []
    for grad in grads:
        parameter.grad = grad
        optimizer.step()
        places.append(parameter.data.copy())
        states.append({k: np.copy(x) for k, x in optimizer.state[parameter].items()})
    return places, states


def assert_same_path(one: list[Array], other: list[Array]) -> None:
    """Equal but for the rounding of at most 20 operations a step, none of which cancels much."""
    for step, (a, b) in enumerate(zip(one, other, strict=True), start=1):
        assert np.abs(a - b).max() <= 20 * step * UNIT * max(1.0, np.abs(b).max())
    assert np.abs(one[-1] - one[0]).min() > 0


@pytest.mark.parametrize(
    ("cls", "chosen"),
    [
        (optim.Lion, {"weight_decay": 0.1}),
        (optim.SignSGD, {}),
        (optim.SignSGD, {"momentum": 0.9}),
    ],
)
def test_the_size_of_gradients_makes_no_difference_to_signs(
    cls: Any, chosen: dict[str, Any]
) -> None:
    small = [2.0**-30 * grad for grad in gradients()]
    assert np.array_equal(run(cls, gradients(), **chosen)[0], run(cls, small, **chosen)[0])


def test_every_element_moves_by_lr_under_lion() -> None:
    places, _ = run(optim.Lion, gradients(), lr=0.25)
    for before, after in itertools.pairwise(places):
        np.testing.assert_allclose(np.abs(after - before), 0.25, rtol=1e-14)


def test_signsgd_keeps_no_state_without_momentum() -> None:
    assert not run(optim.SignSGD, gradients())[1][-1]


def test_adabelief_is_adam_about_the_moving_average() -> None:
    centred = Adam.variant(
        "Centred", replace=(Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * (g[t] - m[t]) ** 2),)
    )
    hypers = {"eps": 0.0, "lr": 0.1}
    one, other = (Trajectory(Setting(s, hypers), np.ones(5)) for s in (centred, AdaBelief))
    for grad in gradients(3):
        one.step(grad)
        other.step(grad)
        assert max(abs(a - b) for a, b in zip(one.w, other.w, strict=True)) < 1e-40


def test_qhadam_whose_nus_are_one_is_adam() -> None:
    chosen = {"lr": 0.1, "weight_decay": 0.1}
    ours, states = run(optim.QHAdam, gradients(), nus=(1.0, 1.0), **chosen)
    adam, adam_states = run(optim.Adam, gradients(), **chosen)
    assert_same_path(ours, adam)
    assert states[-1].keys() == adam_states[-1].keys()


def test_qhadam_whose_nus_are_zero_divides_the_gradient_by_its_size() -> None:
    places, _ = run(optim.QHAdam, gradients(), lr=0.1, nus=(0.0, 0.0), eps=0.0)
    signs = np.cumsum([-0.1 * np.sign(grad) for grad in gradients()], axis=0)
    assert_same_path(places, list(np.linspace(-1.0, 2.0, 5) + signs))


def test_the_two_readings_of_qhadam_take_the_same_steps() -> None:
    chosen = {"lr": 0.1, "nus": (0.7, 0.9), "betas": (0.9, 0.99)}
    library = run(optim.QHAdam, gradients(), dialect="pytorch_optimizer", **chosen)[0]
    assert_same_path(library, run(optim.QHAdam, gradients(), **chosen)[0])


def test_aggmo_with_one_beta_is_sgd_with_momentum() -> None:
    ours, _ = run(optim.AggMo, gradients(), lr=0.1, betas=(0.9, 0.9, 0.9), weight_decay=0.1)
    sgd, _ = run(optim.SGD, gradients(), lr=0.1, momentum=0.9, weight_decay=0.1)
    assert_same_path(ours, sgd)


def test_aggmo_keeps_no_velocity_of_beta_zero() -> None:
    assert sorted(run(optim.AggMo, gradients())[1][-1]) == ["momentum_buffer2", "momentum_buffer3"]


@pytest.mark.parametrize("dialect", ["paper", "pytorch_optimizer"])
def test_the_second_moment_of_yogi_changes_by_a_part_of_the_square(dialect: str) -> None:
    _, states = run(optim.Yogi, gradients(), betas=(0.9, 0.99), dialect=dialect)
    before = np.full(5, 1e-6)
    for grad, state in zip(gradients(), states, strict=True):
        after = state["exp_avg_sq"]
        # Each of the two numbers is rounded, and the part of the square three times.
        rounding = 4 * UNIT * np.maximum(before, after)
        assert np.all(np.abs(np.abs(after - before) - (1 - 0.99) * grad**2) <= rounding)
        before = after


@pytest.mark.parametrize("kernel", ["numpy", "cpp"])
def test_adopt_stays_in_the_first_step_and_is_bounded_in_the_second(kernel: str) -> None:
    grads = [np.full(5, 1e-3), np.full(5, 1e3)]
    places, states = run(optim.ADOPT, grads, lr=0.5, weight_decay=0.1, kernel=kernel)
    assert np.array_equal(places[0], np.linspace(-1.0, 2.0, 5))
    assert not np.any(states[0]["exp_avg"])
    np.testing.assert_allclose(places[1] - places[0], -0.5 * (1 - 0.9), rtol=1e-13)


def test_ademamix_without_the_slow_average_is_adamw() -> None:
    ours, _ = run(optim.AdEMAMix, gradients(), lr=0.1, alpha=0.0, weight_decay=0.1)
    assert_same_path(ours, run(optim.AdamW, gradients(), lr=0.1, weight_decay=0.1)[0])


def test_the_half_life_of_ademamix_grows_linearly_to_that_of_beta3() -> None:
    rule = optim.AdEMAMix.rules["paper"]
    given = {"lr": 0.1, "beta1": 0.9, "beta2": 0.999, "beta3": 0.9999, "alpha": 8.0, "eps": 1e-8}
    given |= {"alpha_warmup": 40.0, "beta3_warmup": 100.0, "weight_decay": 0.0}
    found = [rule.scalars(t=step, **given) for step in (25, 50, 75, 99, 100, 1000)]
    lives = [math.log(0.5) / math.log(values["beta3_now"]) for values in found]
    begin, end = (math.log(0.5) / math.log(beta) for beta in (0.9, 0.9999))
    expected = [begin + part * (end - begin) for part in (0.25, 0.5, 0.75, 0.99, 1, 1)]
    assert lives == pytest.approx(expected, rel=1e-9)
    assert found[-1]["beta3_now"] == 0.9999


def test_the_readings_of_madgrad_differ_by_eps_in_the_learning_rate() -> None:
    chosen = {"eps": 1e-3, "weight_decay": 0.1}
    library = run(optim.MADGRAD, gradients(), lr=0.125, dialect="pytorch_optimizer", **chosen)[0]
    assert_same_path(library, run(optim.MADGRAD, gradients(), lr=0.126, **chosen)[0])


def test_adan_sees_no_difference_in_constant_gradients() -> None:
    _, states = run(optim.Adan, [np.ones(5)] * 4)
    assert not np.any(states[-1]["exp_avg_diff"])
    assert np.array_equal(states[-1]["previous_grad"], -np.ones(5))


def test_sparse_adam_of_full_gradients_is_adam_with_eps_before_the_correction() -> None:
    sparse, _ = run(optim.SparseAdam, gradients(), eps=1e-3)
    assert_same_path(sparse, run(optim.Adam, gradients(), eps=1e-3, dialect="lucid2")[0])


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 2), (6,)])
def test_sparse_adam_leaves_alone_what_has_no_gradient_and_moves_where_it_is_nan(
    shape: tuple[int, ...],
) -> None:
    parameter = Parameter(np.ones(shape))
    optimizer = optim.SparseAdam([parameter])
    parameter.grad = np.ones(shape)
    optimizer.step()
    before = parameter.data.copy()
    moments = [optimizer.state[parameter][key].copy() for key in ("exp_avg", "exp_avg_sq")]
    parameter.grad = np.zeros(shape)
    parameter.grad[1] = np.nan
    optimizer.step()
    assert np.array_equal(parameter.data[0], before[0])
    assert np.isnan(parameter.data[1]).all()
    after = [optimizer.state[parameter][key] for key in ("exp_avg", "exp_avg_sq")]
    assert all(np.array_equal(x[0], y[0]) for x, y in zip(after, moments, strict=True))


def test_adam_mini_whose_blocks_have_one_element_is_adamw() -> None:
    def places(cls: Any) -> list[Array]:
        parameter, found = Parameter(np.linspace(-1.0, 2.0, 5)[:, None]), []
        optimizer = cls([parameter], weight_decay=0.1)
        for grad in gradients():
            parameter.grad = grad[:, None]
            optimizer.step()
            found.append(parameter.data.copy())
        return found

    assert_same_path(places(optim.AdamMini), places(optim.AdamW))


def test_adamp_without_invariant_weights_is_adamw_and_sgdp_is_sgd() -> None:
    chosen = {"weight_decay": 0.1, "eps": 1e-3}
    adamp, _ = run(optim.AdamP, gradients(), delta=0.0, **chosen)
    assert_same_path(adamp, run(optim.AdamW, gradients(), **chosen)[0])
    sgdp, _ = run(optim.SGDP, gradients(), delta=0.0, lr=0.1)
    assert_same_path(sgdp, run(optim.SGD, gradients(), lr=0.1)[0])


def test_steps_of_adamp_stay_at_right_angles_to_invariant_weights() -> None:
    random = np.random.default_rng(3)
    for delta, axis in ((10.0, 1), (0.0, None)):
        start = random.standard_normal((3, 4))
        parameter = Parameter(start.copy())
        parameter.grad = random.standard_normal((3, 4))
        optim.AdamP([parameter], lr=0.1, delta=delta).step()
        along = np.abs(((parameter.data - start) * start).sum(axis))
        assert (along.max() < 1e-8) == (axis == 1)


def test_sgdsai_scales_by_the_first_gradients_signal_to_noise_ratio() -> None:
    grads = gradients()
    _, states = run(optim.SGDSaI, grads, eps=0.0)
    expected = np.linalg.norm(grads[0]) / np.std(grads[0], ddof=1)
    assert [state["gsnr"] for state in states] == pytest.approx([expected] * len(grads))


def test_adams_divides_by_its_last_momentum_and_its_gradient() -> None:
    w, m = np.linspace(-1.0, 2.0, 5), np.zeros(5)
    expected = []
    for grad in gradients():
        nu = 0.9 * m**2 + (1 - 0.9) * grad**2
        m = 0.8 * m + (1 - 0.8) * grad
        w = w - 0.01 * (0.1 * w + m / (np.sqrt(nu) + 1e-3))
        expected.append(w)
    given = {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}
    places, states = run(optim.AdamS, gradients(), **given)
    assert_same_path(places, expected)
    assert set(states[0]) == {"exp_avg"}


def test_sm3_of_a_vector_is_adagrad() -> None:
    sm3, _ = run(optim.SM3, gradients(), lr=0.1)
    assert_same_path(sm3, run(optim.Adagrad, gradients(), lr=0.1, eps=0.0)[0])
