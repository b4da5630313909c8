"""A small network in the real Lucid, and a loop to train it, for the tests of this folder."""

import lucid
import mlx.core as mx
import numpy as np
import pytest
from lucid import nn

assert lucid.__file__ is not None, "these tests need the real Lucid, not the namespace package"


class Net(nn.Module):
    """Two layers; ``tied`` lets them share one square weight."""

    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        if tied:
            self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(lucid.tanh(self.first(x)))


@pytest.fixture
def network():
    """Return a function that makes the network, always with the same weights."""

    def make(device="cpu", tied=False):
        lucid.random.seed(3)
        model = Net(tied)
        random = np.random.default_rng(5)
        seen = []
        for parameter in model.parameters():
            if not any(parameter is other for other in seen):
                seen.append(parameter)
                parameter.data = random.normal(size=parameter.shape).astype(np.float32)
        return model.to(device)

    return make


@pytest.fixture
def train():
    """Return a function that takes steps ``start`` to ``stop`` with one or more optimizers."""

    def run(model, *optimizers, start=0, stop=6, each=None):
        for step in range(start, stop):
            device = "gpu" if isinstance(model.first.weight.data, mx.array) else "cpu"
            random = np.random.default_rng(100 + step)
            x = lucid.tensor(random.normal(size=(8, 4)).astype(np.float32), device=device)
            for parameter in model.parameters():
                parameter.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.eval()
            loss.backward()
            optimizers[step % len(optimizers)].step()
            if each is not None:
                each()

    return run


@pytest.fixture
def weights():
    """Return a function that copies a model's weights out, as NumPy arrays by name."""

    def of(model):
        found = model.state_dict(keep_vars=True)
        return {name: np.array(value.data) for name, value in found.items()}

    return of


@pytest.fixture
def same():
    """Return a function that compares two models' weights: bit for bit, or within a tolerance."""

    def check(one, other, tolerance=0.0):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=tolerance, err_msg=name)

    return check
