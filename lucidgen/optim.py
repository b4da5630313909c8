"""The generated optimizers under a name that works everywhere: ``from lucidgen.optim import Adam``.

This module replaces itself by the generated package, and owns under which name that package is
loaded, so that a class is one object by every route. Where ``lucid.optim`` is the generated package
already (a development install without Lucid) it becomes a second name for it; elsewhere the package
is loaded from its files as ``lucidgen.optim``. What happens to a real ``lucid.optim`` is decided in
``lucidgen.imports.activation``.
"""

import importlib
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .imports.aliases import Alias
from .paths import optim_folder

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Tell a type checker that the names are those of the generated package."""


def _is_lucid_optim(folder: Path) -> bool:
    """Tell whether ``import lucid.optim`` would load ``folder``, without importing any Lucid."""
    try:
        lucid = find_spec("lucid")
        if lucid is None or lucid.origin is not None:
            return False
        found = find_spec("lucid.optim")
    except ValueError:
        return False
    return found is not None and found.origin == str(folder / "__init__.py")


def _alias() -> None:
    """Make ``lucidgen.optim`` a second name of ``lucid.optim``."""
    sys.modules[__name__] = importlib.import_module("lucid.optim")
    Alias(__name__, "lucid.optim").install()


def _load(folder: Path) -> None:
    """Load the package from its files, in place of this module."""
    init = folder / "__init__.py"
    if not init.is_file():
        raise ImportError(f"no generated optimizers in {folder}: run `lucidgen build`")
    spec = spec_from_file_location(__name__, init, submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    package = module_from_spec(spec)
    sys.modules[__name__] = package
    spec.loader.exec_module(package)


_folder = optim_folder()
if _is_lucid_optim(_folder):
    _alias()
else:
    _load(_folder)
