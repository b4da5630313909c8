"""Where compiled loops are kept, and who else can have written one.

A loop is code that runs in this process. So it is loaded only if it, and the folder that it lies
in, belong to the user or to root, and nobody else may write to them. Whose the folders above are is
for whoever names the cache to know; only where all the world may replace them nothing is safe.

Owns the folder in the user's cache folder, these questions, and the folder that takes its place
where the answer is no. Does not own what is compiled (``compiler``).
"""

from __future__ import annotations

import os
import stat
import sys
import warnings
from functools import cache
from pathlib import Path

from ...checking import warning_level

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

#: What was said already.
_told: list[str] = []


def cache_folder() -> Path:
    """Where compiled loops are kept: in the user's cache folder."""
    own = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    named = os.environ.get("XDG_CACHE_HOME", "")
    folder = (Path(named) if os.path.isabs(named) else own) / "lucidgen" / "native"
    return Path(os.path.realpath(folder))  # what a link on the way says later makes no difference


def safe_folder() -> Path:
    """The cache folder; where others can write to it, one that this process has for itself."""
    folder = cache_folder()
    why = mistrusted_folder(folder)
    if why is None:
        return folder
    _tell(
        f"the folder of compiled steps {why}, so nothing in it is used: each process compiles its "
        f"own. Remove it, or set XDG_CACHE_HOME to a folder of yours"
    )
    return _temporary(os.getuid())


def mistrusted_folder(folder: Path) -> str | None:
    """Why nothing in a folder may be loaded, if so; one that is not there yet is fine."""
    for above in folder.parents:
        try:
            mode = above.stat().st_mode
        except OSError:
            continue
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return f"({folder}) is in {above}, which everybody can write to"
    try:
        return _mistrusted(folder, folder.stat())
    except OSError:
        return None


def is_usable(file: Path) -> bool:
    """Whether a compiled loop is there; what somebody else can have written is removed."""
    why = mistrusted_file(file)
    if why is not None:
        _tell(f"a compiled step {why}: it is not used, and compiled again")
        file.unlink()
    return file.exists()


def mistrusted_file(file: Path) -> str | None:
    """Why a file may not be loaded, if so; one that is not there is fine."""
    try:
        about = file.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(about.st_mode):
        return f"({file}) is no file but a link, or something else"
    return _mistrusted(file, about)


def _mistrusted(path: Path, about: os.stat_result) -> str | None:
    if about.st_uid not in (os.geteuid(), 0):
        return f"({path}) belongs to somebody else, user {about.st_uid}"
    if about.st_mode & _OTHERS_WRITE:
        return f"({path}) can be written to by others, by its mode {stat.filemode(about.st_mode)}"
    return None


@cache
def _temporary(user: int) -> Path:
    """A folder of this process alone, removed at its end."""
    import atexit  # seldom needed, as the others
    import shutil
    import tempfile

    folder, process = Path(tempfile.mkdtemp(prefix="lucidgen-")), os.getpid()

    def remove() -> None:
        if os.getpid() == process:  # and not a fork of it
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


def _tell(text: str) -> None:
    """Warn, once in a process."""
    if not _told:
        _told.append(text)
        warnings.warn(text, RuntimeWarning, stacklevel=warning_level())
