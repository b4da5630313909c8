"""From compiled spec files to the files of a package: render, format.

Owns what is in the generated package. Which files are written, and when, is `build.py`'s.
"""

from __future__ import annotations

import importlib
import subprocess
import tempfile
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from .. import __version__
from ..runtime import GENERATION
from ..targets import registry
from ..targets.common.fitting import LINE_LENGTH, fitted
from .tasks import Rendered
from .writing import MARK, SCHEDULERS

if TYPE_CHECKING:
    from ..targets.common.target import Target
    from .module import CompiledModule
    from .rule import CompiledRule, Values

#: The style of generated code, whatever ruff is told elsewhere. Imports are sorted as they are in
#: this repository, where lucidgen is at home.
STYLE = (
    "--isolated",
    "--no-cache",
    "--quiet",
    f"--line-length={LINE_LENGTH}",
    "--target-version=py311",
    "--config=lint.isort.known-first-party=['lucidgen']",
)
#: What a package exports of the runtime.
RUNTIME_NAMES = ("ExponentialMovingAverage", "MultiOptimizer", "Optimizer", "Options")
#: The schedulers of every package: those that have no equation.
BY_HAND = (
    *("ChainedScheduler", "ClosedForm", "LRScheduler", "MultiplicativeLR", "ReduceLROnPlateau"),
    *("SequentialLR", "tabulate"),
)
#: The files that list what is in the others.
LISTINGS = ("__init__.py", f"{SCHEDULERS}/__init__.py")
RUNTIME = "lucidgen.runtime"
#: The runtime of a self-contained package, as its top level names it.
OWN_RUNTIME = "._runtime"


class FormatError(Exception):
    """The formatter is missing, or cannot read what was generated."""


@dataclass(frozen=True)
class Package:
    """The text of every file, by path: those of each module, and those that belong to none."""

    modules: Mapping[str, Mapping[str, str]]
    shared: Mapping[str, str]

    @property
    def files(self) -> dict[str, str]:
        """All files."""
        parts = (self.shared, *self.modules.values())
        return {path: text for files in parts for path, text in files.items()}


def rendered(module: CompiledModule, runtime: str = RUNTIME) -> Rendered:
    """The files of one module, as templates give them.

    Parameters
    ----------
    module : CompiledModule
        What is rendered.
    runtime : str
        The module that generated code imports the runtime from, as seen from the package's top
        level.
    """
    return Rendered(
        module.file.name,
        tuple(sorted(name for c in module.classes for name in c.names)),
        tuple(sorted(s.name for s in module.schedules)),
        _module_files(module, _context(runtime)),
        tuple(path for target in module.targets for path in target.fixed),
    )


def package(
    modules: Sequence[Rendered],
    *,
    others: Mapping[str, Sequence[str]] | None = None,
    targets: Iterable[str] | None = None,
    runtime: str = RUNTIME,
    doc: str = "",
) -> Package:
    """The files of a package, formatted.

    Parameters
    ----------
    modules : sequence of Rendered
        Its modules, rendered for the same targets and runtime.
    others : mapping of str to sequence of str, optional
        Modules that the package holds besides, with their classes.
    targets : iterable of str, optional
        Those of the package if it has no module that says so; all by default.
    runtime : str
        As for the modules; what is relative is copied into the package.
    doc : str
        The first line of the package's docstring.
    """
    optimizers, schedulers = _listings(modules, others or {})
    context = _context(runtime)
    shared = {
        LISTINGS[0]: _render(
            LISTINGS[0],
            package_doc=doc or "Optimizers, generated from their equations.",
            modules=optimizers,
            exported=_sorted_names(*RUNTIME_NAMES, SCHEDULERS, listing=optimizers),
            **context,
        ),
        LISTINGS[1]: _render(
            LISTINGS[1],
            modules=schedulers,
            exported=_sorted_names(*BY_HAND, listing=schedulers),
            **context,
        ),
    }
    fixed = [path for module in modules for path in module.fixed]
    if not modules:
        fixed = [path for target in registry.targets(targets) for path in target.fixed]
    for path in dict.fromkeys(("_rules/__init__.py", *fixed)):
        shared[path] = _render(path, **context)
    by_name = {module.name: module.files for module in modules}
    done = formatted(Package(by_name, shared).files)
    if runtime.startswith("."):
        shared |= (copied := _runtime_files(runtime))
        done |= copied
    return Package(
        {name: {path: done[path] for path in files} for name, files in by_name.items()},
        {path: done[path] for path in shared},
    )


def _context(runtime: str) -> dict[str, Any]:
    """What all templates are given."""
    header = f"{MARK} {__version__}; do not edit: change the spec and run `lucidgen build`."
    inside = f".{runtime}" if runtime.startswith(".") else runtime
    return {"header": header, "generation": GENERATION, "runtime": runtime, "inside": inside}


