"""Names that targets have taken: what lists say against what texts have, and what is done then."""

import re
import subprocess
import symtable
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from lucidgen.ir.lower import lower
from lucidgen.ir.program import Program
from lucidgen.package import render
from lucidgen.package.module import compile_file
from lucidgen.package.rule import CompiledRule
from lucidgen.passes import optimize
from lucidgen.runtime.backends.gpu import languages
from lucidgen.runtime.backends.loops.compiler import FLAGS, compiler
from lucidgen.runtime.rules import ieee
from lucidgen.runtime.rules.calling import call
from lucidgen.spec import Eq, OptimizerSpec, flag, grad, hyper, series, sqrt, t, w, when
from lucidgen.spec.loader import SpecFile
from lucidgen.spec.names import is_name, of_optimizers
from lucidgen.targets import cpp, cuda, mlx, numpy, registry
from lucidgen.targets.common import host
from lucidgen.targets.common.names import CPP, KERNELS, METAL, PYTHON, Words, in_ascii, renamed

#: What each target has taken, by the name under which texts of it are found below.
WORDS: Mapping[str, Words] = {
    "numpy": numpy.WORDS,
    "mlx": mlx.WORDS,
    "host": host.WORDS,
    "cpp": cpp.WORDS,
    "metal": KERNELS,
    "cuda": cuda.WORDS,
}

#: Names like those that only patterns cover.
LIKE_PATTERNS = (
    *("work1", "work12", "mask", "mask2", "new_m", "new_w", "flat_m", "w_1", "grad_2", "w_i"),
    *("m_array", "adam_rule", "adam_loop", "M_PI", "NULL", "LUCIDGEN_RULE", "INT_MAX", "uint8_t"),
    *("float4", "packed_half3", "m__2", "w_shape", "m_strides", "m_ndim", "lambda_", "x_"),
    *("\u03b2", "\u00e9t\u00e9", "\u4e2d", "\u00df", "\u2202x"),
)


@cache
def everything() -> tuple[str, ...]:
    """Every name that some target has taken and an author may use."""
    found = set(LIKE_PATTERNS).union(*(words.names for words in (*WORDS.values(), METAL)))
    return tuple(sorted(n for n in found if is_name(n) and n not in of_optimizers()))


# An optimizer with everything that texts are made of


def named(names: Mapping[str, str] = {}, title: str = "Named") -> OptimizerSpec:
    """The optimizer, with other names for some of its quantities."""
    of = {name: names.get(name, name) for name in SLOTS}
    m, s, b, q = (series(of[name]) for name in "msbq")
    lr, h = hyper("lr", 0.1, at_least=0), hyper(of["h"], 0.5)
    g = hyper(of["g"], 0.1, special=0, at_least=0)
    f, e = flag(of["f"], True), flag(of["e"], False)
    c, d = pair = hyper("pair", (0.5, 0.25), names=(of["c"], of["d"]))
    return OptimizerSpec(
        title,
        (lr, h, g, f, e, pair),
        (
            Eq(m[1], grad[1]),
            Eq(m[t], h * m[t - 1] + grad[t]),
            Eq(s[0], sqrt(h) + c),
            Eq(s[t], s[t - 1] * c + sqrt(t)),
            Eq(b[t], when(f, m[t] + d * b[t - 1], b[t - 1] / 2 + grad[t])),
            Eq(q[t], when(s[t] > 2, sqrt(abs(b[t])), when(e, m[t], b[t])) + g * w[t - 1]),
            Eq(w[t], w[t - 1] - lr * when(q[t] > 0, q[t], q[t] / 2) / s[t]),
        ),
        requires=((h < 1, "too large"),),
    )


#: What can be called otherwise: states, a local, hyperparameters, flags, members of a tuple.
SLOTS = ("m", "s", "b", "q", "h", "g", "f", "e", "c", "d")


@pytest.fixture(scope="module")
def program() -> Program:
    return optimize(lower(named()))


@pytest.fixture(scope="module")
def rule() -> CompiledRule:
    (made,) = compile_file(SpecFile(Path("named.py"), "", (named(),))).rules
    return made


# The lists, against the texts


def identifiers(text: str) -> set[str]:
    """The names in a text of the C family, without what stands behind `::` or a dot."""
    passed_over = r"//[^\n]*|\"[^\"\n]*\"|\[\[.*?\]\]|^\s*#.*$"
    text = re.sub(passed_over, "", text, flags=re.MULTILINE)
    return set(re.findall(r"(?<![\w.:])[A-Za-z_]\w*", text))


def used_in_python(text: str) -> Iterator[str]:
    """The names of functions that are local or looked up outside of them, parameters apart."""
    for table in symtable.symtable(text, "text", "exec").get_children():
        yield from (s.get_name() for s in table.get_symbols() if not s.is_parameter())


def texts_of(rule: CompiledRule, target: str) -> str:
    """All text in which a target uses the author's names."""
    if target == "host":
        return render.host_text(rule)
    text = render.rule_text(rule, registry.load(target))
    if target == "metal":
        text += render._render("_metal/kernel.metal", rule=rule)
    if target == "cuda":
        text += render._render("_cuda/kernel.cu", rule=rule)
    if target in languages.LANGUAGES:
        language = languages.LANGUAGES[target]
        text += language.one() + language.many(2, ["m"])
    return text


@pytest.mark.parametrize("target", WORDS)
def test_what_a_text_uses_of_its_own_is_taken(rule: CompiledRule, target: str) -> None:
    text = texts_of(rule, target)
    own = {*rule.program.choices, *(s.name.removesuffix("[t - 1]") for s in rule.program.domains)}
    is_python = target in ("numpy", "mlx", "host")
    used = set(used_in_python(text)) if is_python else identifiers(text)
    own |= {f"{rule.name}_{what}" for what in ("step", "scalars", "captured_step")}
    own |= {f"lucidgen_{rule.name}"}
    assert used - own, "nothing is compared"
    assert {n for n in used - own if n not in WORDS[target]} == set()


