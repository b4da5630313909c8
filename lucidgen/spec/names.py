"""What an author can call things, and how a name is spelled.

Owns the one spelling of a name, and which names are taken: by the language, by every class of a
kind, by every package. All other names are free, whatever a language of targets or the text of a
template uses: `targets.common.names` writes them in another way there.
"""

from __future__ import annotations

import builtins
import keyword
import unicodedata
from collections.abc import Collection, Iterator

from ..operations import called_in
from .errors import Location, Problem

#: What equations of optimizers read undeclared, and what else steps are given.
STEP = frozenset(
    {
        *("t", "w", "grad", "update", "scratch", "first_w", "group_size"),
        *("scaled_grad", "scale_grad", "grad_factor", "grad_bound"),
    }
)
#: What constructors of optimizers take or call, and what groups hold besides arguments.
OPTIMIZER = frozenset(
    {
        *("self", "super", "params", "defaults", "maximize", "dialect", "kernel", "options"),
        *("max_grad_norm", "max_grad_value", "no_decay", "accumulation_steps", "master_weights"),
        *("foreach", "fused", "capturable", "differentiable"),
        *("name", "param_names", "param_shapes", "updates", "group_step"),
    }
)
#: The argument that optimizers have besides whose equations draw random numbers.
SEED = "seed"
#: What equations of schedules read undeclared.
TIME = frozenset({"t", "base", "value", "momentum", "pi"})
#: What constructors of schedulers take or call, and what schedulers hold besides arguments.
SCHEDULER = frozenset(
    {
        *("self", "super", "optimizer", "last_epoch", "verbose", "hyper", "base_lrs"),
        *("arguments", "requires", "chainable", "settles", "until", "torch_keys", "start", "step"),
        *("generation", "essential", "last_lr", "get_lr", "get_last_lr", "state_dict"),
        "load_state_dict",
    }
)
#: What modules of optimizers import, and what packages export besides classes of their own.
OPTIMIZER_CLASSES = frozenset(
    {
        *("Any", "Iterable", "TYPE_CHECKING", "Unpack", "annotations", "constructor", "importlib"),
        *("ExponentialMovingAverage", "MultiOptimizer", "Optimizer", "Options", "lr_scheduler"),
    }
)
#: The same of schedulers.
SCHEDULER_CLASSES = frozenset(
    {
        *("Any", "Callable", "Sequence", "annotations", "bisect_right", "pi"),
        *("Choice", "Flag", "Function", "Number", "Points", "ClosedForm", "LRScheduler"),
        *("ChainedScheduler", "MultiplicativeLR", "ReduceLROnPlateau", "SequentialLR", "tabulate"),
    }
)
#: Functions, types and errors that Python has without an import.
BUILTINS = frozenset(dir(builtins))


def spelled(name: str) -> str:
    """A name as Python spells it (NFKC): letters that only look different are one.

    >>> spelled("\\ufb01t"), spelled("\\u2113"), spelled("e\\u0301") == "\\u00e9"
    ('fit', 'l', True)
    """
    return unicodedata.normalize("NFKC", name) if isinstance(name, str) else name


def is_name(name: object) -> bool:
    """Whether Python can have the name; what begins with an underscore is the compiler's.

    >>> is_name("beta1"), is_name("lambda"), is_name("_beta"), is_name("beta-1")
    (True, False, False, False)
    """
    return (
        isinstance(name, str)
        and name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("_")
    )


def is_class_name(name: str, taken: Collection[str]) -> bool:
    """Whether a name is free for a class of a package.

    >>> is_class_name("Adam", OPTIMIZER_CLASSES), is_class_name("float", OPTIMIZER_CLASSES)
    (True, False)
    """
    return name not in taken and name not in BUILTINS and not name.endswith("_RULES")


def class_problems(name: str, taken: Collection[str], location: Location) -> Iterator[Problem]:
    """What is wrong with the name of a class."""
    if not is_name(name):
        yield not_a_name(name, "the name of a class", location)
    elif not is_class_name(name, taken):
        yield Problem(location, f"the class name {name!r} is taken", "Choose another name.")


def problems_of(
    name: str, kind: str, taken: Collection[str], location: Location
) -> Iterator[Problem]:
    """What is wrong with the name of a series, a hyperparameter or a flag."""
    if not is_name(name):
        yield not_a_name(name, "a name in generated code", location)
    elif name in taken:
        yield Problem(
            location,
            f"the name {name!r} is taken by the compiler",
            f"Choose another name for this {kind}.",
        )


def not_a_name(name: str, role: str, location: Location) -> Problem:
    """The problem of a name that is none."""
    return Problem(
        location,
        f"{name!r} cannot be {role}",
        "Choose a Python identifier without a leading underscore.",
    )


def of_optimizers() -> frozenset[str]:
    """The names that nothing in an optimizer can have."""
    return STEP | called_in("host")


def of_schedules() -> frozenset[str]:
    """The names that nothing in a schedule can have."""
    return TIME | called_in("schedule")