def _listings(
    modules: Sequence[Rendered], others: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The modules with optimizers and those with schedulers, with their classes."""
    inside = f"{SCHEDULERS}."
    optimizers = {m: list(names) for m, names in others.items() if not m.startswith(inside)}
    schedulers = {
        m.removeprefix(inside): list(names) for m, names in others.items() if m.startswith(inside)
    }
    optimizers |= {m.name: list(m.optimizers) for m in modules if m.optimizers}
    schedulers |= {m.name: list(m.schedules) for m in modules if m.schedules}
    return dict(sorted(optimizers.items())), dict(sorted(schedulers.items()))


def _sorted_names(*names: str, listing: Mapping[str, Sequence[str]]) -> list[str]:
    return sorted({*names, *(name for own in listing.values() for name in own)})


def _module_files(module: CompiledModule, shared: Mapping[str, Any]) -> dict[str, str]:
    file = module.file
    digest = sha256(file.path.read_bytes()).hexdigest()[:16]
    context = {
        **shared,
        "header": f"{MARK} {__version__} from {file.path.name} (sha256 {digest}).\n"
        "Do not edit: change the spec and run `lucidgen build`.",
        "name": file.name,
        "doc": _first_line(file.doc) or f"What {file.path.name} defines.",
        "module": module,
        "rules": module.rules,
        "own_rules": module.own,
        "classes": module.classes,
    }
    files = {}
    if module.classes:
        files[f"{file.name}.py"] = _render("module.py", **context)
        files[f"_rules/{file.name}.py"] = _render("_rules/module.py", **context)
    if module.schedules:
        files[f"{SCHEDULERS}/{file.name}.py"] = _render(f"{SCHEDULERS}/module.py", **context)
    for target in module.targets:
        served = module.served(target)
        own = target.of_module([rule[target.name] for rule in served])
        for template, path in target.files.items() if served else ():
            files[path.format(name=file.name)] = _render(
                template, target=target, **{**context, **own}
            )
    return files


def _first_line(text: str) -> str:
    """The first sentence or line of a docstring, ready to stand in another one."""
    return (text.splitlines() or [""])[0].replace("\\", "\\\\").replace('"""', "'''").strip()


def rule_text(rule: CompiledRule, target: Target) -> str:
    """What a target emits for one rule, or why it emits nothing."""
    text = _render(target.text, rule=rule, target=target)
    if target.text.endswith(".py"):
        text = formatted({"rule.py": text})["rule.py"]
    return text.strip() + "\n"


def host_text(rule: CompiledRule) -> str:
    """The arithmetic on scalars of one rule, in Python."""
    return formatted({"rule.py": _render("_rules/scalars.py", rule=rule)})["rule.py"].strip() + "\n"


def values_text(values: Values) -> str:
    """What is made of the sums over a group, in Python."""
    text = _render("_rules/values.py", values=values)
    return formatted({"rule.py": text})["rule.py"].strip() + "\n"


def _runtime_files(runtime: str) -> dict[str, str]:
    """The runtime's own files, for a package that needs no lucidgen."""
    found = importlib.import_module(RUNTIME)
    folder = Path(found.__path__[0])
    files = {}
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder).as_posix()
        header = (
            f"# {MARK} {__version__}: a copy of lucidgen/runtime/{inside}.\n"
            "# Do not edit: run `lucidgen build --into` again.\n"
        )
        files[f"{runtime.lstrip('.')}/{inside}"] = header + path.read_text(encoding="utf-8")
    return files


# Rendering


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(registry.template_folders()),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["paragraph"] = paragraph
    environment.filters["fitted"] = fitted
    return environment


def paragraph(text: str, indent: int = 0, prefix: str = "", lead: int = 0) -> str:
    """The text in lines that fit; words are never broken.

    The template sets the first line, `indent + lead` characters in; the others begin with the
    prefix and the indent.
    """
    before = prefix + " " * indent
    lines = textwrap.wrap(
        text,
        LINE_LENGTH,
        initial_indent=" " * (indent + lead),
        subsequent_indent=before,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)[indent + lead :]


def _render(template: str, **context: Any) -> str:
    return _environment().get_template(f"{template}.j2").render(context)


def formatted(files: Mapping[str, str]) -> dict[str, str]:
    """The files with their Python in ruff's style; one process a command for all of them.

    They lie in a folder of their own inside an empty one: what else is in the working directory
    must not decide which imports ruff takes for local.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "package"
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8", newline="\n")
        for command in (["check", "--select=I,RUF021,RUF022", "--fix"], ["format"]):
            _ruff([*command, *STYLE, "package"], folder)
        return {path: (root / path).read_text(encoding="utf-8") for path in files}


def _ruff(arguments: Sequence[str], folder: str) -> None:
    try:
        find: Any = importlib.import_module("ruff.__main__")
        command = [find.find_ruff_bin(), *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except (ImportError, FileNotFoundError, PermissionError) as error:
        remedy = "install it with `python -m pip install 'ruff==0.17.6'`"
        raise FormatError(
            f"ruff, which formats the code, does not run ({error}); {remedy}"
        ) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise FormatError(
            f"the generated code is not valid Python, which is a bug in lucidgen; ruff says: {said}"
        )


__all__ = [
    "LINE_LENGTH",
    "OWN_RUNTIME",
    "RUNTIME",
    "FormatError",
    "Package",
    "formatted",
    "package",
    "rendered",
    "rule_text",
]
