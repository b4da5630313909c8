"""Switching ``lucid.optim`` over to the generated optimizers and schedulers, and back.

This module owns what ``sys.modules`` holds under ``lucid.optim`` and the attribute ``lucid.optim``.
It does not change a real Lucid's files or any module of its own: ``lucid.optim`` becomes a new
module, in which generated names come first and all else (optimizers that are not generated) is the
real package's. Names imported earlier with ``from`` stay what they were.
Generated modules are imported when they are first asked for. Whose reading the classes compute can
be chosen with the switch; what a reading is, is the runtime's business.
"""

import importlib
import sys
import threading
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from ..errors import nearest
from .aliases import Alias

_NAME = "lucid.optim"
_OURS = "lucidgen.optim"
_SCHEDULERS = f"{_NAME}.lr_scheduler"
_ABSENT = object()
_ALIAS = Alias(_NAME, _OURS)

_lock = threading.RLock()
_switched: "_Switched | None" = None


@dataclass(frozen=True)
class _Before:
    """What the interpreter held before the switch."""

    modules: dict[str, ModuleType]
    lucid: ModuleType | None
    attribute: object

    def restore(self) -> None:
        """Put back every module under ``lucid.optim`` and the attribute of ``lucid``."""
        _ALIAS.remove()
        for name in _loaded(_NAME):
            del sys.modules[name]
        sys.modules.update(self.modules)
        parent = sys.modules.get("lucid")
        if parent is None:
            return
        if self.attribute is not _ABSENT:
            parent.optim = self.attribute  # type: ignore[attr-defined]
        elif "optim" in vars(parent):
            del parent.optim

    def undo(self) -> None:
        """Restore, and forget a Lucid whose import was part of a switch that failed."""
        self.restore()
        if self.lucid is None:
            for name in _loaded("lucid"):
                del sys.modules[name]


@dataclass(frozen=True)
class _Switched:
    """A switch that is in force."""

    before: _Before
    package: ModuleType
    stand_in: ModuleType | None


def activate(*, dialect: str | None = None) -> None:
    """Make ``lucid.optim`` the generated package, whether or not Lucid is installed.

    Calling it again without a dialect changes nothing. If it fails, everything is as it was.

    Parameters
    ----------
    dialect : str, optional
        Whose reading all classes compute from now on where they have it and are not told otherwise,
        by whichever name they were imported: ``"lucid2"`` for scripts that were written for
        Lucid 2. By default each computes its own default reading.

    Raises
    ------
    RuntimeError
        If the Lucid that is installed is a Lucid 3, whose parameters cannot be updated from here.
    ValueError
        If no optimizer has that dialect.
    """
    global _switched
    with _lock:
        ours = importlib.import_module(_OURS)
        if dialect is not None:
            _check_dialect(dialect, ours)
        if _switched is None or sys.modules.get(_NAME) is not _switched.package:
            _switched = _switch(ours) or _switched
        if dialect is not None:
            _prefer(dialect)


def _switch(ours: ModuleType) -> _Switched | None:
    """Put ours in the place of ``lucid.optim``; None if it is there already."""
    before = _before()
    try:
        lucid, stand_in = _import_lucid()
        _refuse_lucid_3(lucid)
        real = _import_real()
        if real is ours:
            return None
        return _Switched(before, _install(lucid, real, ours), stand_in)
    except BaseException:
        before.undo()
        raise


def deactivate() -> None:
    """Restore ``lucid.optim`` to what it was before :func:`activate`; else do nothing.

    Classes compute their own default readings again.
    """
    global _switched
    with _lock:
        _prefer(None)
        if _switched is None:
            return
        switched, _switched = _switched, None
        switched.before.restore()
        if switched.stand_in is not None and sys.modules.get("lucid") is switched.stand_in:
            del sys.modules["lucid"]


def _check_dialect(dialect: str, ours: ModuleType) -> None:
    """Refuse a dialect that no optimizer has."""
    classes = [getattr(ours, name) for name in ours.__all__]
    known = sorted({reading for found in classes for reading in getattr(found, "rules", ())})
    if dialect not in known:
        raise ValueError(
            f"activate: no optimizer has the dialect {dialect!r}{nearest(dialect, known)}; "
            f"there are {', '.join(known)}"
        )


def _prefer(dialect: str | None) -> None:
    """Let classes compute a reading that they were not asked for; None is each one's own."""
    if dialect is not None or "lucidgen.runtime" in sys.modules:
        importlib.import_module("lucidgen.runtime").Optimizer.preferred_dialect = dialect


def _refuse_lucid_3(lucid: ModuleType) -> None:
    """Refuse a Lucid whose parameters hold no arrays."""
    version = str(getattr(lucid, "__version__", ""))
    major = version.partition(".")[0]
    if major.isdigit() and int(major) >= 3:
        raise RuntimeError(
            f"activate: this is Lucid {version}, whose parameters are tensors of its own engine, "
            f"which optimizers from here cannot read or write; lucid.optim is left as it is. "
            f"Lucid 2 works, and so do MLX and NumPy parameters with lucidgen.optim"
        )


def _loaded(package: str) -> dict[str, ModuleType]:
    """Return the loaded modules of ``package``, itself included."""
    return {
        name: module
        for name, module in list(sys.modules.items())
        if name == package or name.startswith(package + ".")
    }


def _before() -> _Before:
    lucid = sys.modules.get("lucid")
    attribute = _ABSENT if lucid is None else vars(lucid).get("optim", _ABSENT)
    return _Before(_loaded(_NAME), lucid, attribute)


def _import_lucid() -> tuple[ModuleType, ModuleType | None]:
    """Return the package ``lucid``, and the same again if it is only an empty stand-in."""
    try:
        return importlib.import_module("lucid"), None
    except ModuleNotFoundError as error:
        if error.name != "lucid":
            raise
    stand_in = ModuleType("lucid", "Holds lucid.optim; Lucid itself is not installed.")
    stand_in.__path__ = []
    sys.modules["lucid"] = stand_in
    return stand_in, stand_in


def _import_real() -> ModuleType | None:
    """Return the package that ``lucid.optim`` is without us, if there is one."""
    try:
        return importlib.import_module(_NAME)
    except ModuleNotFoundError as error:
        if error.name != _NAME:
            raise
        return None


def _install(lucid: ModuleType, real: ModuleType | None, ours: ModuleType) -> ModuleType:
    """Build the new ``lucid.optim`` and put it in place."""
    folders = [*ours.__path__, *(real.__path__ if real is not None else ())]
    spec = spec_from_file_location(_NAME, ours.__file__, submodule_search_locations=folders)
    assert spec is not None
    package = module_from_spec(spec)
    package.__doc__ = ours.__doc__
    rest = {} if real is None else _fallen_through(real, ours)
    vars(package).update(
        rest,
        __all__=sorted({*ours.__all__, *(getattr(real, "__all__", rest))}),
        __getattr__=lambda name: getattr(ours, name),
        __dir__=lambda: sorted({*vars(package), *dir(ours)}),
    )
    for name in _loaded(_NAME):
        if name.startswith(_SCHEDULERS) or _ALIAS.own_name(name):
            del sys.modules[name]
    sys.modules[_NAME] = package
    lucid.optim = package  # type: ignore[attr-defined]
    _ALIAS.install()
    return package


def _fallen_through(real: ModuleType, ours: ModuleType) -> dict[str, object]:
    """The public names of the real package that ours does not have."""
    return {
        name: value
        for name, value in vars(real).items()
        if not name.startswith("_")
        and name not in dir(ours)
        and not (isinstance(value, ModuleType) and _ALIAS.own_name(value.__name__))
    }
