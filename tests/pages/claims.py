"""What pages claim of the repository: the paths, modules and commands that they name.

Each function takes the text of a page and returns what is not there.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import click
import typer.main

from lucidgen.commands.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "docs/architecture.md",
    ROOT / "docs/conformance.md",
    ROOT / "tests/README.md",
]

#: What a reader makes who follows a page, and how those files begin that a package is built of.
THEIR_OWN = re.compile(
    r"(mine|my_optim|lucid/optim|\.venv|build)(/|$)|specs/unbiased\.py$|opt\.safetensors$|picture\.png$"
)
#: A file; what begins with lucidgen and a dot is a module, which may be called as a suffix is.
FILE = re.compile(r"(?!lucidgen\.)[\w*./-]+\.(py|md|toml|sh|j2|json|npz|cu|cuh|h|metal|cpp|yml)")


def quoted(page: str) -> Iterator[str]:
    """What stands in backticks in the text, and the lines of its shell commands."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        if language == "sh":
            yield from (line.split("#")[0].strip() for line in block.splitlines())
    text = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    yield from (line.strip() for line in text.splitlines() if line.startswith("    "))
    yield from (" ".join(words.split()) for words in re.findall(r"`([^`]+)`", text))


def missing_paths(page: str, beside: Path = ROOT) -> list[str]:
    """Paths that lie neither at the root nor beside the page, and names of files that no path has.

    `*` stands for anything, and so does NAME.
    """
    tops = {path.name for path in ROOT.iterdir()}
    words = [w.strip("\"'(),;:") for line in quoted(page) for w in line.split()]
    paths = {w for w in words if FILE.fullmatch(w) or ("/" in w and w.split("/")[0] in tops)}
    return [
        path
        for path in sorted(paths | {*re.findall(r"\]\((?!http)([^)#]+)\)", page)})
        if not THEIR_OWN.match(path) and not _exists(path.replace("NAME", "*").rstrip("/"), beside)
    ]


def _exists(pattern: str, beside: Path) -> bool:
    if "/" not in pattern:
        return any(fnmatch(path.rpartition("/")[2], pattern) for path in _files())
    return any(True for folder in (ROOT, beside) for _ in folder.glob(pattern))


@cache
def _files() -> list[str]:
    """Every file that is kept."""
    kept = ("lucidgen", "specs", "templates", "tests", "docs", "bench", "demo", "scripts")
    below = (path for folder in kept for path in (ROOT / folder).rglob("*"))
    return [str(path) for path in (*ROOT.iterdir(), *below)]


def missing_modules(page: str) -> list[str]:
    """Dotted names that begin with lucidgen."""
    names = (w for words in quoted(page) for w in re.findall(r"\blucidgen(?:\.\w+)+", words))
    return [name for name in names if not _resolves(name)]


def _resolves(name: str) -> bool:
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def missing_commands(page: str) -> list[str]:
    """`make` targets, and commands of `lucidgen` with their options."""
    missing = []
    for words in quoted(page):
        for target in re.findall(r"^make ([a-z-]+)", words):
            if target not in _make_targets():
                missing.append(f"make {target}")
        line = re.match(r"lucidgen ([a-z]+)\b(.*)", words)
        if not line:
            continue
        command = _commands().get(line[1])
        if command is None:
            missing.append(f"lucidgen {line[1]}")
            continue
        options = {option for parameter in command.params for option in parameter.opts}
        missing += [
            f"lucidgen {line[1]} {option}"
            for option in re.findall(r"(?<!\S)--[a-z-]+", line[2])
            if option not in options
        ]
    return missing


@cache
def _make_targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def _commands() -> dict[str, click.Command]:
    group = typer.main.get_command(app)
    return dict(group.commands)  # type: ignore[attr-defined]
