"""Trains one small network on handwritten digits, in Lucid or, where there is none, in MLX.

This module owns the data, the network and the training loop. It knows no optimizer: a caller gives
a function from parameters to an optimizer.
"""

import importlib.util
import itertools
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

SEED = 7
BATCH = 64
TEST = 360
LAYERS = (64, 128, 128, 10)

MakeOptimizer = Callable[[Any], Any]


@dataclass(frozen=True)
class Run:
    """What a training run showed."""

    losses: list[float]  # the mean training loss of each epoch
    accuracy: float  # on the test digits
    step_ms: float  # the median time of optimizer.step() and its evaluation


def has_lucid() -> bool:
    """Tell whether a real Lucid can be imported, not only the namespace of generated optimizers."""
    found = importlib.util.find_spec("lucid")
    if found is None or found.origin is None:
        return False
    try:
        import lucid  # noqa: F401
    except ImportError:
        return False
    return True


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return images and labels to train on, then those to test with."""
    from sklearn.datasets import load_digits  # takes a second to import

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(labels))
    images, labels = images[order] / 16.0, labels[order]
    return images[TEST:], labels[TEST:], images[:TEST], labels[:TEST]


def batches(size: int, epochs: int) -> list[list[np.ndarray]]:
    """Return each epoch's batches of indices, the same for every optimizer."""
    random = np.random.default_rng(SEED)
    cuts = range(BATCH, size, BATCH)
    return [np.split(random.permutation(size), cuts) for _ in range(epochs)]


def train_in_lucid(make: MakeOptimizer, epochs: int, device: str, *, evaluate: bool = True) -> Run:
    """Train in Lucid on NumPy (``cpu``) or on MLX (``gpu``).

    ``evaluate`` says whether the loss is evaluated before ``backward``, as Lucid advises for MLX.
    """
    import lucid
    import mlx.core as mx
    from lucid import nn
    from lucid.nn import functional

    images, labels, test_images, test_labels = digits()
    lucid.random.seed(SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # uninitialised memory is cast; no Metal on this machine
        model = nn.Sequential(
            nn.Linear(LAYERS[0], LAYERS[1]),
            nn.ReLU(),
            nn.Linear(LAYERS[1], LAYERS[2]),
            nn.ReLU(),
            nn.Linear(LAYERS[2], LAYERS[3]),
        ).to(device)
        test_images = lucid.tensor(test_images, device=device)
    optimizer = make(model.parameters())

    losses, times = [], []
    for epoch in batches(len(labels), epochs):
        total = 0.0
        for rows in epoch:
            x = lucid.tensor(images[rows], device=device)
            y = lucid.tensor(labels[rows], device=device)
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(x), y)
            if evaluate and device == "gpu":
                loss.eval()
            loss.backward()
            if device == "gpu":
                mx.eval([parameter.grad for parameter in model.parameters()])
            start = time.perf_counter()
            optimizer.step()
            times.append(time.perf_counter() - start)
            total += float(loss.item()) * len(rows)
        losses.append(total / len(labels))
    scores = np.asarray(model(test_images).data)
    return _run(losses, scores, test_labels, times)


def train_in_mlx(make: MakeOptimizer, epochs: int, device: str) -> Run:
    """Train in ``mlx.nn``; ``device`` is MLX's own choice."""
    import mlx.core as mx
    from mlx import nn

    images, labels, test_images, test_labels = digits()
    mx.random.seed(SEED)
    layers: list[Any] = [nn.Linear(LAYERS[0], LAYERS[1])]
    for inputs, outputs in itertools.pairwise(LAYERS[1:]):
        layers += [nn.ReLU(), nn.Linear(inputs, outputs)]
    model = nn.Sequential(*layers)
    mx.eval(model.parameters())
    optimizer = make(None)
    value_and_grad = nn.value_and_grad(
        model, lambda x, y: nn.losses.cross_entropy(model(x), y, reduction="mean")
    )

    losses, times = [], []
    for epoch in batches(len(labels), epochs):
        total = 0.0
        for rows in epoch:
            x = mx.array(images[rows].astype(np.float32))
            loss, gradients = value_and_grad(x, mx.array(labels[rows]))
            mx.eval(loss, gradients)
            start = time.perf_counter()
            optimizer.update(model, gradients)
            mx.eval(model.parameters(), optimizer.state)
            times.append(time.perf_counter() - start)
            total += float(loss.item()) * len(rows)
        losses.append(total / len(labels))
    scores = np.asarray(model(mx.array(test_images.astype(np.float32))))
    return _run(losses, scores, test_labels, times)


def _run(losses: list[float], scores: np.ndarray, labels: np.ndarray, times: list[float]) -> Run:
    accuracy = float((scores.argmax(axis=1) == labels).mean())
    return Run(losses, accuracy, 1e3 * float(np.median(times)))
