"""Names that generated code uses itself: an author's optimizer has them, and computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim.lr_scheduler import StepLR

Built = Callable[[str], ModuleType]

SPEC = '''
    """An optimizer, and the same under names that everybody has taken."""
    from lucidgen.spec import Eq, OptimizerSpec, flag, grad, hyper, series, sqrt, t, w, when

    def made(name, m, s, b, q, lr, h, g, f, pair, c, d):
        m, s, b, q = map(series, (m, s, b, q))
        lr = hyper(lr, 0.1, at_least=0, role="rate")
        h, g, f = hyper(h, 0.5), hyper(g, 0.1, special=0, role="decay"), flag(f, True)
        c, d = pair = hyper(pair, (0.5, 0.25), names=(c, d))
        return OptimizerSpec(name, (lr, h, g, f, pair), (
            Eq(m[1], grad[1]),
            Eq(m[t], h * m[t - 1] + grad[t]),
            Eq(s[0], sqrt(h) + c),
            Eq(s[t], s[t - 1] * c + sqrt(t)),
            Eq(b[t], when(f, m[t] + d * b[t - 1], b[t - 1] / 2 + grad[t])),
            Eq(q[t], when(s[t] > 2, sqrt(abs(b[t])), b[t]) + g * w[t - 1]),
            Eq(w[t], w[t - 1] - lr * q[t] / s[t]),
        ), requires=((h < 1, "too large"),), saved_elsewhere={"mlx": {"v": 2 * h * m[t]}})

    Plain = made("Plain", *"m s b q lr h g f pair c d".split())
    Taken = made("Taken", *"np work1 register self sum mask float true mx double int".split())
    # A ligature, a script letter and decomposed ones; the rest NFKC leaves as it is.
    letters = "\\ufb01 \\u2113 e\\u0301 \\u03b2 \\u03b7 \\u4e2d \\u00df \\u03a9 a\\u0308 \\u03b1 g"
    Letters = made("A\\u0308ther", *letters.split())
'''

#: What m, b, lr, h, g and f of the plain one are called in each class.
CLASSES = {
    "Plain": ("m", "b", "lr", "h", "g", "f"),
    "Taken": ("np", "register", "sum", "mask", "float", "true"),
    "\u00c4ther": ("fi", "\u00e9", "\u03b7", "\u4e2d", "\u00df", "\u03a9"),
}
STEPS = 4


def gradients() -> list[Any]:
    return list(np.random.default_rng(0).standard_normal((STEPS, 5)))


def trained(built: Built, name: str, **arguments: Any) -> tuple[Any, Parameter, Any]:
    """A class of the spec after some steps with a scheduler: weights, states and optimizer."""
    array = mx.array if arguments.get("kernel") == "mlx" else np.array
    parameter = Parameter(array([1.0, -2.0, 3.0, 0.0, -0.5]))
    optimizer = getattr(built(SPEC), name)([("x", parameter)], **arguments)
    scheduler = StepLR(optimizer, step_size=2)
    for gradient in gradients():
        parameter.grad = array(gradient)
        optimizer.step()
        scheduler.step()
    return np.array(parameter.data), parameter, optimizer


@pytest.mark.parametrize(
    ("name", "kernel"),
    [*(("Taken", kernel) for kernel in ("numpy", "mlx", "cpp")), ("\u00c4ther", "numpy")],
)
def test_names_that_are_taken_compute_the_same(built: Built, name: str, kernel: str) -> None:
    reference = "numpy" if kernel == "cpp" else kernel
    expected, plain, model = trained(built, "Plain", kernel=reference)
    found, parameter, optimizer = trained(built, name, kernel=kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-6 if kernel == "mlx" else 1e-14)
    m, b, lr, *_ = CLASSES[name]
    mine, other = optimizer.state[parameter], model.state[plain]
    for key, theirs in ((m, "m"), (b, "b")):
        np.testing.assert_allclose(np.array(mine[key]), np.array(other[theirs]), rtol=1e-6)
    assert optimizer.param_groups[0][lr] == optimizer.learning_rate == pytest.approx(1e-3)


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_and_checkpoints_have_the_authors_names(built: Built, name: str) -> None:
    m, b, lr, h, g, f = CLASSES[name]
    given = {lr: 0.5, h: 0.25, g: 0.0, f: False}
    _, _, optimizer = trained(built, name, **given, no_decay="*", kernel="numpy")
    saved = optimizer.state_dict()
    assert given.items() - {(lr, 0.5)} <= saved["param_groups"][0].items()
    assert b in saved["state"][0]
    assert m not in saved["state"][0]  # only where the flag is set
    again = getattr(built(SPEC), name)([("x", Parameter(np.zeros(5)))])
    again.load_state_dict(saved)
    assert again.param_groups[0][h] == 0.25
    with pytest.raises(ValueError, match="too large"):
        getattr(built(SPEC), name)([("x", Parameter(np.zeros(5)))], **{h: 2.0})


@pytest.mark.parametrize("name", CLASSES)
def test_names_that_are_taken_are_no_trouble_in_a_captured_step(built: Built, name: str) -> None:
    optimizer = getattr(built(SPEC), name)(learning_rate=0.1)
    tree = {"x": mx.array([1.0, -2.0, 3.0, 0.0, -0.5])}
    optimizer.init(tree)
    for gradient in gradients():
        tree = optimizer.apply_gradients({"x": mx.array(gradient)}, tree)
    parameter = Parameter(np.array([1.0, -2.0, 3.0, 0.0, -0.5]))
    plain = built(SPEC).Plain([parameter], kernel="numpy")
    for gradient in gradients():
        parameter.grad = gradient
        plain.step()
    np.testing.assert_allclose(np.array(tree["x"]), parameter.data, rtol=1e-5)


def test_a_kernel_has_the_letters_names(built: Built) -> None:
    folder = Path(next(iter(built(SPEC).__path__)))
    text = (folder / "_metal/mine_step.h").read_text(encoding="utf-8")
    assert "inline void ather_step(" in text
    assert "float beta_scale,  // \u03b2_scale in the equations" in text
    assert "bool omega,  // \u03a9 in the equations" in text or "bool omega)" in text
