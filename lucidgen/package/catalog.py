"""The optimizers and schedules that there are, by name: `Adam`, `adamw`, `Adam:lucid2`, `StepLR`.

Owns how the command line finds the spec that a user names. Importing this module is cheap: SymPy is
loaded by the first catalog, while processes run what an author has written.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WrongUsage, nearest
from ..paths import specs_folder
from .build import spec_paths
from .tasks import Answer, Task, spec_error
from .workers import Workers

if TYPE_CHECKING:
    from ..spec.errors import Problem, SpecError
    from ..spec.loader import SpecFile
    from ..spec.optimizer import OptimizerSpec
    from ..spec.schedule import Schedule


@dataclass(frozen=True)
class Entry:
    """One reading of an optimizer, and where it is written.

    `reading` is its name where a user named it; the default reading can do without.
    """

    file: SpecFile
    main: OptimizerSpec
    spec: OptimizerSpec
    reading: str = ""

    @property
    def name(self) -> str:
        """How a user names it, or named it: `Adam`, `Adam:torch`, `Adam:lucid2`."""
        reading = self.reading or ("" if self.spec is self.main else self.spec.reading)
        return f"{self.main.name}:{reading}" if reading else self.main.name


@dataclass(frozen=True)
class ScheduleEntry:
    """A schedule, and where it is written."""

    file: SpecFile
    spec: Schedule


@dataclass(frozen=True)
class Catalog:
    """The spec files of some folders; where a name occurs twice, the first folder's counts.

    `error` is what is wrong with the files that could not be read.
    """

    files: Sequence[SpecFile]
    error: SpecError | None

    @classmethod
    def of(cls, *folders: Path, named: Sequence[str] = ()) -> Catalog:
        """Read the spec files of the folders; of the built-in ones those that have these names."""
        paths = {folder: spec_paths(folder) for folder in (path.resolve() for path in folders)}
        built_in = specs_folder().resolve()
        if built_in in paths and named:
            paths[built_in] = _naming(paths[built_in], named)
        own = [folder for folder in paths if folder != built_in]
        fatal = _fatal([Task(path, folder=folder) for folder in own for path in paths[folder]])
        from ..spec.errors import SpecError
        from .spec_files import fresh_imports, load_what_loads

        files: list[SpecFile] = []
        problems: list[Problem] = []
        for folder, found in paths.items():
            with fresh_imports(folder):
                loaded, error = load_what_loads([path for path in found if path not in fatal])
            files += loaded
            problems += error.problems if error else ()
            for path in filter(fatal.__contains__, found):
                problems += spec_error(fatal[path].findings).problems
        return cls(files, SpecError(problems) if problems else None)

    @property
    def entries(self) -> list[Entry]:
        """Every optimizer in its default reading."""
        return [Entry(file, spec, spec) for file in self.files for spec in file.specs]

    @property
    def schedules(self) -> list[ScheduleEntry]:
        """Every schedule."""
        return [ScheduleEntry(file, spec) for file in self.files for spec in file.schedules]

    def find_schedule(self, name: str) -> ScheduleEntry | None:
        """The schedule of that name, in any case of letters, if there is one."""
        from ..spec.names import spelled

        by_name = {entry.spec.name.lower(): entry for entry in reversed(self.schedules)}
        exact = {entry.spec.name: entry for entry in reversed(self.schedules)}
        name = spelled(name)
        return exact.get(name) or by_name.get(name.lower())

    def find(self, name: str, reading: str | None = None) -> Entry:
        """The optimizer of that name, in any case of letters, with `:dialect` behind it or not."""
        from ..spec.names import spelled

        reading = spelled(reading) if reading else reading
        wanted, _, after = spelled(name).partition(":")
        named = [(name, e) for e in reversed(self.entries) for name in e.main.names]
        by_name = {name.lower(): entry for name, entry in named}
        exact = dict(named)
        entry = exact.get(wanted) or by_name.get(wanted.lower())
        if entry is None:
            if self.error is not None:
                raise self.error
            raise WrongUsage(
                self._unknown(wanted, sorted({e.main.name for e in self.entries}, key=str.lower))
            )
        if reading and after and reading != after:
            raise WrongUsage(f"{name!r} and --dialect {reading} contradict each other")
        return _in_dialect(entry, reading or after)

    def _unknown(self, wanted: str, optimizers: list[str]) -> str:
        """What to say of a name that no optimizer has."""
        if self.find_schedule(wanted) is not None:
            return f"{wanted} is a schedule, and this is for optimizers: {', '.join(optimizers)}"
        schedules = sorted(entry.spec.name for entry in self.schedules)
        kind = "optimizer or schedule" if schedules else "optimizer"
        rest = f"; the schedules are {', '.join(schedules)}" if schedules else ""
        return (
            f"there is no {kind} {wanted!r}{nearest(wanted, [*optimizers, *schedules])}; "
            f"there are {', '.join(optimizers)}{rest}"
        )


def _naming(paths: list[Path], names: Sequence[str]) -> list[Path]:
    """The spec files in which one of these classes can be defined; all of them if none can.

    Reading and checking a file takes a tenth of a second, and whoever names a class waits for it.
    """
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    found: set[Path] = set()
    for name in (name.partition(":")[0] for name in names):
        quoted = re.compile(f'"{re.escape(name)}"', re.IGNORECASE)
        having = {path for path, text in texts.items() if quoted.search(text)}
        if not having:
            return paths
        found |= having
    return [path for path in paths if path in found]


def _fatal(tasks: Sequence[Task]) -> Mapping[Path, Answer]:
    """The authors' files that this process must not read, since they would end it.

    While others find out, this one imports SymPy, which takes as long.
    """
    if not tasks:
        return {}
    with ThreadPoolExecutor(1) as thread, Workers() as workers:
        found = thread.submit(workers.fatal, tasks)
        importlib.import_module(".spec_files", __package__)
        return found.result()


def _in_dialect(entry: Entry, reading: str) -> Entry:
    readings = entry.main.readings
    if not reading:
        return entry
    if reading not in readings:
        raise WrongUsage(
            f"{entry.main.name} has no dialect {reading!r}{nearest(reading, readings)}; "
            f"it has {', '.join(readings)}"
        )
    return Entry(entry.file, entry.main, readings[reading], reading)


def catalog(specs: Path | None, *, built_in: bool = True, named: Sequence[str] = ()) -> Catalog:
    """The optimizers of an author's folder, with the built-in ones behind them.

    Parameters
    ----------
    specs : path, optional
        The author's folder.
    built_in : bool
        Whether the built-in ones are there beside an author's.
    named : sequence of str
        The classes that are looked for: only built-in files are read in which these may be. All of
        them by default.
    """
    own = [specs.absolute()] if specs else []
    folders = [*own, *([specs_folder()] if built_in or not own else [])]
    return Catalog.of(*folders, named=named)
