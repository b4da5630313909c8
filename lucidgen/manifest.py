"""Whether a build would change anything, found out without compiling.

Owns the record of what each output folder was last built from, kept in the user's cache. Losing it
costs a compilation and nothing else. This module imports neither SymPy nor Jinja2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from platformdirs import user_cache_path

from .paths import specs_folder, templates_folder

#: Packages whose version shapes the output.
SHAPING = ("sympy", "mpmath", "ruff", "jinja2")


def digest(data: bytes) -> str:
    """A hash that names a content."""
    return sha256(data).hexdigest()


def inputs_digest(specs: Iterable[Path], also: Iterable[Path] = ()) -> str:
    """One hash over all that the output depends on.

    That is the compiler, its templates, the libraries that shape the output, the spec files, the
    built-in ones (others may import them), and what else the spec files were seen to import.
    """
    package = Path(__file__).parent
    templates = templates_folder()
    files = {
        path: f"lucidgen/{inside}"
        for path in package.rglob("*.py")
        # A wheel keeps specs and output in folders with an underscore.
        if not (inside := path.relative_to(package)).parts[0].startswith("_")
    }
    files |= {path: f"templates/{path.relative_to(templates)}" for path in templates.rglob("*.j2")}
    files |= {path: f"built-in/{path.name}" for path in specs_folder().glob("*.py")}
    files |= {path: f"also/{path}" for path in also}
    lines = [f"{label} {_file_digest(path)}" for path, label in files.items()]
    lines += [f"spec/{path.name} {_file_digest(path)}" for path in specs]
    lines += [f"{name} {_version(name)}" for name in SHAPING]
    lines.append(f"python {sys.version_info[:2]}")
    return digest("\n".join(sorted(lines)).encode())


def _file_digest(path: Path) -> str:
    return digest(path.read_bytes()) if path.is_file() else "missing"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


@dataclass
class Manifest:
    """What an output folder was built from.

    `modules` gives for each module the digest of its inputs, `outputs` for each file that of its
    content, `listing` the classes of each module, `also` what spec files imported besides.
    """

    modules: dict[str, str] = field(default_factory=dict)
    listing: dict[str, list[str]] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    also: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, kind: str) -> Manifest:
        """The record of a folder; an empty one if there is none that can be read."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            return cls(**json.loads(_path(folder, kind).read_text(encoding="utf-8")))
        return cls()

    def save(self, folder: Path, kind: str) -> None:
        """Keep the record; a cache that cannot be written to is no error."""
        with suppress(OSError):
            path = _path(folder, kind)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
            temporary.replace(path)

    def holds(self, folder: Path, present: Iterable[Path]) -> bool:
        """Whether the folder holds what was built, to the byte, and no other generated file."""
        on_disk = {path.as_posix(): digest((folder / path).read_bytes()) for path in present}
        return on_disk == self.outputs

    def record(self, files: Mapping[str, str]) -> None:
        """Note the content of files."""
        self.outputs |= {path: digest(text.encode()) for path, text in files.items()}


def _path(folder: Path, kind: str) -> Path:
    name = digest(f"{kind} {folder}".encode())[:24]
    return user_cache_path("lucidgen", appauthor=False) / "builds" / f"{name}.json"
