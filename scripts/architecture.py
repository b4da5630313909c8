"""Write what `docs/architecture.md` shows: pictures of the rooms, and a spec on its way to a step.

    python scripts/architecture.py            write the page
    python scripts/architecture.py --check    say whether it is what the code gives today
    python scripts/architecture.py PAGE       the same for another copy of it

Between `<!-- shown: NAME -->` and `<!-- end -->` the page has what the function of that name here
returns; the rest is written by hand. The spec is the page's own: its first block of Python.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ |= {"LUCIDGEN_KERNEL": "numpy", "COLUMNS": "100"}

import grimp  # noqa: E402
import numpy as np  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from lucidgen import Parameter  # noqa: E402
from lucidgen.commands.app import app  # noqa: E402
from lucidgen.spec.loader import load  # noqa: E402
from lucidgen.verify.oracle import Trajectory  # noqa: E402
from lucidgen.verify.setting import Setting  # noqa: E402

PAGE = ROOT / "docs/architecture.md"
BLOCK = re.compile(r"(<!-- shown: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SPEC = "specs/unbiased.py"


# Pictures


def rooms() -> str:
    """The rooms of the house, and who imports whom."""
    arrows = {name: to for name, to in _arrows("lucidgen").items() if _is_room(name)}
    generated = {
        node.module.split(".")[1]
        for path in (ROOT / "generated").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lucidgen.")
    }
    arrows["generated code"] = generated
    return _picture({name: set(filter(_is_room, to)) for name, to in arrows.items()})


def _is_room(name: str) -> bool:
    return name == "generated code" or (ROOT / "lucidgen" / name).is_dir()


def runtime_rooms() -> str:
    """The rooms of the runtime."""
    return _picture(_arrows("lucidgen.runtime"))


@cache
def _imports() -> grimp.ImportGraph:
    return grimp.build_graph("lucidgen", cache_dir=None)


def _arrows(package: str) -> dict[str, set[str]]:
    """For each child of a package the siblings that it imports; children without any are left out.

    Imports inside functions count, and imports for types.
    """
    children = {
        child.removeprefix(f"{package}."): child for child in _imports().find_children(package)
    }
    found = {
        name: {
            other
            for other, module in children.items()
            if other != name
            and _imports().direct_import_exists(importer=child, imported=module, as_packages=True)
        }
        for name, child in children.items()
    }
    imported = set().union(*found.values())
    return {name: others for name, others in found.items() if others or name in imported}


def _picture(arrows: Mapping[str, set[str]]) -> str:
    """A diagram for Mermaid, without the arrows that follow from others."""

    def reached(names: Iterable[str]) -> set[str]:
        beyond = set().union(*(arrows.get(name, set()) for name in names))
        return beyond | reached(beyond) if beyond else set()

    lines = ["flowchart TD"]
    for name in sorted(arrows):
        direct = arrows[name] - reached(arrows[name])
        lines += [f"    {_node(name)} --> {_node(other)}" for other in sorted(direct)]
    return _fenced("mermaid", "\n".join(lines))


def _node(name: str) -> str:
    return f"{name.replace(' ', '_')}[{name}]" if " " in name else name


def what_rooms_own() -> str:
    """One line a room: the first of its docstring."""
    lines = ["| room | |", "|---|---|"]
    for module in sorted(_imports().modules):
        path = ROOT / module.replace(".", "/") / "__init__.py"
        if path.exists() and module.count(".") in (1, 2):
            first = (
                ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            ).splitlines()[0]
            lines.append(f"| `{module}` | {_cell(first)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A sentence as it may stand in a table."""
    return text.rstrip(".").replace("``", "`").replace("|", r"\|")


# The walk


def mistake() -> str:
    """What an author is told who writes a name wrong."""
    text = Path(SPEC).read_text()
    Path(SPEC).write_text(text.replace("(sqrt(v_hat[t])", "(sqrt(v_hut[t])"))
    said = _run("show", "Unbiased", fails=True)
    Path(SPEC).write_text(text.replace("v[t] / (1 - beta**t)", "v[t - 2] / (1 - beta**t)"))
    said += _run("show", "Unbiased", fails=True)
    Path(SPEC).write_text(text)
    return _fenced("text", said)


def equations() -> str:
    """The equations as a reader of the command line sees them."""
    return _fenced("text", _stage("equations"))


def lowered() -> str:
    """The program of the equations, before any pass."""
    return _fenced("text", _programs()[0][1])


def passes() -> str:
    """After each pass the lines that it changed."""
    shown, last = "", _programs()[0][1].splitlines()
    for name, text in _programs()[1:]:
        lines = text.splitlines()
        changed = [line for line in lines[1:] if line not in last and line.startswith("    ")]
        shown += f"--- {name}\n" + "".join(f"{line}\n" for line in changed or ["    (nothing)"])
        last = lines if len(lines) > 1 else last
    return _fenced("text", shown)


@cache
def _programs() -> list[tuple[str, str]]:
    """The stages of the program by name."""
    parts = re.split(r"^--- (\w+)(?:: nothing changes)?\n", _stage("program"), flags=re.MULTILINE)
    return [
        (name, re.sub(r" +# ", "  # ", text.strip("\n")))
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    ]


