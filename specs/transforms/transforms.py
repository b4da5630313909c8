"""Transforms, from an optimizer to another one, and the ones that they are best known for."""

from collections.abc import Callable
from typing import Any

from lucidgen.spec import (
    Eq,
    Max,
    OptimizerSpec,
    Rational,
    grad,
    hyper,
    ndim,
    norm,
    normal,
    row_mean,
    row_norm,
    series,
    size,
    sqrt,
    step_of,
    t,
    total,
    transformed,
    update,
    w,
    when,
)
from lucidgen.specs.adam import AdamW
from lucidgen.specs.lion import Lion
from lucidgen.specs.sgd import SGD

#: Keeps quotients finite where all of a tensor is zero.
TINY = Rational(1, 10**30)


def cautious(base: OptimizerSpec, **fields: Any) -> OptimizerSpec:
    """Step only where the step goes down the gradient, and further there.

    Parameters
    ----------
    base : OptimizerSpec
        Any optimizer, in one of its readings.
    **fields
        What `transformed` takes, such as `name`.
    """
    aligned = series("aligned")
    about = {
        "summary": f"{base.name} that steps only where its step goes down the gradient.",
        "paper": "cautious: Liang et al. 2024, arXiv:2411.16085, Algorithm 1, with xi = 1",
    }
    equations = (
        Eq(aligned[t], when(update[t] * grad[t] < 0, 1, 0)),
        Eq(update[t], update[t] * aligned[t] * size / (total(aligned[t]) + 1)),
    )
    return transformed(base, "cautious", equations, **{**about, **fields})


def lookahead(base: OptimizerSpec, **fields: Any) -> OptimizerSpec:
    """Let slow weights follow every k-th step, and go on from there.

    Takes what `cautious` takes.
    """
    k = hyper("k", 5, at_least=1, doc="Steps from one update of the slow weights to the next.")
    alpha = hyper(
        "alpha", 0.5, at_least=0, at_most=1, doc="How far the slow weights move to the others."
    )
    slow = series("slow", saved_as="slow_params")
    about = {
        "summary": f"{base.name} with slow weights, which every k-th step goes back to.",
        "paper": "lookahead: Zhang et al. 2019, arXiv:1907.08610, Algorithm 1",
    }
    equations = (
        Eq(slow[0], w[0]),
        Eq(slow[t], when(t % k < 1, slow[t - 1] + alpha * (w[t] - slow[t - 1]), slow[t - 1])),
        Eq(w[t], when(t % k < 1, slow[t], w[t])),
    )
    return transformed(base, "lookahead", equations, arguments=(k, alpha), **{**about, **fields})


def grokfast(base: OptimizerSpec, **fields: Any) -> OptimizerSpec:
    """Amplify what changes slowly in the gradient.

    Takes what `cautious` takes.
    """
    alpha = hyper(
        "alpha", 0.98, at_least=0, below=1, doc="Decay rate of the gradient's slow average."
    )
    lamb = hyper("lamb", 2.0, at_least=0, doc="How much of the average is added to the gradient.")
    slow = series("slow_grad", saved_as="grok_exp_avg")
    about = {
        "summary": f"{base.name} on a gradient whose slow part is amplified.",
        "paper": "grokfast: Lee et al. 2024, arXiv:2405.20233, Algorithm 2",
    }
    equations = (
        Eq(slow[1], grad[1]),
        Eq(slow[t], alpha * slow[t - 1] + (1 - alpha) * grad[t]),
        Eq(grad[t], grad[t] + lamb * slow[t]),
    )
    return transformed(base, "grokfast", equations, arguments=(alpha, lamb), **{**about, **fields})


def noisy(base: OptimizerSpec, **fields: Any) -> OptimizerSpec:
    """Add normal noise to the gradient, less and less of it.

    Takes what `cautious` takes. The paper counts steps from 0, so that its 1 + t is t here.
    """
    eta = hyper("eta", 0.01, at_least=0, special=0, doc="Variance of the noise at the first step.")
    gamma = hyper("gamma", 0.55, at_least=0, doc="How fast the variance falls: as t**-gamma.")
    about = {
        "summary": f"{base.name} on gradients with noise that falls from step to step.",
        "paper": "noisy: Neelakantan et al. 2015, arXiv:1511.06807, equation (1)",
    }
    equations = (Eq(grad[t], grad[t] + sqrt(eta / t**gamma) * normal()),)
    return transformed(base, "noisy", equations, arguments=(eta, gamma), **{**about, **fields})


