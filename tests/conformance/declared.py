"""What the generated classes say that they go on from, library by library."""

from __future__ import annotations

import lucidgen.optim


def declared(library: str) -> set[tuple[str, str]]:
    """The classes and dialects that load a library's states."""
    return {
        (cls.__name__, dialect)
        for cls in map(lucidgen.optim.__getattr__, lucidgen.optim.__all__)
        for dialect, rule in getattr(cls, "rules", {}).items()
        if library in rule.saved_elsewhere
    }
