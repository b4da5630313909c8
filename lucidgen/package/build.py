"""`lucidgen build`: which files are made from which specs, and when.

Owns the decision what has to be done, the reading of a whole folder of specs, and what may be
written or removed. Modules that their sources would give again are left alone. What the files hold
is `render`'s, how they reach the disk `writing`'s. Spec files are read in the processes of
`workers`, and SymPy is imported there.
"""

from __future__ import annotations

import ast
import keyword
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import Failure, WrongUsage, nearest
from ..paths import spec_folders
from ..targets import registry
from .manifest import Manifest, Part, digest, inputs_digests
from .tasks import Rendered, Task, clashes, spec_error
from .workers import Workers
from .writing import SCHEDULERS, is_generated, package_paths, replace_files


@dataclass(frozen=True)
class Job:
    """What to build: spec files, all or some, into a folder.

    `self_contained` asks for a package that brings the runtime along, `replace` for one that takes
    the place of the Python files in the folder, such as Lucid's own optimizers. `targets` are the
    names of those to build for; all by default.
    """

    specs: Path
    out: Path
    names: tuple[str, ...] = ()
    self_contained: bool = False
    replace: bool = False
    targets: tuple[str, ...] | None = None

    @property
    def kind(self) -> str:
        """What tells its record from that of another kind of build into the same folder."""
        kind = "self-contained" if self.self_contained else "package"
        return " ".join((kind, *registry.chosen(self.targets)))


