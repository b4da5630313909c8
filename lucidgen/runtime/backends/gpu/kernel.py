"""What a rule's GPU kernels are made of, read from the header that holds the rule's function.

Owns the reading of such a header, ``_metal/adam_step.h`` or ``_cuda/adam_step.cuh``: its text for
MLX, and what the function of a rule takes. The signature is the one place where that is written
down. MLX knows no folder of headers, so that a text is handed to it whole. Does not own the text
that is put around the function (``text``), nor when a kernel is used (``trial``).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ...rules.calling import file_of
from ...rules.rule import Rule

#: What a header's name ends with, by language.
ENDINGS = {"metal": "_step.h", "cuda": "_step.cuh"}

#: The types of what only functions take that draw random numbers: a stream, and an element.
DRAWS = ("uint4", "uint", "unsigned long long")

#: A parameter of the function: the last one ends the signature. A name that the language has taken
#: is written in another way, and its own stands behind it.
_PARAMETER = re.compile(
    r"^    (?P<type>.+?) (?P<name>\w+)(?:,|\) \{)(?:  // (?P<own>\w+) in the equations)?$",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """The function that updates one element under a rule, in a language of kernels.

    It takes w, grad, the ``states``, the ``scalars``, if it ``draws`` random numbers the stream of
    the tensor and the number of the element, the ``conditions`` on scalars and the static
    ``choices``, in this order, all by their names in the rule; ``spelled`` has the names that the
    text writes in another way. ``header`` is the text that holds it. Scalars that the host does not
    know are one number per tensor: ``tensors`` (MLX code) computes them, and with them the new
    values of the states that are 0-d arrays.
    """

    name: str
    language: str
    header: str
    states: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    draws: bool = False
    spelled: Mapping[str, str] = field(default_factory=dict)
    tensors: Callable[..., dict[str, Any]] | None = None

    @property
    def constants(self) -> tuple[str, ...]:
        """What comes in a buffer of one number or truth value."""
        return (*self.scalars, *self.conditions)


@cache
def kernel_of(rule: Rule, language: str) -> Kernel | None:
    """The kernel of a rule in a language, "metal" or "cuda"; None if it has none.

    Raises
    ------
    ImportError
        If the rule has one and its header does not.
    """
    module = rule.targets.get(language)
    if module is None:
        return None
    path = file_of(module, ENDINGS[language])
    header = header_text(path)
    signature = re.search(rf" {rule.name}_step\(\n(.*?\) \{{[^\n]*)$", header, re.DOTALL | re.M)
    if signature is None:
        raise ImportError(f"{path} has no function {rule.name}_step; run `lucidgen build`")
    states, scalars, truths, spelled = [], [], [], {}
    for parameter in _PARAMETER.finditer(signature[1]):
        name = parameter["own"] or parameter["name"]
        if name != parameter["name"]:
            spelled[name] = parameter["name"]
        if parameter["type"].endswith("&"):
            states.append(name)
        elif parameter["type"] == "bool":
            truths.append(name)
        elif parameter["type"] not in DRAWS:
            scalars.append(name)
    tensors = None
    if not rule.elementwise:
        tensors = getattr(
            importlib.import_module(rule.targets["mlx"]), f"{rule.name}_tensors", None
        )
    return Kernel(
        name=rule.name,
        language=language,
        header=header,
        states=tuple(states[1:]),  # without w
        scalars=tuple(scalars[1:]),  # without grad
        conditions=tuple(name for name in truths if name not in rule.choices),
        choices=tuple(name for name in truths if name in rule.choices),
        draws=bool(rule.draws),
        spelled=spelled,
        tensors=tensors,
    )


@cache
def header_text(path: Path) -> str:
    """A header as it can stand before a kernel: without what only a file needs, at its top.

    Raises
    ------
    ImportError
        If there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ImportError(f"{path} cannot be read ({error}); run `lucidgen build`") from None
    return text[text.index("namespace lucidgen {") :]


def forget() -> None:
    """Read every header again when it is next needed."""
    kernel_of.cache_clear()
    header_text.cache_clear()
