"""Names in Metal: which ones an author may choose that a kernel's text cannot use as they are.

Owns the list of taken names (Metal's words and macros, MLX's preamble, what kernels themselves
declare) and the renaming of a program that uses one. The names stay the author's otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import chain, count

import sympy

from ...ir.guard import Guard
from ...ir.program import Program, symbol

_CPP = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class
compl const const_cast constexpr continue decltype default delete do double dynamic_cast else enum
explicit export extern false float for friend goto if inline int long mutable namespace new noexcept
not not_eq nullptr operator or or_eq private protected public register reinterpret_cast return short
signed sizeof static static_assert static_cast struct switch template this thread_local throw true
try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
_METAL = """
array as_type atomic bfloat coherent constant device fragment half imageblock intersection kernel
mesh metal object_data packed patch ptrdiff_t quadgroup ray_data sampler simdgroup size_t texture
thread threadgroup threadgroup_imageblock uchar uint ulong ushort vec vertex visible
assert INFINITY NAN NULL HUGE_VAL HUGE_VALF HUGE_VALH MAXFLOAT MAXHALF
"""
_MLX = """
MTL_CONST METAL_FUNC MLX_MTL_PRAGMA_UNROLL instantiate_default_limit instantiate_float_limit
instantiate_kernel instantiate_metal_math_funcs instantiate_metal_simd_comm_funcs
instantiate_metal_simd_reduction_funcs bfloat16_t float16_t complex64_t complex_t
"""
_OWN = """
T i size start starts maximum minimum lucidgen thread_position_in_grid threads_per_grid
"""

#: Metal's numeric macros and vector types, whatever their number, and what C++ keeps for itself.
_PATTERNS = (
    r"M_\w+",
    r"(FLT|HALF|BFLT|DBL|CHAR|SCHAR|UCHAR|SHRT|USHRT|INT|UINT|LONG|ULONG)_\w+",
    r"(packed_)?(bool|char|uchar|short|ushort|int|uint|long|ulong|half|bfloat|float)\d(x\d)?",
    r"u?int\d+_t",
    r"_[A-Z]\w*|\w*__\w*",
)
#: What bodies declare beside the buffers.
_OWN_PATTERN = r"(new|flat)_\w+|(w|grad)_\d+|\w+_i"

_FOREIGN = frozenset(f"{_CPP} {_METAL} {_MLX}".split())


def is_foreign(name: str) -> bool:
    """Whether a name is a word, a type or a macro of Metal's or of MLX's preamble.

    >>> is_foreign("half"), is_foreign("M_PI_F"), is_foreign("w_i")
    (True, True, False)
    """
    return name in _FOREIGN or any(re.fullmatch(pattern, name) for pattern in _PATTERNS)


def is_reserved(name: str) -> bool:
    """Whether a kernel cannot have a parameter of this name.

    >>> is_reserved("half"), is_reserved("w_i"), is_reserved("m_hat")
    (True, True, False)
    """
    return is_foreign(name) or name in _OWN.split() or bool(re.fullmatch(_OWN_PATTERN, name))


def safe(
    name: str, taken: Iterable[str] = (), is_reserved: Callable[[str], bool] = is_reserved
) -> str:
    """The name, or one like it that is free.

    MLX declares `w_shape`, `w_strides` and `w_ndim` as soon as these letters occur in a kernel that
    has a buffer `w`; and two underscores are C++'s own.

    >>> safe("beta1"), safe("half"), safe("w_shape"), safe("w_i"), safe("m__2")
    ('beta1', 'own_half', 'w_Shape', 'wi', 'm_2')
    """
    taken = set(taken)
    found = re.sub(r"_(shape|strides|ndim)", lambda m: "_" + m[1].capitalize(), name)
    found = re.sub(r"_{2,}", "_", found).strip("_") or "own"
    while re.fullmatch(r"\w+_i", found):
        found = found.removesuffix("_i") + "i"
    wanted = chain((found, f"own_{found}"), (f"own_{found}_{n}" for n in count(2)))
    return next(n for n in wanted if not is_reserved(n) and (n == name or n not in taken))


def renamed(
    program: Program, safe: Callable[[str, Iterable[str]], str]
) -> tuple[Program, Mapping[str, str]]:
    """A program whose names Metal can have, and the new name of every old one.

    `safe` gives a name that the language can have and that is none of those taken.
    """
    symbols = [*(i.symbol for i in program.inputs), *(let.target for let in program.lets)]
    old = list(dict.fromkeys([*map(_plain, symbols), *program.choices]))
    new: dict[str, str] = {}
    for name in old:
        new[name] = safe(name, {*old, *new.values()})
    if all(name == other for name, other in new.items()):
        return program, new
    swap = {s: symbol(str(s.name).replace(_plain(s), new[_plain(s)], 1)) for s in symbols}
    choices = tuple(new[name] for name in program.choices)

    def guard(of: Guard) -> Guard:
        return Guard(choices, of.table)

    lets = [
        replace(
            let, target=swap[let.target], value=let.value.xreplace(swap), guard=guard(let.guard)
        )
        for let in program.lets
    ]
    changed = replace(
        program,
        choices=choices,
        inputs=tuple(replace(i, symbol=swap[i.symbol]) for i in program.inputs),
        outputs=tuple(
            replace(o, before=swap[o.before], after=swap[o.after], live=guard(o.live))
            for o in program.outputs
        ),
        series=tuple(new.get(name, name) for name in program.series),
    )
    return changed.with_lets(lets), new


def _plain(of: sympy.Symbol) -> str:
    return str(of.name).removesuffix("[t - 1]")
