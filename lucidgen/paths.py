"""Where the equations, the templates and the generated optimizers lie.

A wheel carries them inside the package; a checkout has them in folders of their own at its root.
This module owns that choice, and how spec files may be spread over folders. It reads no file and
imports nothing generated.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def compiler_folder() -> Path:
    """Return the folder of this package's own modules."""
    return _PACKAGE


def _folder(packed: str, in_checkout: str) -> Path:
    """Return the packed folder if this is an installed wheel, else the checkout's."""
    inside = _PACKAGE / packed
    return inside if inside.is_dir() else _PACKAGE.parent / in_checkout


def specs_folder() -> Path:
    """Return the folder of the built-in spec files.

    >>> specs_folder().name in {"specs", "_specs"}
    True
    """
    return _folder("_specs", "specs")


def spec_folders(folder: Path) -> list[Path]:
    """Return the folders in which the spec files of a folder lie: itself, and the families in it.

    A family is a folder that has Python files and is no package of Python's: such a one, with an
    `__init__.py`, holds what spec files import. Names that begin with `.` or `_` are nobody's.
    """
    inner = {path.parent for path in folder.glob("[!._]*/*.py")}
    return [folder, *sorted(path for path in inner if not (path / "__init__.py").exists())]


def templates_folder() -> Path:
    """Return the folder of the Jinja2 templates."""
    return _folder("_templates", "templates")


def optim_folder() -> Path:
    """Return the folder of the generated package that serves ``lucid.optim``."""
    return _folder("_optim", "generated/lucid/optim")
