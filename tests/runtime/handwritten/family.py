"""The classes: signatures and nothing else."""

from lucidgen.runtime import Optimizer
from lucidgen.runtime.groups.constructor import constructor

from ._rules.family import ADAM, ADAMW, CLIPPED, NADAM, SGD_RULES, SLOW


class Adam(Optimizer):
    """torch's Adam; the dialect "keras" has another default for eps and no amsgrad."""

    rules = ADAM
    generation = 3

    @constructor
    def __init__(
        self,
        params=None,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        amsgrad=False,
        *,
        maximize=False,
        dialect="torch",
    ):
        super().__init__(
            params,
            dialect=dialect,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
        )


class AdamW(Optimizer):
    """Adam under another name: its dicts are not Adam's."""

    rules = ADAMW
    generation = 3

    @constructor
    def __init__(
        self,
        params=None,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        amsgrad=False,
        *,
        maximize=False,
        dialect="torch",
    ):
        super().__init__(
            params,
            dialect=dialect,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
        )


class SGD(Optimizer):
    """torch's SGD: the momentum buffer starts as the gradient."""

    rules = SGD_RULES
    generation = 3

    @constructor
    def __init__(
        self,
        params=None,
        lr=1e-3,
        *,
        momentum=0.0,
        dampening=0.0,
        weight_decay=0.0,
        nesterov=False,
        maximize=False,
        dialect="torch",
    ):
        super().__init__(
            params,
            dialect=dialect,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        )


class NAdam(Optimizer):
    """A scalar state (the product of mu), and for good measure a host condition."""

    rules = NADAM
    generation = 3

    @constructor
    def __init__(
        self,
        params=None,
        lr=2e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        momentum_decay=4e-3,
        *,
        maximize=False,
        dialect="torch",
    ):
        super().__init__(
            params,
            dialect=dialect,
            lr=lr,
            betas=betas,
            eps=eps,
            momentum_decay=momentum_decay,
            maximize=maximize,
        )


class Clipped(Optimizer):
    """A reduction over the tensor: the running mean of the gradient's norm scales the step."""

    rules = CLIPPED
    generation = 3

    @constructor
    def __init__(self, params=None, lr=1e-2, beta=0.9, *, maximize=False, dialect="torch"):
        super().__init__(params, dialect=dialect, lr=lr, beta=beta, maximize=maximize)


class Slow(Optimizer):
    """Does not move at a parameter's first step; keeps an average that starts as the weights."""

    rules = SLOW
    generation = 3

    @constructor
    def __init__(self, params=None, lr=1e-2, *, maximize=False, dialect="torch"):
        super().__init__(params, dialect=dialect, lr=lr, maximize=maximize)
