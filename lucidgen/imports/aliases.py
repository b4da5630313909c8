"""One module object under two names, whenever and under whichever it is imported first.

Owns how the modules of one package are found as those of another. Which packages these are is
decided in ``lucidgen.optim`` and ``activation``. Finders and loaders are plain classes:
``importlib.abc`` costs more to import than all else here.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class Alias:
    """Makes ``alias.x`` the module ``package.x``, for every module x that the package has.

    Parameters
    ----------
    alias : str
        The second name of the package. The package itself is not found by it: whoever uses this
        puts it into ``sys.modules``.
    package : str
        Its own name, under which its modules are loaded.
    """

    def __init__(self, alias: str, package: str) -> None:
        self.alias = alias
        self.package = package

    def install(self) -> None:
        """Find modules from now on, before anybody else does."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Find nothing any more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def own_name(self, name: str) -> str | None:
        """The name under which the package has the module of that alias; None if it has none."""
        if name == self.alias:
            return self.package
        parent, _, last = name.rpartition(".")
        if not f"{parent}.".startswith(f"{self.alias}."):
            return None
        home = self.own_name(parent)
        if home is None:
            return None
        path = getattr(importlib.import_module(home), "__path__", [])
        own = f"{home}.{last}"
        return own if own in sys.modules or PathFinder.find_spec(own, path) else None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own, if the package has it."""
        own = None if fullname == self.alias else self.own_name(fullname)
        if own is None:
            return None
        loader: Any = _Loaded(own)
        return ModuleSpec(fullname, loader)


class _Loaded:
    """Gives a module as it is loaded under its own name."""

    def __init__(self, name: str) -> None:
        self.module = importlib.import_module(name)
        self.spec = self.module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just replaced it by the alias's.
        module.__spec__ = self.spec