def centralized(base: OptimizerSpec, **fields: Any) -> OptimizerSpec:
    """Take from the gradient of each unit of a layer its mean; vectors stay as they are.

    Takes what `cautious` takes. A unit is a row of the first axis against all others.
    """
    about = {
        "summary": f"{base.name} on gradients whose mean over each unit is zero.",
        "paper": "centralized: Yong et al. 2020, arXiv:2004.01461, equation (1)",
    }
    equations = (Eq(grad[t], grad[t] - when(ndim >= 2, row_mean(grad[t]), 0)),)
    return transformed(base, "centralized", equations, matrices="first", **{**about, **fields})


def agc(base: OptimizerSpec, **fields: Any) -> OptimizerSpec:
    """Clip the gradient of each unit of a layer by the size of its weights.

    Takes what `cautious` takes. A unit is a row of the first axis against all others; a vector is
    one.
    """
    clipping = hyper(
        "clipping", 1e-2, above=0, doc="Norm of a unit's gradient, by that of its weights, at most."
    )
    least = hyper(
        "least_norm", 1e-3, at_least=0, doc="What the norm of weights counts as at least."
    )
    about = {
        "summary": f"{base.name} with gradients that are clipped by the size of the weights.",
        "paper": "agc: Brock et al. 2021, arXiv:2102.06171, equation (3)",
        "name": f"AGC{base.name}",
    }

    def factor(length: Callable[[Any], Any]) -> Any:
        bound = clipping * Max(length(w[t - 1]), least)
        return when(length(grad[t]) > bound, bound / length(grad[t]), 1)

    equations = (Eq(grad[t], when(ndim >= 2, factor(row_norm), factor(norm)) * grad[t]),)
    return transformed(
        base,
        "agc",
        equations,
        arguments=(clipping, least),
        matrices="first",
        **{**about, **fields},
    )


def orthogonal_gradient(base: OptimizerSpec, **fields: Any) -> OptimizerSpec:
    """Take from the gradient what only makes the weights longer or shorter.

    Takes what `cautious` takes.
    """
    across = series("across")
    about = {
        "summary": f"{base.name} on the part of the gradient that is orthogonal to the weights.",
        "paper": "orthogonal gradient: Prieto et al. 2025, arXiv:2501.04697, equation (11)",
        "name": f"Orthogonal{base.name}",
    }
    along = total(w[t - 1] * grad[t]) / (total(w[t - 1] ** 2) + TINY)
    equations = (
        Eq(across[t], grad[t] - along * w[t - 1]),
        Eq(grad[t], across[t] * norm(grad[t]) / (norm(across[t]) + TINY)),
    )
    return transformed(base, "orthogonal", equations, **{**about, **fields})


def grafted(direction: OptimizerSpec, magnitude: OptimizerSpec, **fields: Any) -> OptimizerSpec:
    """Step in the direction of one optimizer, as far as another one would, in each tensor.

    Parameters
    ----------
    direction : OptimizerSpec
        The optimizer whose step is taken, and whose decay of the weights stays.
    magnitude : OptimizerSpec
        The optimizer whose step is only measured; its arguments are called `magnitude_lr` ...
    **fields
        What `transformed` takes, such as `name`.
    """
    other = step_of(magnitude, "magnitude")
    length = series("length")
    about = {
        "summary": f"{direction.name} with steps as long as those of {magnitude.name}.",
        "paper": f"magnitude: {magnitude.paper}; "
        "grafted: Agarwal et al. 2020, arXiv:2002.11803, Algorithm 1",
        "name": f"{direction.name}GraftedTo{magnitude.name}",
    }
    equations = (
        *other.equations,
        Eq(length[t], norm(update[t])),
        Eq(
            update[t],
            when(length[t] > 0, norm(other.update[t]) / length[t], 0) * update[t],
        ),
    )
    return transformed(
        direction, "grafted", equations, arguments=other.arguments, **{**about, **fields}
    )


CautiousAdamW = cautious(AdamW)
CautiousLion = cautious(Lion)
NoisySGD = noisy(SGD)
