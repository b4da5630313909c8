"""What an author is told who errs: file, line, equation and remedy, everything at once."""

import textwrap
from pathlib import Path

import pytest

from lucidgen.spec import Problem, SpecError
from lucidgen.spec.loader import load

START = '''"""Specs."""
from lucidgen.spec import *
from lucidgen.spec import Bounds, Eq, flag, grad, hyper, norm, series, sqrt, t, w, when
import sympy
lr = hyper("lr", 1e-3, at_least=0)
'''
FIRST = START.count("\n") + 1


def problems(tmp_path: Path, source: str) -> list[Problem]:
    path = tmp_path / "made.py"
    path.write_text(START + textwrap.dedent(source).strip() + "\n")
    with pytest.raises(SpecError) as caught:
        load(path)
    for problem in caught.value.problems:
        assert problem.location.file == str(path)
    return list(caught.value.problems)


# Source, the line (from the first after START), and words of the message, equation and remedy.
WRONG = {
    "a sum over a group of elements that are not reduced": (
        """
        d = series("d")
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(d[t], over_group(grad[t])),
                Eq(w[t], w[t - 1] - lr * d[t] * grad[t]),
            )
        )
        """,
        4,
        (
            "over_group(grad[t]) is of a quantity per element, which is not reduced to one number",
            "in  d[t] = over_group(grad[t])",
            "Write over_group(total(x)), or mean, norm or largest of a quantity per element.",
        ),
    ),
    "a sum over a group of rows": (
        """
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(w[t], w[t - 1] - lr * over_group(row_mean(grad[t]))),
            )
        )
        """,
        3,
        ("over_group(row_mean(grad[t])) is of a quantity per row", "Write over_group(total(x))"),
    ),
    "a sum over a group of what is per group": (
        """
        d, e = series("d"), series("e")
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(d[t], over_group(norm(grad[t]))),
                Eq(e[t], over_group(d[t])),
                Eq(w[t], w[t - 1] - lr * e[t] * grad[t]),
            )
        )
        """,
        5,
        ("over_group(d[t]) is of a quantity per group, which is one number already",),
    ),
    "a reduction of what is per group": (
        """
        d = series("d")
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(d[t], over_group(norm(grad[t]))),
                Eq(w[t], w[t - 1] - lr * over_group(total(d[t])) * grad[t]),
            )
        )
        """,
        5,
        ("total(d[t]) reduces a per-group quantity", "one number for the whole group already"),
    ),
    "a sum over a group of a number": (
        """
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(w[t], w[t - 1] - over_group(lr) * grad[t]),
            )
        )
        """,
        3,
        ("over_group(lr) is of a plain number, which no parameter changes", "over_group(total(x))"),
    ),
    "a mean over a group of what is per column": (
        """
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(w[t], w[t - 1] - lr * over_group(mean(column_max(grad[t]))) * grad[t]),
            )
        )
        """,
        3,
        ("is a mean of what is not per element", "over_group(total(x)) / over_group(total(y))"),
    ),
    "a start that sums over a group": (
        """
        d = series("d")
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(d[0], over_group(norm(w[0]))),
                Eq(d[t], d[t - 1]),
                Eq(w[t], w[t - 1] - lr * d[t] * grad[t]),
            )
        )
        """,
        4,
        ("a start reduces a tensor", "Let the first update do it: Eq(x[1], ...)"),
    ),
    "a number of a group that begins as the weights": (
        """
        d = series("d")
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(d[0], w[0]),
                Eq(d[t], d[t - 1] + over_group(norm(grad[t]))),
                Eq(w[t], w[t - 1] - lr * d[t] * grad[t]),
            )
        )
        """,
        5,
        ("d[t] is one number per group, but d begins as one per element", "begin as a number too"),
    ),
    "a number of a group that reads a shape": (
        """
        d = series("d")
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(d[t], rows * over_group(norm(grad[t]))),
                Eq(w[t], w[t - 1] - lr * d[t] * grad[t]),
            )
        )
        """,
        4,
        ("d is one number per group and reads rows, of which each", "inside of over_group(...)"),
    ),
    "a sum over a group that needs itself": (
        """
        d = series("d")
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(d[t], over_group(norm(d[t] * grad[t]))),
                Eq(w[t], w[t - 1] - lr * d[t] * grad[t]),
            )
        )
        """,
        4,
        ("a cycle: d[t] -> d[t]", "at t - 1"),
    ),
    "a number of a group that is saved as an argument": (
        """
        d = series("d", saved_as="lr_max")
        lr_max = hyper("lr_max", 1.0)
        A = OptimizerSpec(
            "A", (lr, lr_max), (
                Eq(d[t], d[t - 1] + over_group(norm(grad[t]))),
                Eq(w[t], w[t - 1] - lr * lr_max * d[t] * grad[t]),
            )
        )
        """,
        1,
        ("the state d is saved as 'lr_max', which a group has already", "another saved_as"),
    ),
    "a group in a schedule": (
        """
        from lucidgen.spec.schedule import Schedule, base, value
        from lucidgen.spec.schedule import t as n
        A = Schedule(
            "A", (), (
                Eq(value[n], base * over_group(norm(base))),
            )
        )
        """,
        5,
        ("over_group(norm(base)) asks for parameters, of which a schedule knows none",),
    ),
    "a sum over a group of random numbers": (
        """
        noise, d = series("noise"), series("d")
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(noise[t], normal()),
                Eq(d[t], over_group(norm(grad[t] + noise[t]))),
                Eq(w[t], w[t - 1] - lr * d[t] * grad[t]),
            )
        )
        """,
        5,
        (
            "over_group(norm(grad[t] + noise[t])) is of a random number, by way of noise",
            "Sum what is not drawn, and draw in what the step does with the sum.",
        ),
    ),
    "a sum over a group of what began as a random number": (
        """
        x, d = series("x"), series("d")
        A = OptimizerSpec(
            "A", (lr,), (
                Eq(x[1], uniform()),
                Eq(x[t], x[t - 1] / 2),
                Eq(d[t], over_group(total(x[t]))),
                Eq(w[t], w[t - 1] - lr * d[t] * grad[t]),
            )
        )
        """,
        6,
        ("over_group(total(x[t])) is of a random number, by way of x",),
    ),
    "a start that draws": (
        """
        x = series("x")
        A = OptimizerSpec(
            "A",
            (lr,),
            (
                Eq(x[0], normal()),
                Eq(x[t], x[t - 1] / 2),
                Eq(w[t], w[t - 1] - lr * x[t] * grad[t]),
            ),
        )
        """,
        6,
        (
            "a start draws a random number",
            "in  x[0] = normal()",
            "Let the first update do it: Eq(x[1], ...).",
        ),
    ),
    "one random number in two equations": (
        """
        noise, x = normal(), series("x")
        A = OptimizerSpec(
            "A",
            (lr,),
            (
                Eq(x[t], grad[t] + noise),
                Eq(w[t], w[t - 1] - lr * x[t] * noise),
            ),
        )
        """,
        7,
        (
            "a random number, normal(), stands in two places",
            "in  w[t] = ",
            "Give it a series, Eq(noise[t], normal()), and read noise[t] in both; or call normal() "
            "in each, for two numbers.",
        ),
    ),
    "one random number twice in an equation": (
        """
        noise = uniform()
        A = OptimizerSpec(
            "A",
            (lr,),
            (
                Eq(w[t], w[t - 1] - lr * when(noise < 1 / sympy.Integer(2), noise, grad[t])),
            ),
        )
        """,
        6,
        ("a random number, uniform(), stands in two places", "Eq(noise[t], uniform())"),
    ),
    "an argument that is called seed": (
        """
        seed = hyper("seed", 1.0)
        A = OptimizerSpec("A", (lr, seed), (Eq(w[t], w[t - 1] - lr * grad[t] + seed * normal()),))
        """,
        1,
        (
            "the name 'seed' is taken by the compiler",
            "Choose another name for this hyperparameter.",
        ),
    ),
    "a constraint that draws": (
        """
        A = OptimizerSpec(
            "A",
            (lr,),
            (Eq(w[t], w[t - 1] - lr * grad[t]),),
            requires=((uniform() < lr, "never"),),
        )
        """,
        1,
        ("`requires` of A reads uniform()", "A constraint is about arguments only."),
    ),
    "a rate that draws and is computed once per step": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - (normal() % 2) * grad[t]),))
        """,
        1,
        ("is of a per-element quantity", "It is computed once per step"),
    ),
    "rows where there are none": (
        """
        A = OptimizerSpec(
            "A",
            (lr,),
            (
                Eq(w[t], w[t - 1] - lr * when(ndim < 2, row_mean(grad[t]), 1)),
            ),
        )
        """,
        5,
        (
            "row_mean(grad[t]) reduces along rows or columns, in a case that has no matrices",
            "in  w[t] = ",
            "when(ndim >= 2, ..., ...)",
        ),
    ),
    "the last value of rows where there are none": (
        """
        r = series("r")
        A = OptimizerSpec(
            "A",
            (lr,),
            (
                Eq(r[t], r[t - 1] + row_mean(grad[t])),
                Eq(w[t], w[t - 1] - lr * when((ndim > 1) & (rows > 3), 1, r[t - 1])),
                Eq(w[1], w[0] - lr * when(~(ndim > 1), r[1], grad[1])),
            ),
        )
        """,
        8,
        ("r[1] is one number per row, in a case that has no matrices",),
    ),
    "what needs rows where there are none": (
        """
        r, n = series("r"), series("n")
        A = OptimizerSpec(
            "A",
            (lr,),
            (
                Eq(r[t], row_mean(grad[t])),
                Eq(n[t], norm(r[t])),
                Eq(w[t], w[t - 1] - lr * when(ndim >= 2, r[t], n[t])),
            ),
        )
        """,
        8,
        ("n[t] needs what a vector has not, since r[t] is one number per row, in a case",),
    ),
    "a shape as a condition": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * when(ndim, grad[t], 1)),))
        """,
        1,
        ("ndim is not a condition", "or a comparison"),
    ),
    "an argument that is called like a number of the shape": (
        """
        rows_ = hyper("rows", 1.0)
        A = OptimizerSpec("A", (rows_,), (Eq(w[t], w[t - 1] - rows * rows_ * grad[t]),))
        """,
        1,
        ("the hyperparameter 'rows' shadows the number of the shape 'rows'", "another name"),
    ),
    "an argument that is called like the loss, which is read": (
        """
        l = hyper("loss", 1.0)
        A = OptimizerSpec("A", (l,), (Eq(w[t], w[t - 1] - loss * l * grad[t]),))
        """,
        1,
        ("the hyperparameter 'loss' shadows the number of the step 'loss'", "another name"),
    ),
    "a start that reads the loss": (
        """
        f = series("f")
        A = OptimizerSpec(
            "A",
            (lr,),
            (
                Eq(f[0], loss),
                Eq(f[t], f[t - 1] / 2 + loss),
                Eq(w[t], w[t - 1] - lr * f[t] * grad[t]),
            ),
        )
        """,
        6,
        (
            "a start reads the loss, which is known in a step only",
            "Let the first update do it: Eq(x[1], ...)",
        ),
    ),
    "a constraint on the loss": (
        """
        A = OptimizerSpec(
            "A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[t]),), requires=((loss > 2, "too good"),)
        )
        """,
        1,
        ("`requires` of A reads loss", "about arguments only"),
    ),
    "a sum over a group of the loss": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * over_group(total(loss))),))
        """,
        1,
        ("total(loss) reduces a per-scalar quantity",),
    ),
    "matrices of no kind": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[t]),), matrices="frist")
        """,
        1,
        ("matrices='frist' says nothing (did you mean 'first'?)", "'last', 'first', 'exact'"),
    ),
    "a constraint on the shape": (
        """
        A = OptimizerSpec(
            "A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[t]),), requires=((rows > 2, "no rows"),)
        )
        """,
        1,
        ("`requires` of A reads rows", "about arguments only"),
    ),
    "bounds of what is no hyperparameter": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[t]),))
        A.dialect("mlx", bounds={"eta": Bounds()})
        """,
        2,
        ("bounds for 'eta', which is no hyperparameter", "Name one of lr"),
    ),
    "bounds that are a number": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[t]),))
        A.dialect("mlx", bounds={"lr": 0})
        """,
        2,
        ("the bounds of lr are 0", "Write Bounds(at_least=0)"),
    ),
    "a default that other bounds do not admit": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[t]),))
        A.dialect("mlx", bounds={"lr": Bounds(above=1)})
        """,
        2,
        ("the default of lr is 0.001, out of its own range", "It must be > 1"),
    ),
    "a default that no float can hold": (
        """
        a = hyper("a", 10**5000)
        A = OptimizerSpec("A", (a,), (Eq(w[t], w[t - 1] - a * grad[t]),))
        """,
        1,
        ("the default of a is larger than any float", "Give a smaller number"),
    ),
    "a bound that no float can hold": (
        """
        a = hyper("a", 1.0, at_most=10**5000)
        A = OptimizerSpec("A", (a,), (Eq(w[t], w[t - 1] - a * grad[t]),))
        """,
        1,
        ("at_most of a is larger than any float", "no finite number"),
    ),
    "a name that is a part of a tuple, too": (
        """
        pair = hyper("pair", (1.0, 2.0), names=("lr", "b"))
        A = OptimizerSpec("A", (lr, pair), (Eq(w[t], w[t - 1] - lr * pair.symbols[1] * grad[t]),))
        """,
        2,
        ("'lr' stands for two numbers", "another name"),
    ),
    "a tuple with one name twice": (
        """
        pair = hyper("pair", (1.0, 2.0), names=("b", "b"))
        A = OptimizerSpec("A", (pair,), (Eq(w[t], w[t - 1] - pair.symbols[1] * grad[t]),))
        """,
        2,
        ("'b' stands for two numbers", "another name"),
    ),
    "a number in a branch that is a condition": (
        """
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - when(grad[t] > 0, True, lr) * grad[t]),))
        """,
        2,
        ("when() computes with numbers, and True is none", "when(condition, 1, 0)"),
    ),
    "a norm of a condition": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * norm(grad[t] > 0)),))
        """,
        1,
        ("norm() computes with numbers, and grad[t] > 0 is none",),
    ),
    "a comparison of a flag": (
        """
        fast = flag("fast", True)
        A = OptimizerSpec("A", (lr, fast), (
            Eq(w[t], w[t - 1] - when(sympy.Eq(fast, 1), lr, 1) * grad[t]),))
        """,
        3,
        ("the flag fast is used as a number", "when(fast, a, b)"),
    ),
    "a comparison of a comparison": (
        """
        fast = flag("fast", True)
        A = OptimizerSpec("A", (lr, fast), (
            Eq(w[t], w[t - 1] - when(sympy.Eq(grad[t] > 0, fast), lr, 1) * grad[t]),))
        """,
        3,
        ("grad[t] > 0",),
    ),
    "an exclusive or": (
        """
        fast, slow = flag("fast", True), flag("slow", True)
        A = OptimizerSpec("A", (lr, fast, slow), (
            Eq(w[t], w[t - 1] - when(sympy.Xor(fast, slow), lr, 1) * grad[t]),))
        """,
        3,
        ("is not a condition", "join with &, | and ~"),
    ),
    "a gradient at no time": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[None]),))
        """,
        1,
        ("grad[None] is at no time",),
    ),
    "a hyperparameter with a time": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr[t] * grad[t]),))
        """,
        1,
        ("what is no series has no times", "Write lr, not lr[t]"),
    ),
    "a gradient at two times": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[t, 1]),))
        """,
        1,
        ("grad[(t, 1)] is at no time",),
    ),
    "a gradient at infinity": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[sympy.oo]),))
        """,
        1,
        ("grad[oo] is not a time that a step can read",),
    ),
    "the root of a number that no float can hold": (
        """
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - lr * grad[t] * 10**sympy.Rational(10001, 2)),))
        """,
        2,
        ("a number of thousands of digits", "below 10**300"),
    ),
    "another name that is none": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[t]),), also_called=("a b",))
        """,
        1,
        ("'a b' cannot be the name of a class", "identifier"),
    ),
    "another name that is taken": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[t]),), also_called=("Any",))
        """,
        1,
        ("the class name 'Any' is taken", "another name"),
    ),
    "a constant that has no name in the language": (
        """
        import sympy
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * sympy.GoldenRatio * grad[t]),))
        """,
        2,
        ("no target can compute GoldenRatio", "The language has"),
    ),
    "a sum that SymPy leaves open": (
        """
        import sympy
        k = sympy.Symbol("k")
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - lr * sympy.Sum(1 / k, (k, 1, t)) * grad[t]),))
        """,
        4,
        ("no target can compute Sum", "The language has"),
    ),
    "a state under a key that no code can hold": (
        """
        m = series("m", saved_as='a"b')
        A = OptimizerSpec("A", (lr,), (
            Eq(m[t], m[t - 1] + grad[t]),
            Eq(w[t], w[t - 1] - lr * m[t])))
        """,
        1,
        ("which is no identifier", "saved_as such as 'exp_avg'"),
    ),
    "a single equation without a comma": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[t])))
        """,
        1,
        ("`equations` must be a tuple", "with a comma"),
    ),
    "an equation of SymPy's": (
        """
        import sympy
        A = OptimizerSpec("A", (lr,), (sympy.Eq(w[t], w[t - 1] - lr * grad[t]),))
        """,
        2,
        ("is no equation", "Eq from lucidgen.spec"),
    ),
    "a right side that is nothing": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], None),))
        """,
        1,
        ("right side of Eq(w[t], ...) is None",),
    ),
    "a start that reduces": (
        """
        m = series("m")
        A = OptimizerSpec("A", (lr,), (
            Eq(m[0], norm(w[0])),
            Eq(m[t], m[t - 1] + grad[t]),
            Eq(w[t], w[t - 1] - lr * m[t])))
        """,
        3,
        ("a start reduces a tensor", "m[0] = norm(w[0])", "first update"),
    ),
    "a constant beyond doubles": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * 10**400 * grad[t]),))
        """,
        1,
        ("too large for floating point", "10**300"),
    ),
    "a special value that is no number": (
        """
        mu = hyper("mu", 0.9, special="0")
        A = OptimizerSpec("A", (lr, mu), (Eq(w[t], w[t - 1] - lr * mu * grad[t]),))
        """,
        1,
        ("special of mu is '0'", "Give a float"),
    ),
    "a series without its time": (
        """
        m = series("m")
        A = OptimizerSpec("A", (lr,), (
            Eq(m, grad[t]),
            Eq(w[t], w[t - 1] - lr * m[t])))
        """,
        3,
        ("cannot sympify", "Series"),
    ),
    "a comparison that Python answers": (
        """
        m = series("m")
        A = OptimizerSpec("A", (lr,), (
            Eq(m[t], when(grad[t] == 0, m[t - 1], grad[t])),
            Eq(w[t], w[t - 1] - lr * m[t])))
        """,
        3,
        ("Python's False", "sympy.Eq(a, b)"),
    ),
    "a state under a key of the runtime's own": (
        """
        m = series("m", saved_as="started")
        A = OptimizerSpec("A", (lr,), (
            Eq(m[t], m[t - 1] + grad[t]),
            Eq(w[t], w[t - 1] - lr * m[t])))
        """,
        1,
        ("saved as 'started', which is taken", "another saved_as"),
    ),
    "an undefined series with the nearest name": (
        """
        m_hat, m_hta = series("m_hat"), series("m_hta")
        A = OptimizerSpec("A", (lr,), (
            Eq(m_hat[t], grad[t]),
            Eq(w[t], w[t - 1] - lr * m_hta[t] - m_hat[t])))
        """,
        4,
        ("no equation defines m_hta[t]", "did you mean 'm_hat'", "w[t] =", "correct the name"),
    ),
    "a series defined twice": (
        """
        m = series("m")
        A = OptimizerSpec("A", (lr,), (
            Eq(m[t], grad[t]),
            Eq(m[t], grad[t] + 1),
            Eq(w[t], w[t - 1] - lr * m[t])))
        """,
        4,
        ("m[t] is defined twice", "made.py:", "m[t] = grad[t] + 1", "Keep one"),
    ),
    "a cycle as a path": (
        """
        a, b = series("a"), series("b")
        A = OptimizerSpec("A", (lr,), (
            Eq(a[t], b[t] + grad[t]),
            Eq(b[t], a[t]),
            Eq(w[t], w[t - 1] - lr * a[t])))
        """,
        3,
        ("a cycle: a[t] -> b[t] -> a[t]", "a[t] =", "t - 1"),
    ),
    "memory of two steps": (
        """
        m = series("m")
        A = OptimizerSpec("A", (lr,), (
            Eq(m[t], grad[t] + m[t - 2]),
            Eq(w[t], w[t - 1] - lr * m[t])))
        """,
        3,
        ("m[t - 2] reaches back 2 steps", "m[t] =", "m_before[t]"),
    ),
    "a float": (
        """
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - lr * (grad[t] + 0.25)),))
        """,
        2,
        ("the float 0.25", "w[t] =", "Rational(1, 4)"),
    ),
    "an undeclared symbol": (
        """
        import sympy
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - lr * grad[t] * sympy.Symbol("lrr")),))
        """,
        3,
        ("the symbol lrr is not among the arguments", "did you mean 'lr'", "hyper(...)"),
    ),
    "a hyperparameter that is not among the arguments": (
        """
        eps = hyper("eps", 1e-8)
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - lr * grad[t] * eps),))
        """,
        3,
        ("the hyperparameter eps is not among the arguments", "`arguments`"),
    ),
    "an unused hyperparameter": (
        """
        eps = hyper("eps", 1e-8)
        A = OptimizerSpec("A", (lr, eps), (Eq(w[t], w[t - 1] - lr * grad[t]),))
        """,
        1,
        ("no equation of A uses eps", "take it out"),
    ),
    "two states saved under one name": (
        """
        a, b = series("a", saved_as="x"), series("b", saved_as="x")
        A = OptimizerSpec("A", (lr,), (
            Eq(a[t], a[t - 1] + grad[t]),
            Eq(b[t], b[t - 1] + grad[t]),
            Eq(w[t], w[t - 1] - lr * a[t] * b[t])))
        """,
        1,
        ("saved as 'x', which is taken", "saved_as"),
    ),
    "no equation for w": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(series("m")[t], lr * grad[t]),))
        """,
        1,
        ("A has no equation for w[t]", "Eq(w[t], w[t - 1] - ...)"),
    ),
    "a domain clash": (
        """
        n = series("n")
        A = OptimizerSpec("A", (lr,), (
            Eq(n[t], norm(lr)),
            Eq(w[t], w[t - 1] - n[t] * grad[t])))
        """,
        3,
        ("norm(lr) reduces a per-scalar quantity", "n[t] =", "varies over the elements"),
    ),
    "a row reduction of what is per row": (
        """
        r = series("r")
        A = OptimizerSpec("A", (lr,), (
            Eq(r[t], row_mean(grad[t] ** 2)),
            Eq(w[t], w[t - 1] - lr * grad[t] / row_max(r[t]))))
        """,
        4,
        ("row_max(r[t]) reduces a per-row quantity", "w[t] =", "column_mean and the like"),
    ),
    "a column reduction of what is per matrix": (
        """
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - grad[t] / column_total(column_mean(row_norm(grad[t])))),))
        """,
        2,
        ("reduces a per-matrix quantity", "w[t] =", "mean, total, norm and largest"),
    ),
    "a reduction of what is one number in one case": (
        """
        fast = flag("fast", False)
        A = OptimizerSpec("A", (lr, fast), (
            Eq(w[t], w[t - 1] - grad[t] * total(when(fast, grad[t], lr))),))
        """,
        3,
        ("reduces lr in one of its cases", "a value per element", "w[t] =", "size * a"),
    ),
    "a count of a condition that holds for all in one case": (
        """
        fast = flag("fast", False)
        A = OptimizerSpec("A", (lr, fast), (
            Eq(w[t], w[t - 1] - lr * grad[t] * count(fast | (grad[t] > 0))),))
        """,
        3,
        ("reduces 1 in one of its cases", "w[t] =", "outside of the reduction"),
    ),
    "a reduction of a series that is one number in one case": (
        """
        decay = hyper("decay", 0.0, special=0)
        u, n = series("u"), series("n")
        A = OptimizerSpec("A", (lr, decay), (
            Eq(u[t], decay * grad[t] + lr),
            Eq(n[t], norm(u[t])),
            Eq(w[t], w[t - 1] - u[t] * n[t] * grad[t])))
        """,
        5,
        ("norm(u[t]) reduces u[t] in one of its cases", "n[t] =", "outside of the reduction"),
    ),
    "a name that shadows another": (
        """
        lr_series = series("lr")
        A = OptimizerSpec("A", (lr,), (
            Eq(lr_series[t], lr * grad[t]),
            Eq(w[t], w[t - 1] - lr_series[t])))
        """,
        1,
        ("the series 'lr' shadows the hyperparameter 'lr'", "another name"),
    ),
    "a name that the compiler takes": (
        """
        scratch = series("scratch")
        A = OptimizerSpec("A", (lr,), (
            Eq(scratch[t], lr * grad[t]),
            Eq(w[t], w[t - 1] - scratch[t])))
        """,
        1,
        ("the name 'scratch' is taken", "another name"),
    ),
    "a bad default": (
        """
        beta = hyper("beta", 1.5, at_least=0, below=1)
        A = OptimizerSpec("A", (lr, beta), (Eq(w[t], w[t - 1] - lr * beta * grad[t]),))
        """,
        1,
        ("the default of beta is 1.5, out of its own range", ">= 0 and < 1"),
    ),
    "a Python error": (
        """
        A = 1
        B = lr.nothing
        """,
        2,
        ("AttributeError", "nothing", "Correct this line"),
    ),
    "Python's max": (
        """
        m = series("m")
        A = OptimizerSpec("A", (lr,), (
            Eq(m[t], max(m[t - 1], grad[t])),
            Eq(w[t], w[t - 1] - lr * m[t])))
        """,
        3,
        ("grad[t] > m[t - 1] is neither true nor false", "Max(a, b)"),
    ),
    "NumPy's minimum": (
        """
        import numpy as np
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - np.minimum(lr, grad[t])),))
        """,
        3,
        ("is neither true nor false", "Min(a, b)"),
    ),
    "conditions joined by a word": (
        """
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - when(lr > 0 and grad[t] > 0, lr, 0)),))
        """,
        2,
        ("lr > 0 is neither true nor false", "(a) & (b)"),
    ),
    "flags joined by a word": (
        """
        a, b = flag("a", False), flag("b", False)
        A = OptimizerSpec("A", (lr, a, b), (
            Eq(w[t], w[t - 1] - when(a and b, lr, 0) * grad[t]),))
        """,
        3,
        ("a is neither true nor false", "(a) & (b)"),
    ),
    "a negated flag": (
        """
        a = flag("a", False)
        A = OptimizerSpec("A", (lr, a), (
            Eq(w[t], w[t - 1] - when(not a, lr, 0) * grad[t]),))
        """,
        3,
        ("a is neither true nor false", "~(a)"),
    ),
    "a chain of comparisons": (
        """
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - when(0 < grad[t] < lr, lr, 0)),))
        """,
        2,
        ("grad[t] > 0 is neither true nor false", "(a < b) & (b < c)"),
    ),
    "Python's if": (
        """
        momentum = hyper("momentum", 0.0)
        step = grad[t]
        if momentum > 0:
            step = step * momentum
        """,
        3,
        ("momentum > 0 is neither true nor false", "when(condition, a, b)"),
    ),
    "a quantity as Python's condition": (
        """
        momentum = hyper("momentum", 0.0)
        step = grad[t] * momentum if momentum else grad[t]
        """,
        2,
        ("momentum is neither true nor false", "when(condition, a, b)"),
    ),
    "math's square root": (
        """
        import math
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - lr * math.sqrt(grad[t] ** 2)),))
        """,
        3,
        ("a quantity has no number", "Write sqrt from lucidgen.spec"),
    ),
    "NumPy's exponential": (
        """
        import numpy as np
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - lr * np.exp(2 * grad[t])),))
        """,
        3,
        ("a quantity has no number", "Write exp from lucidgen.spec"),
    ),
    "a quantity made a float": (
        """
        half = float(lr) / 2
        """,
        1,
        ("a quantity has no number", "Write sqrt, exp, log, tanh, atan from lucidgen.spec"),
    ),
    "invalid Python": (
        """
        A = 1
        B = (
        """,
        2,
        ("not valid Python", "Correct the syntax"),
    ),
    "dropping what is not there": (
        """
        from lucidgen.specs.adam import Adam, m
        B = Adam.variant("B", drop=(series("vv")[t],))
        """,
        2,
        ("cannot drop vv[t]", "no such equation", "'v'"),
    ),
    "another key for what is not there": (
        """
        from lucidgen.specs.adam import Adam
        B = Adam.variant("B", saved_as={series("vv"): "nu"})
        """,
        2,
        ("cannot save vv as 'nu'", "The equations define"),
    ),
    "a flag used as a number": (
        """
        fast = flag("fast", False)
        A = OptimizerSpec("A", (lr, fast), (
            Eq(w[t], w[t - 1] - lr * grad[t] * fast),))
        """,
        3,
        ("the flag fast is used as a number", "when(fast, a, b)"),
    ),
    "an unnamed iteration": (
        """
        x = grad[t]
        for i in range(7):
            x = x * (x + w[t - 1]) + i
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - lr * x),))
        """,
        5,
        ("the right side of Eq(w[t], ...) has ", " nodes, more than 400; name the intermediate"),
    ),
    "an iteration of functions that was not named": (
        """
        x = grad[t]
        for i in range(3000):
            x = Abs(x - 1)
        """,
        3,
        ("what Abs() is given is nested 49 deep, more than 48", "name the intermediate results"),
    ),
    "an iteration that reads the one before twice": (
        """
        x = grad[t]
        for i in range(60):
            x = exp(x) + tanh(x) * lr
        """,
        3,
        ("what exp() is given has 763 nodes, more than 400", "name the intermediate results"),
    ),
    "clips in clips, which SymPy compares again and again": (
        """
        x = grad[t]
        for i in range(30):
            x = Max(x, 1) * 2
        """,
        3,
        ("what Max() is given is nested 54 deep", "a Max or Min counts for 8"),
    ),
    "what is too deep for Python": (
        """
        def root_of(x):
            return root_of(x + 1) ** 2
        x = root_of(grad[t])
        """,
        2,
        ("is nested too deeply for Python", "in  return root_of", "Name the intermediate results"),
    ),
    "a division by zero in a Max": (
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * Max(grad[t], sympy.zoo)),))
        """,
        1,
        ("Max() is given zoo, which is infinite, undefined or complex", "division by zero"),
    ),
    "nan in a Min": (
        """
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - lr * Min(grad[t], float("nan"))),))
        """,
        2,
        ("Min() is given nan, which is infinite, undefined or complex", "division by zero"),
    ),
    "the previous gradient": (
        """
        A = OptimizerSpec("A", (lr,), (
            Eq(w[t], w[t - 1] - lr * grad[t - 1]),))
        """,
        2,
        ("the previous gradient is not kept", "Eq(g[t], grad[t])"),
    ),
    "an unknown role": (
        """
        a = hyper("a", 1.0, role="rat")
        A = OptimizerSpec("A", (a,), (Eq(w[t], w[t - 1] - a * grad[t]),))
        """,
        1,
        ("a has the role 'rat'", "did you mean 'rate'?", "'rate', 'decay', 'momentum'"),
    ),
    "a role twice": (
        """
        a = hyper("a", 1.0, role="rate")
        b = hyper("b", 1.0, role="rate")
        A = OptimizerSpec("A", (a, b), (Eq(w[t], w[t - 1] - a * b * grad[t]),))
        """,
        2,
        ("b has the role 'rate', and so has a", "one of them"),
    ),
    "a rate that is two numbers": (
        """
        b, c = a = hyper("a", (1.0, 2.0), names=("b", "c"), role="rate")
        A = OptimizerSpec("A", (a,), (Eq(w[t], w[t - 1] - b * c * grad[t]),))
        """,
        1,
        ("a has the role 'rate' and is a tuple", "an argument by itself"),
    ),
    "a decay that cannot be left out": (
        """
        a = hyper("a", 1.0, above=0, role="decay")
        A = OptimizerSpec("A", (lr, a), (Eq(w[t], w[t - 1] - lr * a * grad[t]),))
        """,
        1,
        ("a is the decay and must be > 0", "special=..."),
    ),
    "a state under the name of the rate": (
        """
        a, m = hyper("a", 1.0, role="rate"), series("m", saved_as="a")
        A = OptimizerSpec("A", (a,), (
            Eq(m[t], m[t - 1] + grad[t]),
            Eq(w[t], w[t - 1] - a * m[t])))
        """,
        1,
        ("the state m is saved as 'a', which is the rate", "another saved_as"),
    ),
    "no optimizer at all": ("x = 1", 1 - (FIRST - 1), ("defines no optimizer", "OptimizerSpec")),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_error_names_file_line_equation_and_remedy(name: str, tmp_path: Path) -> None:
    source, line, words = WRONG[name]
    found = problems(tmp_path, source)
    text = "\n".join(str(problem) for problem in found)
    for word in words:
        assert word in text
    first = next(p for p in found if words[0] in p.what + p.remedy or words[0] in str(p))
    assert first.location.line == FIRST - 1 + line
    assert first.remedy


#: What a spec says wrongly of other libraries, and words of the message and the remedy.
WRONG_ELSEWHERE = {
    "an unknown library": ('{"mxl": {}}', "names 'mxl', whose", "did you mean 'mlx'?", "Name one"),
    "no libraries": ("{'mlx'}", "saved_elsewhere of A is {'mlx'}", "Write {'mlx': {"),
    "no mapping": ('{"mlx": m}', "what mlx saves of A is m", "Write {'its key': m[t], ...}"),
    "no key": ('{"mlx": {3: m[t]}}', "mlx saves of A as 3: a key must be a text"),
    "an unknown series": (
        '{"mlx": {"v": mm[t]}}',
        "as 'v': mm is no state (did you mean 'm'?)",
        "It has m.",
    ),
    "a series that is no state": ('{"mlx": {"v": g[t]}}', "g is no state", "It has m."),
    "a series without its time": ('{"mlx": {"v": m}}', "m has no time", "Write m[t]."),
    "the step before": ('{"mlx": {"v": m[t - 1]}}', "m[t - 1] is not what a step leaves"),
    "two states": ('{"mlx": {"v": m[t] + g[t]}}', "reads g[t] and m[t]", "one state, times a"),
    "no state": ('{"mlx": {"v": 2 * lr}}', "2*lr reads no state"),
    "a power": ('{"mlx": {"v": lr * m[t] ** 2}}', "no multiple of m[t]", "by a factor alone"),
    "a sum": ('{"mlx": {"v": m[t] + lr}}', "no multiple of m[t]"),
    "a factor that no equation uses": (
        '{"mlx": {"v": m[t] / rate}}',
        "rate is no hyperparameter in its equations",
        "It has lr.",
    ),
    "a factor that changes": ('{"mlx": {"v": t * m[t]}}', "t is no hyperparameter in its"),
    "an unknown argument": (
        '{"pytorch_optimizer": {"speed": (lr, rate)}}',
        "as 'speed': rate is no argument",
        "It has lr.",
    ),
    "a condition about something else": (
        '{"pytorch_optimizer": {"x": where(rate > 0, True)}}',
        "rate is no argument",
    ),
    "a condition without a meaning": (
        '{"pytorch_optimizer": {"x": where(lr, True)}}',
        "lr is not a condition",
        "special=...",
    ),
    "something else": ('{"mlx": {"v": [1]}}', "[1] is nothing that a library could keep", "m[t]"),
}


@pytest.mark.parametrize("name", WRONG_ELSEWHERE)
def test_what_other_libraries_keep_is_checked_at_the_line_of_the_spec(
    name: str, tmp_path: Path
) -> None:
    said, *words = WRONG_ELSEWHERE[name]
    source = f"""
        rate, m, mm, g = hyper("rate", 1.0), series("m"), series("mm"), series("g")
        A = OptimizerSpec("A", (lr,), saved_elsewhere={said}, equations=(
            Eq(g[t], 2 * grad[t]),
            Eq(m[t], m[t - 1] + g[t]),
            Eq(w[t], w[t - 1] - lr * m[t])))
        """
    found = problems(tmp_path, source)
    assert len(found) == 1
    assert found[0].location.line == FIRST + 1
    for word in words:
        assert word in str(found[0])


#: Arguments of the wrong kind, and what is said of them.
OF_ANOTHER_KIND = {
    'OptimizerSpec("A", (lr,), GOOD, paper=5)': "`paper` must be text",
    'OptimizerSpec("A", (lr,), GOOD, summary=5)': "`summary` must be text",
    'OptimizerSpec("A", (lr,), GOOD, notes=None)': "`notes` must be text in quotes, not None",
    "OptimizerSpec(5, (lr,), GOOD)": "`name` must be text",
    'OptimizerSpec("A", (lr,), GOOD, reading=None)': "`reading` must be text",
    'OptimizerSpec("A", (lr,), GOOD, counts_steps="yes")': "`counts_steps` must be True or False",
    'OptimizerSpec("A", (lr,), GOOD, defaults=5)': "`defaults` must be a dict",
    'OptimizerSpec("A", (lr,), GOOD, bounds=5)': "`bounds` must be a dict",
    'OptimizerSpec("A", (lr,), GOOD, torch_keys=5)': "`torch_keys` must be a dict",
    'OptimizerSpec("A", (lr,), GOOD, torch_keys={5: 1})': "`torch_keys` has the key 5",
    'OptimizerSpec("A", (lr,), GOOD, requires=((lr > 0, 5),))': "`requires` has the entry",
    'OptimizerSpec("A", (lr,), GOOD, requires=(lr > 0,))': "`requires` has the entry",
    'OptimizerSpec("A", 5, GOOD)': "`arguments` must be a tuple",
    'Schedule("A", (), (), notes=5)': "`notes` must be text",
    'Schedule("A", (), (), chainable=5)': "`chainable` must be True or False",
    'Schedule("A", (), (), torch_keys=5)': "`torch_keys` must be a dict",
    'Schedule("A", (), (), requires=(5,))': "`requires` has the entry 5",
    "hyper(5, 1.0)": "`name` must be text",
    'hyper("a", 1.0, doc=5)': "`doc` must be text",
    'hyper("a", 1.0, role=None)': "`role` must be text",
    'hyper("a", (1.0, 2.0), names=5)': "`names` must be a tuple",
    'hyper("a", (1.0, 2.0), names=("b", 5))': "`names[1]` must be text",
    'hyper("a", (1.0, 2.0), names=("b",))': "a has 2 defaults and 1 names",
    "flag(5, True)": "`name` must be text",
    'flag("f", True, doc=5)': "`doc` must be text",
    "series(5)": "`name` must be text",
    'series("m", saved_as=5)': "`saved_as` must be text",
    'series("m", keep=1)': "`keep` must be True or False",
}


@pytest.mark.parametrize("source", OF_ANOTHER_KIND)
def test_an_argument_of_another_kind_is_said_at_its_line(source: str, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, f"GOOD = (Eq(w[t], w[t - 1] - lr * grad[t]),)\nA = {source}")
    assert problem.location.line == FIRST + 1
    assert OF_ANOTHER_KIND[source] in problem.what


def test_all_errors_of_a_file_are_reported_at_once_in_its_order(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        eps = hyper("eps", -1.0, at_least=0)
        m, n = series("m"), series("n")
        A = OptimizerSpec("A", (lr, eps), (
            Eq(m[t], m[t - 2] + 0.5 * grad[t]),
            Eq(w[t], w[t - 1] - lr * n[t])))
        B = OptimizerSpec("B", (lr,), (
            Eq(m[t], lr * grad[t]),))
        C = undefined_name
        """,
    )
    text = [p.what for p in found]
    for word in ("out of its own range", "uses eps", "reaches back", "the float", "no equation "
                 "defines n[t]", "B has no equation for w[t]", "NameError"):  # fmt: skip
        assert any(word in what for what in text), word
    lines = [p.location.line for p in found]
    assert lines == sorted(lines)


def test_the_names_of_scalar_functions_are_taken(tmp_path: Path) -> None:
    names = ("sqrt", "exp", "log", "power", "where", "maximum", "sign", "abs")
    for name in names:
        found = problems(
            tmp_path,
            f"""
            x = hyper("{name}", 1.0)
            A = OptimizerSpec("A", (lr, x), (Eq(w[t], w[t - 1] - lr * x * grad[t]),))
            """,
        )
        assert "taken by the compiler" in found[0].what


def test_dialects_are_checked_with_their_optimizer(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        A = OptimizerSpec("A", (lr,), (Eq(w[t], w[t - 1] - lr * grad[t]),))
        A.dialect("other", replace=(Eq(w[t], w[t - 1] - lr * grad[t] / (w[t - 1] - w[t - 1])),))
        """,
    )
    assert "infinite, undefined or complex" in found[0].what
