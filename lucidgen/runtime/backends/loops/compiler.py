"""Compiling the C++ loops of a rule with the system's compiler, and keeping what was compiled.

Owns the search for a compiler and the loading. A step that may wait calls `demanded`; others call
`available`, which starts the compiler in the background and answers with None until it is done.
Does not own where loops are kept (``cache``), nor what one is called with (``pointer_table``).

Nothing here can hang or be left half done. The compiler writes to a file of its own, which gets its
final name when it is complete: two processes may compile the same at once, and one that is killed
leaves a file behind that a later build removes. No locks, no threads.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...checking import warning_level
from ...rules.calling import file_of
from ...rules.rule import Rule
from . import cache

#: A step: table, scalars, choices, number of threads.
Step = Callable[..., None]

#: The types for which there are loops.
TYPES = ("float32", "float64", "float16", "bfloat16")

#: Products are not contracted with sums: then a loop gives bit for bit what the NumPy step gives,
#: and it makes no difference when the one takes over from the other. Nor is anything else changed
#: that IEEE 754 lays down: these options only say that nobody reads errno or traps.
FLAGS = (
    *("-std=c++17", "-O3", "-fPIC", "-shared", "-pthread", "-fopenmp-simd"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
)

#: Compiles for this processor or, if the compiler has no name for it, for any of its kind.
_SCRIPT = """
umask 077
exec </dev/null >"$3" 2>&1
new=$1; final=$2; log=$3; shift 3
if "$@" -march=native -o "$new" || "$@" -mcpu=native -o "$new" || "$@" -o "$new"
then mv -f "$new" "$final" && rm -f "$log"; exit
fi
rm -f "$new"; exit 1
"""

REMEDY = (
    "NumPy's or MLX's own functions take their place, several times slower. Install a C++ "
    "compiler (Debian: apt install g++; macOS: xcode-select --install), name one in CXX, or "
    'choose kernel="numpy" or LUCIDGEN_KERNEL=numpy, which asks for none'
)


class Unavailable(RuntimeError):
    """There is no loop, and why."""


@dataclass(eq=False)
class Build:
    """One rule for one type on its way from source to a function."""

    source: Path
    rule: str
    type: str
    target: Path
    log: Path
    process: int = 0
    owner: int = 0  # the process that started the compiler: after a fork it is not ours to wait for

    def start(self, compiler: list[str]) -> None:
        """Start the compiler, unless its work is there already."""
        if cache.is_usable(self.target):
            return
        import tempfile  # seldom needed, and slow to import

        folder = self.target.parent
        try:
            for own in (folder.parent, folder):
                own.mkdir(parents=True, exist_ok=True, mode=0o700)
            _remove_old(folder)
            handle, new = tempfile.mkstemp(".tmp", f"{self.target.name}.", folder)
            os.close(handle)
        except OSError as error:
            raise Unavailable(f"{folder} cannot be written to: {error}") from None
        self.log = Path(f"{new}.log.tmp")
        defines = [f"-DLUCIDGEN_RULE={self.rule}", f"-DLUCIDGEN_TYPE={self.type}"]
        command = [*compiler, *FLAGS, *defines, str(self.source)]
        script = ["sh", "-c", _SCRIPT, "sh", new, str(self.target), str(self.log), *command]
        try:
            self.process = os.posix_spawn("/bin/sh", script, os.environ)
        except OSError as error:
            raise Unavailable(f"/bin/sh does not run: {error}") from None
        self.owner = os.getpid()

    def is_done(self, wait: bool) -> bool:
        """Whether the compiler has come to an end."""
        if self.process and self.owner == os.getpid():
            try:
                ended, _ = os.waitpid(self.process, 0 if wait else os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it
                ended = self.process
            if not ended:
                return False
            self.process = 0
        return not self.process or self.target.exists()

    def load(self) -> Step:
        """The function, once the compiler has come to an end."""
        why = cache.mistrusted_file(self.target)
        if why is not None:
            raise Unavailable(f"the compiled loop {why}")
        if not self.target.exists():
            said = self.log.read_text(errors="replace") if self.log.exists() else ""
            self.log.unlink(missing_ok=True)
            first = next((line for line in said.splitlines() if "error" in line), said[-300:])
            raise Unavailable(f"the C++ compiler failed on {self.source.name}: {first.strip()}")
        try:
            function: Any = getattr(ctypes.CDLL(str(self.target)), f"{self.rule}_step_{self.type}")
        except (OSError, AttributeError) as error:
            self.target.unlink(missing_ok=True)  # so that the next process compiles it again
            raise Unavailable(f"the compiled loop cannot be loaded: {error}") from None
        function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
        function.restype = None
        return function  # type: ignore[no-any-return]


def _remove_old(folder: Path, seconds: float = 86400) -> None:
    """Remove what compilers left behind that were killed at least so long ago."""
    before = time.time() - seconds
    for path in folder.glob("*.tmp"):
        try:
            if path.stat().st_mtime < before:
                path.unlink()
        except OSError:
            continue


def located(command: str) -> str | None:
    """Where a command is, as ``shutil.which`` has it, whose import is a third of a first step."""
    everywhere = os.environ.get("PATH", os.defpath).split(os.pathsep)
    folders = [""] if os.path.dirname(command) else everywhere
    for path in (os.path.join(folder, command) for folder in folders):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def compiler() -> list[str]:
    """The system's C++ compiler, as a command: CXX, or the first one that is on the path."""
    if os.environ.get("CXX", "").strip():
        import shlex  # seldom needed

        named = shlex.split(os.environ["CXX"])
        if located(named[0]):
            return named
        raise Unavailable(f"CXX names {named[0]!r}, which is not there")
    for name in ("c++", "g++", "clang++"):
        if located(name):
            return [name]
    raise Unavailable("there is no C++ compiler (c++, g++ or clang++) on the path")


