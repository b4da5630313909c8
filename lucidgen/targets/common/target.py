"""What a target is: one object that says all that the rest of the house needs to know of it.

Owns the protocol. Packages, commands and checks iterate over `registry.targets()` and name none;
a package outside lucidgen adds its own by an entry point of the group `lucidgen.targets`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...ir.program import Program
from .names import NONE, Words


class Unserved(ValueError):
    """A target cannot serve a program; the message says why, as in "it works on rows"."""


def _nothing(codes: Sequence[Any]) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Target:
    """A language, with the files that are made in it and how they are run and checked.

    A target `x` has a folder `_x` in the templates and in each package, and is called `x` in
    `lucidgen show --stage`, `build --target` and `verify --target`.

    Parameters
    ----------
    name : str
        An identifier, such as "metal".
    title : str
        Its name in sentences, such as "Metal".
    compile : callable
        Takes a program, as it leaves the passes, and the name of the rule's functions, to what the
        templates are given as `rule[name]`. Raises `Unserved` if the target cannot serve it.
    text : str
        The template of one rule, which `show` prints: "_metal/rule.metal". Templates see `rule`.
    files : mapping of str to str
        The files made of a module: each template with its path, in which `{name}` is the module's
        name. They are made if at least one rule is served. Templates see `module`, `own_rules`,
        `target` and what `of_module` returns.
    fixed : tuple of str
        The files of every package, whatever its modules; template and path are the same.
    of_module : callable, optional
        Takes what `compile` made of the rules of a module to further names for its templates.
    needs : tuple of str
        Targets without which a package cannot have this one.
    words : Words
        The names that are taken in functions which the runtime calls by the names of their
        parameters. Where it does not, `compile` writes names in another way (`names.renamed`).
    language : str
        The language of the text, as highlighters call it.
    comment : str
        What begins a comment there.
    backend : str or None
        The backend of the runtime that runs it; None for text that is used elsewhere.
    runs : callable
        Whether that backend can run what `compile` has made of a rule; by default it can.
    product : str
        What it makes of a rule, in the plural: "kernels".
    verifier : str
        What `lucidgen verify` calls, as "package.module:function": takes a `catalog.Entry` and
        yields `verify.report.Report`s. Empty if the target cannot be verified from there.
    unshown : str
        What that cannot show, and what would.
    templates : path or None
        The folder of its templates, if they are not lucidgen's own.
    """

    name: str
    title: str
    compile: Callable[[Program, str], Any]
    text: str
    files: Mapping[str, str]
    fixed: tuple[str, ...] = ()
    of_module: Callable[[Sequence[Any]], Mapping[str, Any]] = field(default=_nothing)
    needs: tuple[str, ...] = ()
    words: Words = NONE
    language: str = "cpp"
    comment: str = "//"
    backend: str | None = None
    runs: Callable[[Any], bool] = field(default=bool)
    product: str = "kernels"
    verifier: str = ""
    unshown: str = ""
    templates: Path | None = None
