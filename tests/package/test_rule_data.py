"""The data of rules as text: said once, and still those of each reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lucidgen import Parameter
from lucidgen.spec import Eq, OptimizerSpec, flag, grad, hyper, series, t, w, when
from lucidgen.verify.emitted import build

lr, decay = hyper("lr", 0.1, at_least=0), hyper("decay", 0.0, at_least=0, special=0)


def specs() -> tuple[OptimizerSpec, OptimizerSpec]:
    """Two classes whose names mean different things: a state is a flag there, and a hyper here."""
    numpy, replace = series("numpy"), series("replace", saved_as="kept")
    nesterov, other = flag("nesterov", False), flag("numpy", True)
    first = OptimizerSpec(
        "First",
        paper="none",
        arguments=(lr, decay, nesterov),
        requires=((lr > 0, "needs a rate"),),
        equations=(
            Eq(numpy[t], numpy[t - 1] / 2 + grad[t] + decay * w[t - 1]),
            Eq(w[t], w[t - 1] - lr * when(nesterov, numpy[t] + grad[t], numpy[t])),
        ),
    )
    first.dialect(
        "keras",
        arguments=(lr, nesterov),
        defaults={"lr": 0.5},
        requires=(),
        replace=(Eq(numpy[t], numpy[t - 1] / 2 + grad[t]),),
    )
    second = OptimizerSpec(
        "Second",
        paper="none",
        arguments=(lr, other),
        equations=(
            Eq(replace[t], replace[t - 1] / 2 + when(other, grad[t], 2 * grad[t])),
            Eq(w[t], w[t - 1] - lr * replace[t]),
        ),
    )
    return first, second


def test_each_reading_has_its_own_data_whatever_it_shares(tmp_path: Path) -> None:
    package = build(specs(), tmp_path)
    own, keras = (package.First.rules[name] for name in ("own", "keras"))
    assert [(h.name, h.default, h.special) for h in own.hypers] == [
        ("lr", 0.1, None),
        ("decay", 0.0, 0.0),
    ]
    assert [(h.name, h.default) for h in keras.hypers] == [("lr", 0.5)]
    assert [len(rule.requires) for rule in (own, keras)] == [1, 0]
    assert keras.unsupported.keys() == {"decay"}
    assert (own.name, own.dialect) == ("first", "own")
    assert (keras.name, keras.dialect) == ("first_keras", "keras")
    assert own.states == keras.states
    second = package.Second.rules["own"]
    assert [(f.name, f.default) for f in second.flags] == [("numpy", True), ("maximize", False)]
    assert [(s.name, s.key) for s in second.states] == [("replace", "kept")]
    for cls in (package.First, package.Second):
        p = Parameter(np.ones(3))
        p.grad = np.ones(3)
        cls([p]).step()
        assert p.data[0] == 0.9


def test_what_readings_share_is_said_once(tmp_path: Path) -> None:
    package = build(specs(), tmp_path)
    (path,) = Path(package.__path__[0]).glob("_rules/emitted*.py")
    text = path.read_text()
    assert text.count("special=0.0") == 1
    assert text.count('State(name="numpy"') == 1
    assert "replace(_lr, default=0.5)" in text
    assert "requires=()" in text


def test_two_classes_without_other_readings_share_too(tmp_path: Path) -> None:
    plain = OptimizerSpec(
        "Plain", paper="none", arguments=(lr,), equations=(Eq(w[t], w[t - 1] - lr * grad[t]),)
    )
    faster = plain.variant("Faster", paper="none", defaults={"lr": 2.0})
    package = build((plain, faster), tmp_path)
    rates = [package.Plain.rules["own"].hypers[0], package.Faster.rules["own"].hypers[0]]
    assert [rate.default for rate in rates] == [0.1, 2.0]
