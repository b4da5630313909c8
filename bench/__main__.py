"""Steps of optimizers side by side: ours, those of other libraries, and the memory's own speed.

`make bench`, or `python bench`, measures everything that is installed, shows tables, and writes
JSON and a picture; it measures what importing and building cost as well. Libraries that live under
other Pythons join by `--python`. Owns the command line; the other modules of this folder say what
they own.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import results
import show
import targets
from rich.console import Console
from workers import Failed

FOLDER = Path(__file__).resolve().parents[1] / "build" / "bench"


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--minutes", type=float, default=10, help="how long it may take, about")
    add("--rounds", type=int, default=25, help="steps of each rival, at most")
    add("--python", action="append", default=[], help="a further Python, and what it has installed")
    add("--only", action="append", default=[], help='some cases: "AdamW", "SGD on 1 x 10M"')
    add("--rival", action="append", default=[], help='some rivals: "torch", "lucidgen, MLX"')
    add("--quick", action="store_true", help="show that it works, in seconds and for tiny shapes")
    add("--check", action="store_true", help="fail if a run does not show what is asked of it")
    add("--from", dest="recorded", type=Path, help="show the results of this file, run nothing")
    add("--out", type=Path, default=FOLDER, help="the folder for results (%(default)s)")
    return parser.parse_args(given)


def main() -> int:
    """Measure or read, show, write; 1 if something that is asked for was not seen."""
    given = arguments()
    console = Console()
    try:
        if given.recorded:
            found = results.read(given.recorded)
        else:
            from run import run  # loads the compiler, of which nobody else needs anything

            found = run(given, console)
    except (Failed, OSError, ValueError) as error:
        console.print(f"bench: {error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        return 130
    for table in show.tables(found):
        console.print(table)
    if not given.recorded:
        results.write(found, given.out / "results.json")
        written = ["results.json"]
        if find_spec("matplotlib"):
            show.draw(found, given.out / "results.png")
            written.append("results.png")
        console.print(f"Written in {given.out}: {', '.join(written)}")
    if not given.check:
        return 0
    verdicts = targets.verdicts(found)
    console.print(show.judged(verdicts))
    return 0 if all(verdict.passes for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
