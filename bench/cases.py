"""What is measured: lists of shapes, optimizers and their settings.

Owns the cases. Needs the standard library alone: the workers, which may run under another Python,
import it too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import Any

Shapes = tuple[tuple[int, ...], ...]


def gpt2_small() -> Shapes:
    """The parameters of GPT-2 small (Radford et al. 2019): 148 tensors, 124,439,808 numbers."""
    d = 768
    block: Shapes = (
        *((d,), (d,), (d, 3 * d), (3 * d,), (d, d), (d,)),
        *((d,), (d,), (d, 4 * d), (4 * d,), (4 * d, d), (d,)),
    )
    return ((50257, d), (1024, d), *(block * 12), (d,), (d,))


SHAPES: dict[str, Shapes] = {
    "1 x 10M": ((2_500, 4_000),),
    "200 x 50k": ((200, 250),) * 200,
    "2000 x 1k": ((25, 40),) * 2000,
    "GPT-2 small": gpt2_small(),
}

#: For a run that shows that everything works, and nothing about speed.
QUICK: dict[str, Shapes] = {"1 x 100k": ((250, 400),), "20 x 500": ((20, 25),) * 20}

#: The names of arguments are torch's, or ours where it has no such optimizer; every rival computes
#: the same update, but for those of `OTHERWISE`.
SETTINGS: dict[str, dict[str, Any]] = {
    "AdamW": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2},
    "SGD": {"lr": 1e-3, "momentum": 0.9},
    "RMSprop": {"lr": 1e-3, "alpha": 0.99, "eps": 1e-8},
    "Lion": {"lr": 1e-3, "betas": (0.9, 0.99), "weight_decay": 1e-2},
    "LAMB": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-6, "weight_decay": 1e-2},
    "LARS": {"lr": 1e-1, "momentum": 0.9, "weight_decay": 1e-2, "trust_coefficient": 1e-3},
    "Adafactor": {"lr": 1e-2, "weight_decay": 0.0},
    "Prodigy": {"lr": 1.0, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
}

#: The readings that we take where that of our own class is nobody else's.
DIALECTS = {"Prodigy": "pytorch_optimizer"}

#: Who reads an optimizer in another way: as much work, to other numbers.
OTHERWISE = {
    ("LAMB", "pytorch_optimizer"),
    ("LARS", "pytorch_optimizer"),
    ("LARS", "optax jit"),
    ("Adafactor", "pytorch_optimizer"),
    ("Adafactor", "optax jit"),
    ("Adafactor", "mlx.optimizers eager"),
    ("Adafactor", "mlx.optimizers compiled"),
    ("Prodigy", "optax jit"),
}

#: So many numbers and more are measured for these optimizers alone.
LARGE = 50_000_000
OF_LARGE = ("AdamW", "SGD")


@dataclass(frozen=True)
class Case:
    """One optimizer on one list of shapes.

    `passes` are the loops of a step in C++: how many arrays each reads and writes, as the compiler
    says.
    """

    title: str
    optimizer: str
    shapes: Shapes
    passes: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        return f"{self.optimizer} on {self.title}"

    @property
    def settings(self) -> dict[str, Any]:
        """The optimizer's arguments."""
        return dict(SETTINGS[self.optimizer])

    @property
    def size(self) -> int:
        """How many numbers the parameters have."""
        return sum(map(prod, self.shapes))

    @property
    def dialect(self) -> dict[str, str]:
        """The reading that we take, as an argument of our class."""
        found = DIALECTS.get(self.optimizer)
        return {"dialect": found} if found else {}

    @property
    def arrays(self) -> int:
        """About how many arrays of their size parameters, gradients and states are at most."""
        return 1 + max(reads for reads, _ in self.passes)

    @property
    def traffic(self) -> int:
        """The bytes that a step must move."""
        return 4 * self.size * sum(map(sum, self.passes))

    def as_json(self) -> dict[str, Any]:
        """The fields, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Case:
        """A case from its fields."""
        lists = {name: tuple(map(tuple, found[name])) for name in ("shapes", "passes")}
        return cls(**found | lists)
