"""An author's own reading of MLX: other ranges, another name, and the layout of its state."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

Built = Callable[[str], ModuleType]

SPEC = """
    '''Momentum whose root is taken.'''
    from lucidgen.spec import Bounds, Eq, OptimizerSpec, grad, hyper, series, sqrt, t, w

    eta = hyper("eta", 0.5, at_least=0, role="rate")
    beta = hyper("beta", 0.5, at_least=0, below=1)
    velocity = series("velocity")
    square = series("square")

    Rooted = OptimizerSpec(
        "Rooted",
        arguments=(eta, beta),
        also_called=("RootedOptimizer",),
        equations=(
            Eq(velocity[t], beta * velocity[t - 1] + grad[t]),
            Eq(square[t], square[t - 1] + grad[t] ** 2),
            Eq(w[t], w[t - 1] - sqrt(velocity[t] / eta) / square[t]),
        ),
    )
    Rooted.dialect(
        "mlx",
        bounds={"eta": Bounds()},
        saved_elsewhere={"mlx": {"v": velocity[t], "s": -eta * square[t]}},
    )
"""


@pytest.fixture(autouse=True)
def uncompiled():
    mx.disable_compile()
    yield
    mx.enable_compile()


def test_the_state_has_the_keys_that_mlx_has_for_the_same_quantities(built: Built) -> None:
    optimizer = built(SPEC).Rooted(dialect="mlx")
    params = optimizer.apply_gradients({"a": [mx.full((2,), 2.0)]}, {"a": [mx.ones(2)]})
    # What MLX keeps in another unit has our key.
    assert dict(tree_flatten(optimizer.state)).keys() == {
        *("step", "learning_rate", "a.0.v", "a.0.square")
    }
    assert optimizer.state["a"][0]["v"].tolist() == [2.0, 2.0]
    assert params["a"][0].tolist() == [0.5, 0.5]


def test_a_range_is_that_of_a_dialect_alone_and_what_it_proves_too(built: Built) -> None:
    cls = built(SPEC).Rooted
    with pytest.raises(ValueError, match="eta must be at least 0"):
        cls(eta=-0.5)
    optimizer = cls(eta=-0.5, dialect="mlx")
    params = optimizer.apply_gradients({"a": mx.full((2,), -2.0)}, {"a": mx.ones(2)})
    assert params["a"].tolist() == [0.5, 0.5]  # eta cannot be taken out of the root there


def test_another_name_is_the_same_class(built: Built) -> None:
    package = built(SPEC)
    assert package.RootedOptimizer is package.Rooted
    assert {"Rooted", "RootedOptimizer"} <= {*package.__all__}
    assert package.RootedOptimizer.__name__ == "Rooted"
