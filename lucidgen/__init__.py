"""lucidgen: optimizers compiled from the equations of their papers.

This module owns what a user reaches as ``lucidgen.<name>``. It stays cheap to import, because
generated optimizers import it: the compiler (SymPy, Jinja2) is never loaded from here.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .imports.activation import activate, deactivate
    from .runtime import Parameter
    from .runtime.checkpoints.optax import from_optax

__version__ = "0.1.0"

__all__ = ["Parameter", "__version__", "activate", "deactivate", "from_optax"]


_MODULE_OF = {
    "Parameter": "lucidgen.runtime",
    "from_optax": "lucidgen.runtime.checkpoints.optax",
    "activate": "lucidgen.imports.activation",
    "deactivate": "lucidgen.imports.activation",
}


def __getattr__(name: str) -> Any:
    """Load a function or a class (and with ``Parameter`` NumPy) when it is first asked for."""
    if name in _MODULE_OF:
        return getattr(importlib.import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
