"""Adam, and AdamW, which derives from it."""

from lucidgen.spec import (
    Bounds,
    Eq,
    Max,
    OptimizerSpec,
    flag,
    grad,
    hyper,
    keyword_only,
    series,
    sqrt,
    t,
    w,
    when,
)

lr = hyper("lr", 1e-3, at_least=0, doc="Learning rate.")
beta1, beta2 = betas = hyper(
    "betas",
    (0.9, 0.999),
    at_least=0,
    below=1,
    doc="Decay rates of the moving averages of the gradient and of its square.",
)
eps = hyper("eps", 1e-8, at_least=0, doc="Added to the denominator for numerical stability.")
weight_decay = hyper("weight_decay", 0.0, at_least=0, special=0, doc="Weight decay coefficient.")
eps_root = hyper("eps_root", 0.0, at_least=0, doc="Added under the root.")
bias_correction = flag(
    "bias_correction", True, doc="Whether the averages are divided by what they lack at the start."
)
amsgrad = flag("amsgrad", False, doc="Whether to use the AMSGrad variant, with the maximum of v.")

g, m_hat, v_hat = series("g"), series("m_hat"), series("v_hat")
m = series("m", saved_as="exp_avg")
v = series("v", saved_as="exp_avg_sq")
v_max = series("v_max", saved_as="max_exp_avg_sq")

in_mlx = {"m": m[t], "v": v[t]}
in_keras = {"momentum": m[t], "velocity": v[t]}
in_optax = {"mu": m[t], "nu": v[t]}
amsgrad_in_optax = {**in_optax, "nu_max": v_max[t]}

