"""What is asked of whoever reads a spec file, and what is answered: plain data.

Owns the data and its form as a line of text, which can pass between processes. It imports neither
SymPy nor Jinja2: who asks needs neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..spec.errors import SpecError


@dataclass(frozen=True)
class Task:
    """A spec file to read, and to compile as well if `runtime` is given.

    `targets` are those to compile for, by name, all by default; `runtime` is the module that
    generated code imports the runtime from. `folder` is that of all the spec files, whose families
    import from each other; by default the file's own.
    """

    path: Path
    runtime: str = ""
    targets: tuple[str, ...] | None = None
    folder: Path | None = None

    def to_line(self) -> str:
        """The task as a line of text."""
        return json.dumps(
            [str(self.path), self.runtime, self.targets, self.folder and str(self.folder)]
        )

    @classmethod
    def from_line(cls, line: str | bytes) -> Task:
        """The task that `to_line` wrote."""
        path, runtime, targets, folder = json.loads(line)
        targets = None if targets is None else tuple(targets)
        return cls(Path(path), runtime, targets, None if folder is None else Path(folder))


@dataclass(frozen=True, order=True)
class Finding:
    """A `spec.errors.Problem`, as plain data."""

    file: str
    line: int
    what: str
    remedy: str
    equation: str = ""


@dataclass(frozen=True)
class Rendered:
    """A spec file as the files of a module, before they are formatted.

    `optimizers` and `schedules` are the classes that it exports, `files` texts by their paths in
    the package, `fixed` the files that packages of its targets have, whatever their modules.
    """

    name: str
    optimizers: tuple[str, ...]
    schedules: tuple[str, ...]
    files: Mapping[str, str]
    fixed: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What became of a spec file.

    `classes` are those that it defines, each with its line, `module` is what was made of them if
    that was asked for; or else `findings` are all that is wrong with the file, which `is_fatal` if
    the process that read it did not live to say so.
    """

    findings: tuple[Finding, ...] = ()
    classes: tuple[tuple[str, int], ...] = ()
    module: Rendered | None = None
    is_fatal: bool = False

    def to_line(self) -> str:
        """The answer as a line of text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str | bytes) -> Answer:
        """The answer that `to_line` wrote."""
        read: dict[str, Any] = json.loads(line)
        module = read["module"]
        if module is not None:
            lists = {key: tuple(module[key]) for key in ("optimizers", "schedules", "fixed")}
            module = Rendered(**{**module, **lists})
        return cls(
            tuple(Finding(**finding) for finding in read["findings"]),
            tuple((name, line) for name, line in read["classes"]),
            module,
            read["is_fatal"],
        )


def clashes(
    answers: Mapping[Path, Answer], others: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    """Classes that cannot stand in one package, of these spec files and of other modules."""
    owners = {name: f"{module}.py" for module, names in others.items() for name in names}
    modules = {*others, *(path.stem for path in answers)}
    for path, answer in answers.items():
        file = str(path.resolve())
        for name, line in answer.classes:
            if name in modules:
                text = f"the class {name} and the module {name}.py hide each other"
                yield Finding(file, line, text, "Rename the file, as in my_adam.py.")
            if name in owners:
                text = f"the class {name} is defined in {owners[name]} too"
                yield Finding(file, line, text, "Give one of the two another name.")
            owners[name] = path.name


def spec_error(findings: Iterable[Finding]) -> SpecError:
    """The error that says these findings."""
    from ..spec.errors import Location, Problem, SpecError

    return SpecError(
        Problem(Location(found.file, found.line), found.what, found.remedy, found.equation)
        for found in findings
    )
