"""What every generated class goes through when it is defined.

Owns the number of the generation of generated code, and under which module a class is pickled.
"""

from __future__ import annotations

#: The generation of generated code that this runtime serves.
GENERATION = 3


def adopt(cls: type, generation: int) -> None:
    """Name the class's module as pickles are to; refuse code of another generation."""
    if cls.__module__.startswith("lucid.optim.") and __name__.startswith("lucidgen."):
        # A pickle names lucidgen.optim: lucid.optim may be Lucid's own where it is read.
        cls.__module__ = "lucidgen" + cls.__module__.removeprefix("lucid")
    if generation != GENERATION:
        raise ImportError(
            f"{cls.__module__}.{cls.__qualname__} was generated for generation {generation} of the "
            f"runtime, this is {GENERATION}: run `lucidgen build`"
        )