Adam = OptimizerSpec(
    "Adam",
    reading="torch",
    paper="Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1; "
    "AMSGrad: Reddi et al. 2018, arXiv:1904.09237",
    summary="Adam: adaptive estimates of the gradient's first and second moments.",
    arguments=(lr, betas, eps, weight_decay, amsgrad, keyword_only, eps_root, bias_correction),
    torch_keys={"decoupled_weight_decay": False},
    saved_elsewhere={"mlx": in_mlx, "optax": amsgrad_in_optax},
    equations=(
        Eq(g[t], grad[t] + weight_decay * w[t - 1]),
        Eq(m[t], beta1 * m[t - 1] + (1 - beta1) * g[t]),
        Eq(v[t], beta2 * v[t - 1] + (1 - beta2) * g[t] ** 2),
        Eq(v_max[t], Max(v_max[t - 1], v[t])),
        Eq(m_hat[t], m[t] / (1 - beta1**t)),
        Eq(v_hat[t], when(amsgrad, v_max[t], v[t]) / (1 - beta2**t)),
        Eq(w[t], w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
)

Adam.dialect(
    "paper",
    notes="With amsgrad there is no bias correction (Reddi et al. 2018, Algorithm 2).",
    replace=(
        Eq(g[t], grad[t]),
        Eq(m_hat[t], when(amsgrad, m[t], m[t] / (1 - beta1**t))),
        Eq(v_hat[t], when(amsgrad, v_max[t], v[t] / (1 - beta2**t))),
    ),
)

Adam.dialect("devlog", paper="Lucid's development log, 2025-12-12")

lucid2 = Adam.dialect(
    "lucid2",
    paper="lucid-dl 2.9.0, lucid/optim/adam.py",
    notes="eps is added before the bias correction; amsgrad has no effect, since the maximum "
    "is never stored.",
    ignores=(amsgrad,),
    drop=(m_hat[t], v_hat[t], v_max[t]),
    replace=(
        Eq(
            w[t],
            w[t - 1] - lr * sqrt(1 - beta2**t) / (1 - beta1**t) * m[t] / (sqrt(v[t]) + eps),
        ),
    ),
)

w_decayed = series("w_decayed")

keras = Adam.dialect(
    "keras",
    paper="keras 3.15, keras.optimizers.Adam",
    notes="eps is added before the bias correction. The decay acts on the parameter.",
    saved_elsewhere={"keras": {**in_keras, "velocity_hat": v_max[t]}},
    defaults={"eps": 1e-7},
    drop=(m_hat[t], v_hat[t]),
    add=(Eq(w_decayed[t], (1 - lr * weight_decay) * w[t - 1]),),
    replace=(
        Eq(g[t], grad[t]),
        Eq(
            w[t],
            w_decayed[t]
            - lr
            * sqrt(1 - beta2**t)
            / (1 - beta1**t)
            * m[t]
            / (sqrt(when(amsgrad, v_max[t], v[t])) + eps),
        ),
    ),
)

optax = Adam.dialect(
    "optax",
    paper="optax 0.2.8, optax.adam and optax.amsgrad",
    notes="With amsgrad the maximum is that of the corrected averages.",
    saved_elsewhere={"optax": amsgrad_in_optax},
    replace=(
        Eq(g[t], grad[t]),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(v_max[t], Max(v_max[t - 1], v_hat[t])),
        Eq(
            w[t],
            w[t - 1] - lr * m_hat[t] / (sqrt(when(amsgrad, v_max[t], v_hat[t]) + eps_root) + eps),
        ),
    ),
)

update_of_mlx = when(
    bias_correction,
    lr * m_hat[t] / (sqrt(v_hat[t]) + eps),
    lr * m[t] / (sqrt(v[t]) + eps),
)

mlx = Adam.dialect(
    "mlx",
    paper="mlx 0.32, mlx.optimizers.Adam",
    saved_elsewhere={"mlx": in_mlx},
    counts_steps=True,
    defaults={"bias_correction": False},
    bounds={"lr": Bounds()},
    drop=(v_max[t],),
    replace=(
        Eq(g[t], grad[t]),
        Eq(v_hat[t], v[t] / (1 - beta2**t)),
        Eq(w[t], w[t - 1] - update_of_mlx),
    ),
)

AdamW = Adam.variant(
    "AdamW",
    reading="torch",
    arguments=Adam.arguments,
    paper="Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 2",
    summary="Adam with decoupled weight decay.",
    defaults={"weight_decay": 1e-2},
    torch_keys={"decoupled_weight_decay": True},
    saved_elsewhere=Adam.saved_elsewhere,
    replace=(
        Eq(g[t], grad[t]),
        Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
)

# The schedule's multiplier of Algorithm 2, eta_t = lr / lr_0, is 1 until lr changes.
eta = series("eta")
lr_0 = series("lr_0", saved_as="initial_lr")

AdamW.dialect(
    "paper",
    notes="The decay follows the schedule's multiplier and not lr itself; hence the default of "
    "weight_decay is 1e-5, which at the default lr is as strong as torch's 1e-2.",
    defaults={"weight_decay": 1e-5},
    add=(
        Eq(lr_0[0], lr),
        Eq(lr_0[t], lr_0[t - 1]),
        Eq(eta[t], when(lr_0[t] > 0, lr / lr_0[t], 1)),
    ),
    replace=(
        Eq(w[t], (1 - eta[t] * weight_decay) * w[t - 1] - lr * m_hat[t] / (sqrt(v_hat[t]) + eps)),
    ),
)

AdamW.dialect("devlog", paper="Lucid's development log, 2025-12-12")

AdamW.dialect(
    "lucid2",
    base=lucid2,
    torch_keys={"decoupled_weight_decay": True},
    paper="lucid-dl 2.9.0, lucid/optim/adam.py",
    notes=lucid2.notes,
    ignores=(amsgrad,),
    defaults={"weight_decay": 1e-2},
    replace=(
        Eq(g[t], grad[t]),
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1]
            - lr * sqrt(1 - beta2**t) / (1 - beta1**t) * m[t] / (sqrt(v[t]) + eps),
        ),
    ),
)

AdamW.dialect(
    "keras",
    base=keras,
    torch_keys={"decoupled_weight_decay": True},
    paper="keras 3.15, keras.optimizers.AdamW",
    notes="eps is added before the bias correction.",
    saved_elsewhere=keras.saved_elsewhere,
    defaults={"weight_decay": 4e-3},
)

AdamW.dialect(
    "optax",
    base=optax,
    torch_keys={"decoupled_weight_decay": True},
    paper="optax 0.2.8, optax.adamw; amsgrad: optax.amsgrad",
    notes=optax.notes,
    saved_elsewhere=optax.saved_elsewhere,
    defaults={"weight_decay": 1e-4},
    replace=(
        Eq(
            w[t],
            (1 - lr * weight_decay) * w[t - 1]
            - lr * m_hat[t] / (sqrt(when(amsgrad, v_max[t], v_hat[t]) + eps_root) + eps),
        ),
    ),
)

AdamW.dialect(
    "mlx",
    base=mlx,
    torch_keys={"decoupled_weight_decay": True},
    paper="mlx 0.32, mlx.optimizers.AdamW",
    saved_elsewhere=mlx.saved_elsewhere,
    counts_steps=True,
    defaults={"weight_decay": 1e-2},
    replace=(Eq(w[t], (1 - lr * weight_decay) * w[t - 1] - update_of_mlx),),
)
