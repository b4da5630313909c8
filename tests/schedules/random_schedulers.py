"""Random schedulers, compositions included, and random things that happen to them.

Owns what is drawn. A maker makes one scheduler of an optimizer as often as it is called; what the
numbers must be is for the tests to say.
"""

from __future__ import annotations

import numpy as np

from lucidgen import Parameter
from lucidgen.optim import SGD, Adam, lr_scheduler

HYPERS = ("lr", "lr", "lr", "weight_decay")


def optimizer_with(groups, adam=False):
    """An optimizer with a group for each pair of a rate and a weight decay."""
    found = [
        {"params": [Parameter(np.zeros(1))], "lr": lr, "weight_decay": decay}
        for lr, decay in groups
    ]
    return Adam(found) if adam else SGD(found, momentum=0.9)


def new_group(optimizer, lr, decay):
    """Add a group."""
    optimizer.add_param_group({"params": [Parameter(np.zeros(1))], "lr": lr, "weight_decay": decay})


class Draw:
    """Draws makers of schedulers from a seed."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def number(self, low, high):
        return float(self.random.uniform(low, high))

    def whole(self, low, high):
        return int(self.random.integers(low, high))

    def maker(self, depth=2):
        """A function from an optimizer to a scheduler, and how it reads."""
        if depth == 0 or self.random.random() < 0.4:
            return self.leaf()
        parts = [self.maker(depth - 1) for _ in range(self.whole(1, 4))]
        if self.random.random() < 0.5:
            # A sequence that is made after others takes back what they wrote, as in torch, and so
            # has another beginning than step(0) has: here it comes first.
            parts = [(m, text) for i, (m, text) in enumerate(parts) if not (i and "seq" in text)]
            makers = [make for make, _ in parts]
            return (
                lambda o: lr_scheduler.ChainedScheduler([make(o) for make in makers])
            ), f"chain({', '.join(text for _, text in parts)})"
        makers, texts = [make for make, _ in parts], ", ".join(text for _, text in parts)
        milestones = sorted(self.whole(1, 30) for _ in parts[1:])
        return (
            lambda o: lr_scheduler.SequentialLR(o, [make(o) for make in makers], milestones)
        ), f"sequence({texts}, {milestones})"

    def leaf(self):
        """A scheduler that is no composition."""
        hyper = HYPERS[self.whole(0, len(HYPERS))]
        power = self.number(0.8, 1.0)
        kinds = {
            "StepLR": {"step_size": self.whole(1, 9), "gamma": self.number(0.3, 1.0)},
            "MultiStepLR": {"milestones": sorted([self.whole(1, 30), self.whole(1, 30)])},
            "ConstantLR": {"factor": self.number(0.1, 1), "total_iters": self.whole(1, 20)},
            "LinearLR": {"start_factor": self.number(0.1, 1), "total_iters": self.whole(1, 20)},
            "ExponentialLR": {"gamma": self.number(0.8, 1.0)},
            "PolynomialLR": {"total_iters": self.whole(5, 40), "power": self.number(0.5, 2)},
            "CosineAnnealingLR": {"T_max": self.number(5, 40), "eta_min": self.number(0, 0.01)},
            "CosineAnnealingWarmRestarts": {"T_0": self.whole(2, 9), "T_mult": self.whole(1, 3)},
            "LambdaLR": {"lr_lambda": lambda t: power**t},
            "MultiplicativeLR": {"lr_lambda": lambda t: power},
            "SWALR": {"swa_lr": self.number(0.001, 0.1), "anneal_epochs": self.whole(0, 12)},
            "CyclicLR": {
                "base_lr": 0.01,
                "max_lr": self.number(0.1, 1),
                "step_size_up": self.whole(1, 9),
                "cycle_momentum": hyper == "lr",
            },
            "OneCycleLR": {"max_lr": self.number(0.1, 1), "total_steps": 200},
            "NoamScheduler": {"model_size": 64, "warmup_steps": self.whole(1, 20)},
            "WarmupCosineLR": {"warmup_steps": self.whole(0, 9), "total_steps": self.whole(10, 60)},
            "WarmupStableDecayLR": {"warmup_steps": 3, "stable_steps": 4, "decay_steps": 9},
        }
        kinds["OneCycleLR"]["cycle_momentum"] = hyper == "lr"
        name = sorted(kinds)[self.whole(0, len(kinds))]
        arguments = kinds[name]
        return (
            lambda o: getattr(lr_scheduler, name)(o, hyper=hyper, **arguments)
        ), f"{name}({arguments}, hyper={hyper!r})"
