"""lucidgen: optimizers compiled from the equations of their papers.

This module owns what a user reaches as ``lucidgen.<name>``. It stays cheap to import, because
generated optimizers import it: the compiler (SymPy, Jinja2) is never loaded from here.
"""

from typing import TYPE_CHECKING, Any

from lucidgen.activation import activate, deactivate

if TYPE_CHECKING:
    from lucidgen.runtime import Parameter

__version__ = "0.1.0"

__all__ = ["Parameter", "__version__", "activate", "deactivate"]


def __getattr__(name: str) -> Any:
    """Load ``Parameter`` (and with it NumPy) only when somebody asks for it."""
    if name == "Parameter":
        from lucidgen.runtime import Parameter

        return Parameter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
