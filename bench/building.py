"""What building costs: all specs at once, one that was changed, and to see that nothing was.

Owns the measurement. Each number is the median of commands that run in processes of their own, on a
copy of the built-in specs, with an empty cache. Of more than one the first does not count.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from lucidgen.package import workers
from lucidgen.package.build import spec_paths
from lucidgen.paths import specs_folder

REPEATS = 4

#: The file that is changed. No other reads it.
CHANGED = "yogi.py"

#: The files that a quick run makes do with.
QUICK = (CHANGED, "sgd.py")

COLD, ONE, NOTHING = "cold build", "rebuild of one spec", "check of nothing changed"


def measured(*, quick: bool = False) -> dict[str, float]:
    """Milliseconds by what took them."""
    names = QUICK if quick else [path.name for path in spec_paths(specs_folder())]
    times: dict[str, list[float]] = {COLD: [], ONE: [], NOTHING: []}
    for _ in range(1 if quick else REPEATS):
        with copied(names) as place:
            times[COLD].append(spent(place))
            with (place / "specs" / CHANGED).open("a") as file:
                file.write("\n")
            times[ONE].append(spent(place))
            times[NOTHING].append(spent(place, "--check"))
    return {what: round(statistics.median(found[1:] or found), 1) for what, found in times.items()}


@contextmanager
def copied(names: Collection[str]) -> Iterator[Path]:
    """A folder with copies of some spec files in `specs`."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "specs").mkdir()
        for path in spec_paths(specs_folder()):
            if path.name in names:
                shutil.copy(path, place / "specs")
        yield place


def spent(place: Path, *options: str) -> float:
    """Milliseconds that a command takes to build the specs there."""
    command = [sys.executable, "-m", "lucidgen", "build", "--specs", "specs", "--out", "out"]
    # Whoever measures from a checkout means the code of that checkout.
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "XDG_CACHE_HOME": str(place / "cache"),
    }
    for name in (workers.JOBS, workers.LIMIT, "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    start = time.perf_counter()
    done = subprocess.run(
        [*command, *options], cwd=place, env=environment, capture_output=True, text=True
    )
    took = time.perf_counter() - start
    if done.returncode:
        raise OSError(f"`lucidgen build` fails: {done.stdout}{done.stderr}")
    return 1e3 * took