@lru_cache
def _processor() -> str:
    """What tells this processor from another for which code may have been compiled."""
    words = {"flags", "Features", "model name", "CPU part"}
    found = [platform.machine(), platform.version() if sys.platform == "darwin" else ""]
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if not line.strip():
                    break
                if line.partition(":")[0].strip() in words:
                    found.append(line.strip())
    except OSError:
        pass
    return "\n".join(found)


def _identity(command: list[str]) -> str:
    """What tells a compiler from another version of it, found without running it."""
    path = Path(located(command[0]) or command[0]).resolve()
    about = path.stat()
    return f"{path} {about.st_size} {about.st_mtime_ns} {command[1:]}"


def build_of(rule: Rule, type_: str, command: list[str]) -> Build:
    """The build of a rule for a type: not started."""
    return _build(file_of(rule.targets["cpp"], ".cpp"), rule.name, type_, command)


def _build(source: Path, rule: str, type_: str, command: list[str]) -> Build:
    """The build of a rule in a file for a type; its content gives it its name."""
    parts = [
        source.read_text(encoding="utf-8"),
        *(file.read_text(encoding="utf-8") for file in sorted(source.parent.glob("*.h"))),
        _identity(command),
        _processor(),
        " ".join(FLAGS),
        _SCRIPT,
        rule,
        type_,
    ]
    digest = sha256("\0".join(parts).encode()).hexdigest()[:24]
    target = cache.safe_folder() / f"{rule}_{type_}_{digest}.so"
    return Build(source, rule, type_, target, target.with_suffix(".log"))


# One answer for each rule and type in a process

_builds: dict[tuple[Rule, str], Build] = {}
_steps: dict[tuple[Rule, str], Step | Unavailable] = {}
_warned: list[str] = []


def step(rule: Rule, type_: str, is_demanded: bool) -> Step | None:
    """The compiled step: `demanded`, or if it is `available`."""
    return demanded(rule, type_) if is_demanded else available(rule, type_)


def available(rule: Rule, type_: str) -> Step | None:
    """The compiled step, or None as long as it is being compiled, or if it cannot be had.

    Then one warning says why; there is one for all rules.
    """
    key = rule, type_
    found = _steps.get(key) or _progress(key, wait=False)
    if not isinstance(found, Unavailable):
        return found
    if not _warned:
        _warned.append(str(found))
        text = f"no compiled steps: {found}. {REMEDY}"
        warnings.warn(text, RuntimeWarning, stacklevel=warning_level())
    return None


def demanded(rule: Rule, type_: str) -> Step:
    """The compiled step, however long it takes.

    Raises
    ------
    Unavailable
        If it cannot be had.
    """
    key = rule, type_
    found = _steps.get(key) or _progress(key, wait=True)
    if isinstance(found, Unavailable):
        raise Unavailable(str(found))
    assert found is not None
    return found


def _progress(key: tuple[Rule, str], wait: bool) -> Step | Unavailable | None:
    rule, type_ = key
    found: Step | Unavailable
    try:
        build = _builds.get(key)
        if build is None:
            command = compiler()
            build = build_of(rule, type_, command)
            build.start(command)
            _builds[key] = build
        if not build.is_done(wait):
            return None
        found = build.load()
    except (Unavailable, OSError) as error:
        found = error if isinstance(error, Unavailable) else Unavailable(str(error))
    _steps[key] = found
    return found


def compile_ahead(folder: Path, types: Iterable[str] = ("float32", "float64")) -> list[Build]:
    """Compile all rules of a package for these types, as many at once as there are processors.

    Returns
    -------
    list of Build
        What was compiled; what was there already is not among it.

    Raises
    ------
    Unavailable
        If there is no compiler, or it fails; or if others can write where loops are kept.
    """
    command, why = compiler(), cache.mistrusted_folder(cache.cache_folder())
    if why is not None:
        raise Unavailable(f"the folder of compiled steps {why}")
    builds = [
        _build(source, rule, type_, command)
        for source in sorted((folder / "_cpp").glob("*.cpp"))
        for rule in re.findall(r"^LUCIDGEN_STEPS\((\w+)\)", source.read_text("utf-8"), re.MULTILINE)
        for type_ in types
    ]
    wanted = list({b.target: b for b in builds if not cache.is_usable(b.target)}.values())
    running: list[Build] = []
    for build in wanted:
        if len(running) >= (os.cpu_count() or 1):
            _finish(running.pop(0))
        build.start(command)
        running.append(build)
    for build in running:
        _finish(build)
    return wanted


def _finish(build: Build) -> None:
    build.is_done(wait=True)
    build.load()
