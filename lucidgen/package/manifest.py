"""Which parts of a package are as their sources would make them again, found without compiling.

Owns the record of what each part of an output folder was made from and what came out, kept in the
user's cache. Losing it costs a compilation and nothing else. This module imports neither SymPy nor
Jinja2.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from platformdirs import user_cache_path

from ..paths import compiler_folder, spec_folders, specs_folder, templates_folder
from ..targets import registry

#: Packages whose version shapes the output.
SHAPING = ("sympy", "mpmath", "ruff", "jinja2")


def digest(data: bytes) -> str:
    """A hash that names a content."""
    return sha256(data).hexdigest()


@dataclass(frozen=True)
class Source:
    """A file that output depends on: a hash of it, and the words in it."""

    path: Path

    @cached_property
    def _content(self) -> bytes:
        return self.path.read_bytes() if self.path.is_file() else b""

    @cached_property
    def line(self) -> str:
        """The file as a line of what is hashed."""
        return f"{self.path} {digest(self._content)}"

    @cached_property
    def words(self) -> frozenset[str]:
        """All names that occur in it."""
        return _words(self._content)


@lru_cache(maxsize=512)  # files are read again within a build, to see that they have not changed
def _words(content: bytes) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", content.decode(errors="replace")))


def inputs_digests(folder: Path, specs: Iterable[Path]) -> dict[str, str]:
    """For each spec file of a folder, by module, one hash over all that its output depends on.

    That is the compiler, its templates, the libraries that shape the output, the file itself, and
    what it may import: each built-in spec and each neighbour whose name occurs in it, and so on.
    """
    known: dict[Path, Source] = {}
    roots = dict.fromkeys([*spec_folders(specs_folder()), *spec_folders(folder)])
    neighbours = [path for root in roots for path in sorted(root.iterdir()) if path not in roots]
    compiler = _compiler_digest()
    found = {}
    for path in specs:
        behind = _behind(path, neighbours, known)
        lines = sorted(source.line for source in behind)
        found[path.stem] = digest("\n".join([compiler, path.name, *lines]).encode())
    return found


def _behind(path: Path, neighbours: Iterable[Path], known: dict[Path, Source]) -> list[Source]:
    """A spec file and all that it may import."""
    found: dict[Path, Source] = {}
    waiting = [path]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        source = found[path] = known.setdefault(path, Source(path))
        for other in neighbours:
            if other.stem in source.words:
                waiting += [other] if other.suffix == ".py" else sorted(other.rglob("*.py"))
    return list(found.values())


def _compiler_digest() -> str:
    package, templates = compiler_folder(), templates_folder()
    # A wheel keeps specs, templates and output in folders with an underscore.
    packed = {package / name for name in ("_specs", "_templates", "_optim")}
    files = [path for path in package.rglob("*.py") if not packed & {*path.parents}]
    added = [path for target in registry.added() for path in registry.sources(target)]
    lines = [Source(path).line for path in (*files, *templates.rglob("*.j2"), *added)]
    lines += [f"{name} {_version(name)}" for name in SHAPING]
    lines.append(f"python {sys.version_info[:2]}")
    return digest("\n".join(sorted(lines)).encode())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


@dataclass(frozen=True)
class Part:
    """A module of a package: the digest of what it was made from, and of each of its files."""

    inputs: str
    files: Mapping[str, str]

    @classmethod
    def of(cls, inputs: str, texts: Mapping[str, str]) -> Part:
        """The record of files that were just made."""
        return cls(inputs, {path: digest(text.encode()) for path, text in texts.items()})


@dataclass
class Manifest:
    """What an output folder was built from.

    `modules` has a part for each spec file, `shared` the files that belong to none: by path, the
    digest of the content.
    """

    modules: dict[str, Part] = field(default_factory=dict)
    shared: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, kind: str) -> Manifest:
        """The record of a folder; an empty one if there is none that can be read."""
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            read = json.loads(_path(folder, kind).read_text(encoding="utf-8"))
            return cls({k: Part(**part) for k, part in read["modules"].items()}, read["shared"])
        return cls()

    def save(self, folder: Path, kind: str) -> None:
        """Keep the record; a cache that cannot be written to is no error."""
        keep(_path(folder, kind), json.dumps(asdict(self), indent=1))

    @property
    def outputs(self) -> dict[str, str]:
        """The digest of every file of the package, by path."""
        parts = (part.files for part in self.modules.values())
        return {path: found for files in (self.shared, *parts) for path, found in files.items()}

    def fresh(self, inputs: Mapping[str, str], on_disk: Mapping[str, str]) -> set[str]:
        """The modules that their inputs would give again as they lie on the disk, to the byte."""
        return {
            name
            for name, part in self.modules.items()
            if part.inputs == inputs.get(name) and part.files.items() <= on_disk.items()
        }


def _path(folder: Path, kind: str) -> Path:
    return record("builds", f"{kind} {folder}")


def record(kind: str, of: str) -> Path:
    """Where the user's cache has what is known of something, which may be long."""
    name = digest(of.encode())[:24]
    return user_cache_path("lucidgen", appauthor=False) / kind / f"{name}.json"


def keep(path: Path, text: str) -> None:
    """Write a record; a cache that cannot be written to is no error."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
