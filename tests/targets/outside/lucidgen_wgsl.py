"""A target as another package adds one: WebGPU's language WGSL, the function of one element.

One module and one folder of templates, and an entry point that names `TARGET`.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lucidgen.package.catalog import Entry
from lucidgen.package.module import compile_file
from lucidgen.runtime.rules.calling import call, evaluate
from lucidgen.targets.common import gpu
from lucidgen.targets.common.c_like import CPrinter
from lucidgen.targets.common.names import safe
from lucidgen.targets.common.target import Target, Unserved
from lucidgen.targets.common.trees import Node
from lucidgen.verify.emitted import build, settings
from lucidgen.verify.oracle import Trajectory
from lucidgen.verify.report import Report
from lucidgen.verify.setting import Setting


class WgslPrinter(CPrinter):
    """WGSL expressions."""

    language: ClassVar[str] = "wgsl"
    texts: ClassVar[Mapping[str, str]] = {
        **{name: name for name in ("sqrt", "pow", "exp", "log", "tanh", "abs", "sign")},
        "maximum": "max",
        "minimum": "min",
        "cbrt": "pow({0}, 1.0f / 3.0f)",
    }

    def declaration(self, name: str) -> str:
        """A variable with its type."""
        return f"var {name}: f32"

    def print_where(self, test: Node, yes: Node, no: Node) -> tuple[str, int]:
        """WGSL's select takes the other case first."""
        return f"select({self.print(no)}, {self.print(yes)}, {self.print(test)})", 10


LANGUAGE = gpu.Language(WgslPrinter, "{}", {}, safe)


def compile(program: Any, name: str) -> gpu.Kernel:
    """The function for one element."""
    found = gpu.kernel(program, name, LANGUAGE)
    if found.tensors is not None:
        raise Unserved("it reduces over tensors")
    return found


def verify(entry: Entry) -> Iterator[Report]:
    """Run the text, taken to Python, and compare a first step with the equations."""
    rules = compile_file(entry.file, ("numpy", "wgsl")).rules
    kernel = next(r for r in rules if r.spec is entry.spec)["wgsl"]
    if kernel is None:
        return
    compared, wrong = 0, []
    with tempfile.TemporaryDirectory() as folder:
        rule = getattr(build([entry.main], Path(folder)), entry.main.name).rules[entry.spec.reading]
        for setting in settings(entry.spec, entry.main):
            found, truth = _stepped(kernel, rule, setting), Trajectory(setting, np.array([0.5]))
            truth.step(np.array([0.25]))
            exact = {"w": truth.w} | {
                s: truth.states[s] for s in kernel.states if s in truth.states
            }
            for name, value in exact.items():
                compared += 1
                if not abs(found[name] - float(value[0])) < 1e-12:
                    wrong.append(f"{setting}: {name} is {found[name]}, not {float(value[0])}")
    shown = (f"  equations: {compared} numbers to 12 digits",) if compared else ()
    yield Report(entry.name, shown, tuple(wrong))


def _stepped(kernel: gpu.Kernel, rule: Any, setting: Setting) -> dict[str, float]:
    """What the text leaves in w and the states after a first step."""
    spec = setting.spec
    values: dict[str, Any] = {h.name: setting.hyper(h) for h in spec.hypers}
    values |= {flag.name: setting.flag(flag) for flag in spec.flags}
    values |= {f"use_{h.name}": setting.is_away(h) for h in spec.hypers if h.special is not None}
    values |= {f"first_{s.name}": True for s in spec.states} | {"first_w": True, "t": 1.0}
    values |= {"scale_grad": setting.scales_grad, "grad_bound": setting.grad_bound}
    values |= {"grad_factor": setting.grad_factor}
    values |= {s.name: call(s.start, values) if s.start else 0.0 for s in rule.states}
    values |= evaluate(rule.scalars, values) if rule.scalars else {}
    functions: dict[str, Any] = {"sign": lambda x: (x > 0) - (x < 0)}
    functions |= {"select": lambda no, yes, test: yes if test else no, "max": max, "min": min}
    functions |= {name: getattr(math, name) for name in ("sqrt", "exp", "log", "tanh")}
    names = {**functions, **values, "w": 0.5, "grad": 0.25}
    exec(_as_python(kernel.lines), names)
    return {name: float(names[name]) for name in ("w", *kernel.states)}


def _as_python(lines: tuple[str, ...]) -> str:
    """The statements of a function in Python."""
    found, depth = [], 0
    for line in lines:
        text = line.strip().split("  //")[0].rstrip(";")
        depth -= text.startswith("}")
        text = re.sub(r"^var (\w+): f32 = ", r"\1 = ", text)
        text = re.sub(r"(\d)f\b", r"\1", text).replace("&&", "and").replace("||", "or")
        text = re.sub(r"!(?!=)", "not ", text).replace("} else {", "else:")
        text = re.sub(r"^if \((.*)\) \{$", r"if \1:", text)
        if text != "}" and not re.fullmatch(r"var \w+: f32", text):
            found.append("    " * depth + text)
        depth += line.endswith("{")
    return "\n".join(found)


TARGET = Target(
    name="wgsl",
    title="WGSL",
    compile=compile,
    text="_wgsl/rule.wgsl",
    files={"_wgsl/module.wgsl": "_wgsl/{name}.wgsl"},
    language="wgsl",
    product="functions",
    verifier="lucidgen_wgsl:verify",
    unshown="Only a browser can show that it accepts the text.",
    templates=Path(__file__).with_name("templates"),
)
