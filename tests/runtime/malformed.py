"""Saved dicts with something wrong in them: items replaced, removed or doubled."""

import numpy as np
from hypothesis import strategies as st

WORDS = (None, {}, {"a": 1}, {0: {}}, "no", "step", b"", object)
NUMBERS = (1.5, -1, 7, float("nan"), 1j, True, (), [], [0], [[1.0], 2.0])
ARRAYS = (np.ones(3), np.zeros((2, 0)), np.array(["a"]), np.array(None))
LARGE = (2**31, 2**64, 10**400, 1e300, "y" * 5000, "\ud800", {5: 1}, [[[[]]]])
FOREIGN = (np.ones(3, ">f4"), np.ones((2, 3), np.longdouble), np.ones((2, 3), complex))
ODD = st.sampled_from([*WORDS, *NUMBERS, *ARRAYS, *LARGE, *FOREIGN])


def places(value, path=()):
    """The path of every item inside nested dicts and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list | tuple):
            yield from places(item, (*path, key))


def mutated(value, path, change):
    """A copy of nested dicts and lists with one item changed: `change` edits its container."""
    made = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        change(made, path[0])
    else:
        made[path[0]] = mutated(made[path[0]], path[1:], change)
    return tuple(made) if isinstance(value, tuple) else made


@st.composite
def broken(draw, saved):
    """A saved dict with one to three items replaced, removed or doubled."""
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(sorted(places(saved), key=str)))
        odd = draw(ODD)
        change = draw(
            st.sampled_from(
                [
                    lambda c, k, odd=odd: c.__setitem__(k, odd),
                    lambda c, k: c.__delitem__(k),
                    lambda c, k, odd=odd: (
                        c.update({"odd": odd, 3: odd}) if isinstance(c, dict) else c.append(odd)
                    ),
                ]
            )
        )
        saved = mutated(saved, path, change)
        if not saved:
            break
    return saved
