"""Host arithmetic and the rules."""

from lucidgen.runtime.rules.ieee import sqrt
from lucidgen.runtime.rules.rule import Flag, Hyper, Rule, State

from .._numpy import family as numpy_steps

_MLX = "handwritten._mlx.family"


def adam_scalars(t, lr, beta1, beta2, eps):
    c1 = 1 - beta1**t
    c2 = 1 - beta2**t
    return {
        "one_minus_beta1": 1 - beta1,
        "one_minus_beta2": 1 - beta2,
        "step_size": lr / c1,
        "v_scale": 1 / sqrt(c2),
    }


def nadam_scalars(t, lr, beta1, beta2, momentum_decay, mu_product):
    mu = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    product = mu_product * mu
    return {
        "mu_product": product,
        "one_minus_beta1": 1 - beta1,
        "one_minus_beta2": 1 - beta2,
        "grad_scale": lr * (1 - mu) / (1 - product),
        "m_scale": lr * mu_next / (1 - product * mu_next),
        "v_scale": 1 / sqrt(1 - beta2**t),
        "t_above_3": t > 3,
    }


def _nesterov_is_possible(nesterov, momentum, dampening):
    return not nesterov or (momentum > 0 and dampening == 0)


def _copy_of_w(w):
    return w


_LR = Hyper(name="lr", default=1e-3, symbols=("lr",), role="rate", at_least=0)
_BETAS = Hyper(
    name="betas",
    default=(0.9, 0.999),
    symbols=("beta1", "beta2"),
    role="momentum",
    at_least=0,
    below=1,
)
_MAXIMIZE = Flag(name="maximize", default=False)
_MOMENTS = (
    State(name="m", key="exp_avg"),
    State(name="v", key="exp_avg_sq"),
)


def _adam(dialect, eps, amsgrad, name="adam", **rest):
    states = _MOMENTS
    flags = (_MAXIMIZE,)
    if amsgrad:
        states += (State(name="v_max", key="max_exp_avg_sq", live=lambda on: on["amsgrad"]),)
        flags = (Flag(name="amsgrad", default=False), _MAXIMIZE)
    return Rule(
        name=name,
        dialect=dialect,
        hypers=(
            _LR,
            _BETAS,
            Hyper(name="eps", default=eps, symbols=("eps",), at_least=0),
            Hyper(
                name="weight_decay",
                default=0.0,
                symbols=("weight_decay",),
                role="decay",
                at_least=0,
                special=0.0,
            ),
        ),
        flags=flags,
        states=states,
        scalars=adam_scalars,
        numpy=numpy_steps.adam_step if amsgrad else numpy_steps.adam_plain_step,
        targets={"mlx": _MLX},
        scratch=2,
        **rest,
    )


ADAM = {
    "torch": _adam("torch", 1e-8, True, torch_keys={"decoupled_weight_decay": False}),
    "keras": _adam("keras", 1e-7, False, name="adam_plain", unsupported={"amsgrad": False}),
    "lucid2": _adam("lucid2", 1e-8, False, name="adam_plain", ignored=("amsgrad",)),
}
ADAMW = {"torch": _adam("torch", 1e-8, True, torch_keys={"decoupled_weight_decay": True})}

SGD_RULES = {
    "torch": Rule(
        name="sgd",
        dialect="torch",
        hypers=(
            _LR,
            Hyper(
                name="momentum",
                default=0.0,
                symbols=("momentum",),
                role="momentum",
                at_least=0,
                special=0.0,
            ),
            Hyper(name="dampening", default=0.0, symbols=("dampening",)),
            Hyper(
                name="weight_decay",
                default=0.0,
                symbols=("weight_decay",),
                role="decay",
                at_least=0,
                special=0.0,
            ),
        ),
        flags=(Flag(name="nesterov", default=False), _MAXIMIZE),
        states=(
            State(
                name="buf",
                key="momentum_buffer",
                live=lambda on: on["use_momentum"],
                first=True,
            ),
        ),
        requires=((_nesterov_is_possible, "nesterov needs a momentum above 0 and no dampening"),),
        uses_step=False,
        numpy=numpy_steps.sgd_step,
        targets={"mlx": _MLX},
        scratch=1,
    )
}

NADAM = {
    "torch": Rule(
        name="nadam",
        dialect="torch",
        hypers=(
            _LR,
            _BETAS,
            Hyper(name="eps", default=1e-8, symbols=("eps",), at_least=0),
            Hyper(name="momentum_decay", default=4e-3, symbols=("momentum_decay",), at_least=0),
        ),
        flags=(_MAXIMIZE,),
        states=(
            *_MOMENTS,
            State(name="mu_product", key="mu_product", domain="scalar", start=lambda: 1.0),
        ),
        scalars=nadam_scalars,
        numpy=numpy_steps.nadam_step,
        targets={"mlx": _MLX},
        scratch=2,
    ),
    "lucid2": Rule(
        name="adam_plain",
        dialect="lucid2",
        hypers=(_LR, _BETAS, Hyper(name="eps", default=1e-8, symbols=("eps",), at_least=0)),
        flags=(_MAXIMIZE,),
        states=_MOMENTS,
        ignored=("momentum_decay",),
        scalars=adam_scalars,
        numpy=numpy_steps.adam_plain_step,
        targets={"mlx": _MLX},
        scratch=2,
    ),
}

CLIPPED = {
    "torch": Rule(
        name="clipped",
        dialect="torch",
        hypers=(_LR, Hyper(name="beta", default=0.9, symbols=("beta",), at_least=0, below=1)),
        flags=(_MAXIMIZE,),
        states=(State(name="scale", key="scale", domain="tensor"),),
        uses_step=False,
        elementwise=False,
        numpy=numpy_steps.clipped_step,
        targets={"mlx": _MLX},
        scratch=1,
    )
}

SLOW = {
    "torch": Rule(
        name="slow",
        dialect="torch",
        hypers=(_LR,),
        flags=(_MAXIMIZE,),
        states=(State(name="mean", key="ax", start=_copy_of_w),),
        numpy=numpy_steps.slow_step,
        targets={"mlx": _MLX},
        scratch=1,
    )
}
