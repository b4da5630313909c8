"""The reading of an author's own optimizer is its own; what was saved under "torch" still loads."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen import Parameter
from lucidgen.optim import Adam

Built = Callable[[str], ModuleType]

SPEC = """
    '''Three of an author's own, and one that is torch's.'''
    from lucidgen.spec import Eq, OptimizerSpec, t, w
    from lucidgen.specs.adam import Adam, lr, m_hat
    from lucidgen.specs.sgd import SGD

    Derived = Adam.variant("Derived", replace=(Eq(w[t], w[t - 1] - lr * m_hat[t]),))
    Plain = OptimizerSpec("Plain", arguments=SGD.arguments, equations=SGD.equations)
    Both = SGD.variant("Both")
    Both.dialect("torch")
    Torchs = SGD.variant("Torchs", reading="torch")
"""


def made(built: Built, name: str, **arguments: Any) -> Any:
    """An optimizer after a step."""
    w = Parameter(np.ones(2))
    w.grad = np.ones(2)
    optimizer = getattr(built(SPEC), name)([("w", w)], lr=0.1, **arguments)
    optimizer.step()
    return optimizer


def test_what_an_author_writes_does_not_claim_to_be_torchs(built: Built) -> None:
    package = built(SPEC)
    for name in ("Derived", "Plain"):
        assert list(getattr(package, name).rules) == ["own"]
        assert 'dialect : {"own"}, default "own"' in getattr(package, name).__doc__
        assert made(built, name).dialect == made(built, name).state_dict()["dialect"] == "own"


def test_a_spec_can_say_whose_reading_it_is(built: Built) -> None:
    assert list(built(SPEC).Torchs.rules) == ["torch"]
    assert next(iter(Adam.rules)) == "torch"


@pytest.mark.parametrize("name", ["Derived", "Plain"])
def test_a_checkpoint_from_when_it_was_called_torch_loads(built: Built, name: str) -> None:
    first, second = made(built, name), made(built, name)
    first.step()
    saved = {**first.state_dict(), "dialect": "torch"}
    second.load_state_dict(saved)
    assert pickle.dumps(second.state_dict()) == pickle.dumps(first.state_dict())
    assert saved["dialect"] == "torch"


def test_a_file_from_when_it_was_called_torch_loads(built: Built, tmp_path: Any) -> None:
    first = made(built, "Plain")
    first.dialect = "torch"  # as it was
    first.save(tmp_path / "saved.safetensors")
    second = made(built, "Plain")
    second.load(tmp_path / "saved.safetensors")
    assert second.dialect == "own"


@pytest.mark.parametrize("tree", [False, True])
def test_a_pickle_from_when_it_was_called_torch_goes_on(built: Built, tree: bool) -> None:
    if tree:
        optimizer = built(SPEC).Plain(lr=0.1)
        optimizer.init({"w": mx.ones(2)})
    else:
        optimizer = made(built, "Plain")
    optimizer.__dict__["dialect"] = "torch"
    found = pickle.loads(pickle.dumps(optimizer))
    assert found.dialect == "own"
    if tree:
        after = found.apply_gradients({"w": mx.ones(2)}, {"w": mx.ones(2)})
        np.testing.assert_allclose(np.array(after["w"]), 0.9)
    else:
        found.step()


def test_a_script_that_names_torch_means_its_own(built: Built) -> None:
    assert made(built, "Plain", dialect="torch").dialect == "own"
    with pytest.raises(ValueError, match="Plain: no dialect 'torhc'"):
        made(built, "Plain", dialect="torhc")


def test_a_reading_that_is_called_torch_is_meant_by_torch(built: Built) -> None:
    assert made(built, "Both").dialect == "own"
    assert made(built, "Both", dialect="torch").dialect == "torch"
    saved = made(built, "Both", dialect="torch").state_dict()
    with pytest.raises(ValueError, match="saved under the dialect 'torch', this optimizer is of"):
        made(built, "Both").load_state_dict(saved)
