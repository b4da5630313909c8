"""What is read off the interpreter and off NumPy's objects, where no function of theirs says it.

Owns the places in which the runtime counts on how CPython and NumPy keep objects; each finds out
first whether it is so here. Does not own what is made of the answers.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

import numpy as np


@cache
def data_offset() -> int:
    """Where an array object keeps the pointer to its data, or -1 if it is not where it should be.

    It follows the object's header, and is part of the interface that every extension module is
    compiled against. Reading it there takes a tenth of the time of asking the array in Python.
    """
    offset = object.__basicsize__
    for array in (np.empty(3), np.empty((2, 2))[1:]):
        if ctypes.c_void_p.from_address(id(array) + offset).value != array.ctypes.data:
            return -1
    return offset


def is_held(owner: object, name: str) -> bool:
    """Whether anybody refers to the object in this attribute besides its owner."""
    return _references(owner, name) > _references(_Owner(), "held")


class _Owner:
    """Has an object that nobody else knows."""

    def __init__(self) -> None:
        self.held = object()


def _references(owner: object, name: str) -> int:
    return sys.getrefcount(getattr(owner, name))