@dataclass(frozen=True)
class Plan:
    """What to write, generated files that have no place any more, and the classes compiled."""

    files: Mapping[str, str]
    extra: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What a build did, and the classes that it compiled; nothing if all was up to date."""

    written: Sequence[str] = ()
    removed: Sequence[str] = ()
    classes: Sequence[str] = ()


@dataclass(frozen=True)
class Difference:
    """A file that is not as a build would leave it; `kind` is stale, missing or extra."""

    path: str
    kind: str
    before: str
    after: str


def build(job: Job) -> Outcome:
    """Bring the folder up to date; on any error it stays as it was."""
    paths = spec_paths(job.specs)
    if _is_up_to_date(job, paths):
        return Outcome()
    with Workers() as workers:
        plan, manifest = _compile(job, paths, workers)
    written, removed = replace_files(job.out, plan.files, plan.extra)
    manifest.save(job.out, job.kind)
    return Outcome(written, removed, plan.classes)


def check(job: Job) -> list[Difference]:
    """Compare the folder with what a build would write; write nothing."""
    paths = spec_paths(job.specs)
    if _is_up_to_date(job, paths):
        return []
    with Workers() as workers:
        plan, _ = _compile(job, paths, workers)
    found = []
    for path, after in sorted(plan.files.items()):
        before = _text(job.out / path)
        if before is None:
            found.append(Difference(path, "missing", "", after))
        elif before != after:
            found.append(Difference(path, "stale", before, after))
    found += [Difference(p, "extra", _text(job.out / p) or "", "") for p in plan.extra]
    return found


def _text(path: Path) -> str | None:
    if not path.is_file():
        return None
    return path.read_bytes().decode(errors="backslashreplace")


# Reading


def spec_paths(folder: Path) -> list[Path]:
    """The spec files of a folder and its families by name, each fit to become a module."""
    if not folder.exists():
        raise WrongUsage(f"there is no folder {folder}")
    if not folder.is_dir():
        raise WrongUsage(f"{folder} is a file; name the folder of the spec files: {folder.parent}")
    found = (path for place in spec_folders(folder) for path in place.iterdir())
    paths = sorted((path for path in found if path.suffix == ".py"), key=lambda path: path.name)
    problems = [problem for path in paths for problem in _name_problems(path)]
    lower: dict[str, Path] = {}
    for path in paths:
        first = lower.setdefault(path.name.lower(), path)
        if first.name != path.name:
            problems.append(f"{path}: differs from {first} in case only; rename one")
        elif first is not path:
            problems.append(f"{path}: would become the module that {first} becomes; rename one")
    if problems:
        raise Failure("\n".join(problems))
    if not paths:
        raise Failure(
            f"there are no spec files (*.py) in {folder}; `lucidgen new` writes one to start from"
        )
    return paths


def _name_problems(path: Path) -> Iterable[str]:
    if path.is_dir():
        yield f"{path}: is a folder, not a spec file; rename it or move it away"
    elif path.stem.startswith("_"):
        yield (
            f"{path}: a spec file's name cannot start with an underscore, since generated "
            "packages have such modules themselves; rename it or move it away"
        )
    elif not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        yield f"{path}: {path.stem!r} cannot be the name of a module; rename it, as in my_adam.py"


def _chosen(job: Job, paths: Sequence[Path], classes: Mapping[str, Path]) -> list[Path]:
    """The spec files that a job names, by stem or by a class in them."""
    if not job.names:
        return list(paths)
    by_name = {name.lower(): path for name, path in classes.items()}
    by_name |= {path.stem.lower(): path for path in paths}
    by_name |= classes
    by_name |= {path.stem: path for path in paths}
    chosen = []
    for name in job.names:
        path = by_name.get(name) or by_name.get(name.lower())
        if path is None:
            known = [*classes, *(p.stem for p in paths)]
            raise WrongUsage(
                f"no spec file or class is called {name!r}{nearest(name, known)}; "
                f"in {job.specs} there are {', '.join(sorted(set(known), key=str.lower))}"
            )
        chosen.append(path)
    return [path for path in paths if path in chosen]


def _is_up_to_date(job: Job, paths: Sequence[Path]) -> bool:
    manifest, on_disk = Manifest.of(job.out, job.kind), _on_disk(job.out)
    if not manifest.modules or on_disk != manifest.outputs:
        return False
    by_stem = {path.stem: path for path in paths}
    if not job.names and set(manifest.modules) != set(by_stem):
        return False
    classes = {
        name: by_stem[_stem(module)]
        for module, names in (_modules(job.out).items() if job.names else ())
        if _stem(module) in by_stem
        for name in names
    }
    try:
        chosen = {path.stem for path in _chosen(job, paths, classes)}
    except WrongUsage:
        return False
    return chosen <= manifest.fresh(inputs_digests(job.specs, paths), on_disk)


# Compiling


def _compile(job: Job, paths: Sequence[Path], workers: Workers) -> tuple[Plan, Manifest]:
    """All files of the package, and the record of what they were made from."""
    before = Manifest.of(job.out, job.kind)
    # A process takes a second to start. Where a spec has gone there may be nothing for it to do.
    if {path.stem for path in paths} >= before.modules.keys():
        workers.start_ahead()
    foreign = _foreign(job.out)
    if foreign and not job.replace:
        shown = ", ".join(foreign[:5]) + (", ..." if len(foreign) > 5 else "")
        raise Failure(
            f"{job.out} holds Python files that lucidgen did not make ({shown}); choose a new "
            "or an empty folder, move them away (other subfolders may stay), or let --replace "
            "remove them"
        )
    inputs, on_disk = inputs_digests(job.specs, paths), _on_disk(job.out)
    fresh = before.fresh(inputs, on_disk)
    from . import render

    runtime = render.OWN_RUNTIME if job.self_contained else render.RUNTIME
    modules, others = _compiled(job, paths, fresh, runtime, workers)
    # Where a module only goes, what is the same in every package needs no target to be loaded.
    fixed = {p: d for p, d in before.shared.items() if p not in render.LISTINGS and not modules}
    if any(on_disk.get(path) != made for path, made in fixed.items()):
        fixed = {}
    targets = () if fixed else job.targets
    try:
        package = render.package(modules, others=others, targets=targets, runtime=runtime)
    except render.FormatError as error:
        raise Failure(str(error)) from None
    after = Manifest(shared={**fixed, **Part.of("", package.shared).files})
    kept = before.modules if job.names else {name: before.modules[name] for name in fresh}
    now = inputs_digests(job.specs, paths)
    made = {m: Part.of(now[m], texts) for m, texts in package.modules.items()}
    # A spec that was changed while it was compiled is not recorded, and so compiled again.
    after.modules = {**kept, **{m: part for m, part in made.items() if now[m] == inputs[m]}}
    unwanted = {*foreign} if job.names else {*foreign, *on_disk}
    unwanted -= {path for name in fresh for path in before.modules[name].files} | fixed.keys()
    extra = tuple(sorted(unwanted - set(package.files)))
    names = [name for m in modules for name in (*m.optimizers, *m.schedules)]
    return Plan(package.files, extra, tuple(names)), after


def _compiled(
    job: Job, paths: Sequence[Path], fresh: Collection[str], runtime: str, workers: Workers
) -> tuple[list[Rendered], Mapping[str, Sequence[str]]]:
    """The modules that must be made, compiled, and those that stay, with their classes."""
    files = _files(job, paths, fresh, workers)
    stems = {path.stem for path in files}
    others = {
        module: names
        for module, names in _modules(job.out).items()
        if _stem(module) not in stems and (job.names or _stem(module) in fresh)
    }
    answers = workers.answers([Task(path, runtime, job.targets, job.specs) for path in files])
    findings = [*(found for answer in answers.values() for found in answer.findings)]
    findings += clashes(answers, others)
    if findings:
        raise spec_error(findings)
    return [answer.module for answer in answers.values() if answer.module], others


def _files(job: Job, paths: Sequence[Path], fresh: Collection[str], workers: Workers) -> list[Path]:
    """The spec files to compile. A name that is no file's makes all be read, for their classes."""
    stems = {path.stem for path in paths}
    if all(name in stems for name in job.names):
        return [path for path in _chosen(job, paths, {}) if path.stem not in fresh]
    answers = workers.answers([Task(path, folder=job.specs) for path in paths])
    classes = {name: path for path, answer in answers.items() for name, _ in answer.classes}
    try:
        return [path for path in _chosen(job, paths, classes) if path.stem not in fresh]
    except WrongUsage:
        findings = [found for answer in answers.values() for found in answer.findings]
        if findings:
            raise spec_error(findings) from None
        raise


def _generated(folder: Path) -> list[Path]:
    return [path for path in package_paths(folder) if is_generated(folder / path)]


def _foreign(folder: Path) -> list[str]:
    """The Python files where the package is to be that are neither ours nor empty."""
    if folder.exists() and not folder.is_dir():
        raise WrongUsage(f"{folder} is a file, where a folder is to be written")
    return [
        path.as_posix()
        for path in package_paths(folder)
        if path.suffix == ".py"
        and not is_generated(folder / path)
        and (folder / path).read_bytes().strip()
    ]


def _on_disk(folder: Path) -> dict[str, str]:
    """The digest of every generated file in the folder."""
    return {p.as_posix(): digest((folder / p).read_bytes()) for p in _generated(folder)}


def _modules(folder: Path) -> dict[str, list[str]]:
    """The modules that the folder holds, with their classes: `adam`, `lr_scheduler.schedules`."""
    return {
        ".".join((*path.parts[:-1], path.stem)): _exported(folder / path)
        for path in _generated(folder)
        if path.parts[:-1] in ((), (SCHEDULERS,)) and path.stem != "__init__"
    }


def _stem(module: str) -> str:
    """The spec file of a module."""
    return module.rpartition(".")[2]


def _exported(path: Path) -> list[str]:
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return sorted(names)
    return []