def test_macros_are_taken_in_cpp() -> None:
    header = Path(render.__file__).parents[2] / "generated/lucid/optim/_cpp/multi_tensor.h"
    (command, *_) = compiler()
    line = [command, *FLAGS[:1], "-dM", "-E", "-x", "c++", str(header)]
    found = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    objects = set(re.findall(r"^#define ([A-Za-z]\w*) ", found, re.MULTILINE))
    assert len(objects) > 50
    assert sorted(name for name in objects if name not in CPP) == []


# What is free is written in another way


@pytest.mark.parametrize("target", WORDS)
def test_a_name_that_is_taken_is_written_in_another_way(target: str) -> None:
    words, taken = WORDS[target], set[str]()
    for name in everything():
        found = words.free(name, {*everything(), *taken} - {name})
        assert found not in words
        assert found.isidentifier()
        assert found == name or found not in everything()
        assert (found == name) == (name not in words and words.plain(name) == name)
        assert found.isascii() or words.plain is str
        assert found not in taken
        taken.add(found)


def test_letters_become_names_of_letters() -> None:
    assert in_ascii("\u03b21") == "beta1"
    assert in_ascii("\u03c2") == "sigma"
    assert in_ascii("\u00df\u00e9") == "sharp_se"


def test_choices_go_on_being_called_after_what_they_are_about(program: Program) -> None:
    calls = {"m": "np", "g": "sum"}
    other, _ = renamed(program, lambda name, _: calls.get(name, name))
    assert {"first_np", "use_sum"} <= set(other.choices)
    again, names = renamed(other, (PYTHON | numpy.WORDS).free)
    assert {"first_own_np", "use_own_sum"} <= set(again.choices)
    assert (names["np"], names["use_sum"]) == ("own_np", "use_own_sum")
    again.check()


# Every name, in every place, runs


VALUES = {"lr": 0.1, "h": 0.5, "g": 0.25, "c": 0.5, "d": 0.25, "s": 1.5, "f": True, "e": False}
VALUES |= {"t": 3.0, "grad_factor": 1.0, "grad_bound": np.inf, "scale_grad": False}
VALUES |= {"use_g": True, "first_m": False, "first_w": False}
ARRAYS = {"w": [1.0, -2.0], "grad": [0.5, -0.25], "m": [0.25, 3.0], "b": [-1.0, 0.5]}


def stepped(program: Program, names: Mapping[str, str], target: str) -> list[Any]:
    """What a step of a program leaves in w, m, b and s; `names` has the names of `SLOTS` in it."""
    values = {_called(name, names): value for name, value in VALUES.items()}
    function = host.host_function(program)
    imports = {name: getattr(ieee, name) for name in function.imports}
    scalars = _defined(function.parameters, function.lines, _mapping(function.results), imports)
    values |= call(scalars, values)
    make = np.array if target == "numpy" else mx.array
    arrays = {_called(name, names): make(value) for name, value in ARRAYS.items()}
    kept = [_called(name, names) for name in ("w", "m", "b")]
    if target == "numpy":
        step = numpy.step_function(program)
        values["scratch"] = tuple(np.empty(2) for _ in range(step.scratch))
        call(_defined(step.parameters, step.lines, "None", {"np": np}), {**values, **arrays})
    else:
        step = mlx.step_function(program)
        result = f"{', '.join(step.outputs)},"
        found = call(
            _defined(step.parameters, step.lines, result, {"mx": mx}), {**values, **arrays}
        )
        made = [str(o.after) for o in program.outputs if str(o.after) != names.get("s", "s")]
        arrays |= dict(zip(made, found, strict=True))
    return [*(np.array(arrays[name]) for name in kept), values[names.get("s", "s")]]


def _called(name: str, names: Mapping[str, str]) -> str:
    kind, _, of = name.partition("_")
    return f"{kind}_{names[of]}" if of in names else names.get(name, name)


def _mapping(results: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key!r}: {value}" for key, value in results.items()) + "}"


def _defined(parameters: Any, lines: Any, result: str, given: dict[str, Any]) -> Any:
    body = "".join(f"    {line}\n" for line in lines)
    exec(f"def function({', '.join(parameters)}):\n{body}    return {result}\n", given)
    return given["function"]


def test_a_name_that_python_has_taken_computes_the_same_in_every_place(program: Program) -> None:
    taken = WORDS["numpy"] | WORDS["mlx"] | WORDS["host"]
    expected = {target: stepped(program, {}, target) for target in ("numpy", "mlx")}
    every = [name for name in everything() if name in taken]
    assert len(every) > 150
    for start in range(0, len(every), 2):
        # Two flags at a time; three series and three hyperparameters, of which each name is one.
        chosen = [every[(start + k) % len(every)] for k in (0, 1, 40, 41, 42, 80, 81, 82)]
        calls = dict(zip("femsbhgc" if start % 4 else "efqsmdgh", chosen, strict=True))
        other, _ = renamed(program, partial(_named_in, calls))
        safe, names = renamed(other, taken.free)
        in_code = {slot: names[calls.get(slot, slot)] for slot in SLOTS}
        for target in expected:
            found = stepped(safe, in_code, target)
            for mine, plain in zip(found, expected[target], strict=True):
                np.testing.assert_allclose(mine, plain, rtol=1e-6, err_msg=str(calls))


def _named_in(calls: Mapping[str, str], name: str, _: Iterable[str]) -> str:
    return calls.get(name, name)
