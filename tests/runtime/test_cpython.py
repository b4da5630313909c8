"""What the runtime reads off the interpreter is so here."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from lucidgen.runtime import cpython


class Owner:
    def __init__(self, held: Any) -> None:
        self.held = held


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held


def test_the_data_of_an_array_is_where_it_is_looked_for() -> None:
    offset = cpython.data_offset()
    assert offset > 0
    for array in (np.empty(1), np.empty((3, 4))[1:, ::2], np.empty(0), np.empty((), "f4")):
        assert ctypes.c_void_p.from_address(id(array) + offset).value == array.ctypes.data


def test_who_else_holds_an_object_is_noticed() -> None:
    for make in (Owner, Slotted):
        owner = make({})
        assert not cpython.is_held(owner, "held")
        other = owner.held
        assert cpython.is_held(owner, "held")
        del other
        assert not cpython.is_held(owner, "held")
        inside = [owner.held]
        assert cpython.is_held(owner, "held")
        inside.clear()
        assert not cpython.is_held(owner, "held")