def numpy() -> str:
    """The step in NumPy."""
    return _fenced("python", _function(_package() / "_numpy/unbiased.py", "unbiased_step"))


def mlx() -> str:
    """The step in MLX."""
    return _fenced("python", _function(_package() / "_mlx/unbiased.py", "unbiased_step"))


def metal() -> str:
    """The element's step as a kernel calls it."""
    return _fenced("cpp", _stage("metal").split("\n\n// Cost")[0])


def host() -> str:
    """The arithmetic on scalars, in Python's floats."""
    return _fenced("python", _function(_package() / "_rules/unbiased.py", "unbiased_scalars"))


def rule() -> str:
    """The data that the runtime reads: what follows the arithmetic on scalars."""
    path = _package() / "_rules/unbiased.py"
    scalars = _function(path, "unbiased_scalars")
    return _fenced("python", path.read_text().split(scalars)[1].strip())


def constructor() -> str:
    """The end of the class: what is not documentation."""
    text = (_package() / "unbiased.py").read_text()
    return _fenced(
        "python", "class Unbiased(Optimizer):\n" + text[text.index("    rules = ") :].rstrip()
    )


def files() -> str:
    """The files of the package."""
    found = sorted(p.relative_to(_package()) for p in _package().rglob("*") if p.is_file())
    return _fenced(
        "text", "\n".join(f"my_optim/{p}" for p in found if "__pycache__" not in p.parts)
    )


def step() -> str:
    """Two steps in float64, next to the equations in 50 digits."""
    gradients = [np.array([0.5, -2.0]), np.array([0.25, 1.0])]
    spec = load(Path(SPEC)).specs[0]
    run = Trajectory(Setting(spec), np.array([1.0, 1.0]))
    parameter = Parameter(np.array([1.0, 1.0]))
    optimizer = importlib.import_module("my_optim").Unbiased([parameter])
    lines = []
    for t, gradient in enumerate(gradients, start=1):
        run.step(gradient)
        parameter.grad = gradient
        optimizer.step()
        lines.append(f"step {t}    w = {parameter.data[0]:.12f}, {parameter.data[1]:.12f}")
        lines.append(f"exactly   w = {float(run.w[0]):.12f}, {float(run.w[1]):.12f}")
    lines.append(f"state     {optimizer.state_dict()['state'][0]}")
    return _fenced("text", "\n".join(lines))


def step_rooms() -> str:
    """The modules of the runtime that a step goes through, in the order in which it meets them."""
    parameter = Parameter(np.ones(2))
    optimizer = importlib.import_module("my_optim").Unbiased([parameter])
    met: dict[str, None] = {}

    def note(frame: object, event: str, _: object) -> None:
        module = inspect.getmodule(frame.f_code) if event == "call" else None  # type: ignore[attr-defined]
        name = module.__name__ if module else ""
        if name.startswith(("lucidgen.runtime.", "my_optim.")):
            met[name.removeprefix("lucidgen.")] = None

    for number in range(3):
        parameter.grad = np.ones(2)
        sys.setprofile(note if number == 2 else None)
        optimizer.step()
        sys.setprofile(None)
    return _fenced("text", "\n".join(met))


def _run(*command: str, fails: bool = False) -> str:
    """What a command prints."""
    done = CliRunner().invoke(app, [*command, "--specs", "specs"])
    assert bool(done.exit_code) == fails, done.output
    return done.output


@cache
def _stage(name: str) -> str:
    return _run("show", "Unbiased", "--stage", name).rstrip()


@cache
def _package() -> Path:
    """The package that is built of the spec."""
    _run("build", "--out", "my_optim")
    sys.path.insert(0, str(Path.cwd()))
    return Path("my_optim")


def _function(path: Path, name: str) -> str:
    """The source of one function."""
    text = path.read_text()
    found = next(
        n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == name
    )
    return ast.get_source_segment(text, found) or ""


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"


SHOWN: dict[str, Callable[[], str]] = {
    made.__name__: made
    for made in (
        rooms,
        runtime_rooms,
        what_rooms_own,
        mistake,
        equations,
        lowered,
        passes,
        numpy,
        mlx,
        metal,
        host,
        rule,
        constructor,
        files,
        step,
        step_rooms,
    )
}


def written(page: str) -> str:
    """The page with all that is shown as the code gives it now."""
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found, "the page has no spec"
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        os.chdir(folder)
        Path("specs").mkdir()
        Path(SPEC).write_text(found[1])
        try:
            return BLOCK.sub(lambda block: f"{block[1]}{SHOWN[block[2]]()}{block[4]}", page)
        finally:
            os.chdir(here)


def main() -> int:
    """Write the page, or check it; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("page", nargs="?", type=Path, default=PAGE)
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args()
    before = given.page.read_text(encoding="utf-8")
    after = written(before)
    if before == after:
        return 0
    if not given.check:
        given.page.write_text(after, encoding="utf-8")
        return 0
    blocks = zip(BLOCK.findall(before), BLOCK.findall(after), strict=True)
    stale = [new[1] for old, new in blocks if old != new]
    print(f"{given.page}: {', '.join(stale)} not up to date; run python scripts/architecture.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
