"""Names in the languages of targets: how an author's are kept apart from those of a text.

Owns the one way to do it. A target says which names its language and its templates have already
(`Words`); what an author has called like one of them is written in another way there (`renamed`),
and only there. Names that nothing can have are the language's (`spec.names`).
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, count

import sympy

from ...ir.guard import Guard
from ...ir.program import Program, series_of, symbol
from ...operations import OPERATIONS, called_in
from ...spec.expressions import replaced
from ...spec.names import BUILTINS


def in_ascii(name: str) -> str:
    """A name in letters that every language has: the names of the letters that it has not.

    >>> in_ascii("m_hat"), in_ascii("\\u03b2_1"), in_ascii("\\u00fcber"), in_ascii("\\u4e2d")
    ('m_hat', 'beta_1', 'uber', 'u4e2d')
    """
    if name.isascii():
        return name
    parts = unicodedata.normalize("NFKD", name)
    return "".join(map(_letter, (part for part in parts if not unicodedata.combining(part))))


def _letter(letter: str) -> str:
    if letter.isascii():
        return letter
    found = re.search(r"LETTER (?:FINAL )?([A-Z ]+)$", unicodedata.name(letter, ""))
    return found[1].replace(" ", "_").lower() if found else f"u{ord(letter):x}"


@cache
def _functions(languages: tuple[str, ...], operations: tuple[str, ...]) -> frozenset[str]:
    """The functions that texts of languages call, as long as there are these operations."""
    return frozenset().union(*map(called_in, languages))


@dataclass(frozen=True)
class Words:
    """The names that a language and the texts in it have, so that an author's are others there.

    Parameters
    ----------
    names : set of str
        What is taken.
    patterns : tuple of str
        Regular expressions of whole names that are taken.
    languages : tuple of str
        Whose functions are taken as well, as the table of operations calls the languages.
    plain : callable
        Takes any name to one that the language can have, be it free or not.
    """

    names: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    plain: Callable[[str], str] = str

    def __contains__(self, name: str) -> bool:
        return (
            name in self.names
            or any(re.fullmatch(pattern, name) for pattern in self.patterns)
            or name in _functions(self.languages, (*OPERATIONS,))
        )

    def __or__(self, other: Words) -> Words:
        """What either has, written as names are here."""
        return Words(
            self.names | other.names,
            (*self.patterns, *other.patterns),
            (*self.languages, *other.languages),
            self.plain,
        )

    def free(self, name: str, taken: Iterable[str] = ()) -> str:
        """The name, or one like it that the language can have and that is none of those taken.

        >>> PYTHON.free("lr"), PYTHON.free("sum"), PYTHON.free("sum", {"own_sum"})
        ('lr', 'own_sum', 'own_sum_2')
        """
        found = self.plain(name)
        taken = taken if isinstance(taken, Set) else set(taken)
        wanted = chain((found, f"own_{found}"), (f"own_{found}_{n}" for n in count(2)))
        return next(n for n in wanted if n not in self and (n == name or n not in taken))


def words(text: str, *patterns: str) -> Words:
    """Words from a text that lists them, and from patterns."""
    return Words(frozenset(text.split()), patterns)


NONE = Words()

#: What Python has, and what a step calls the new value of what it still reads.
PYTHON = Words(frozenset(keyword.kwlist) | BUILTINS, (r"new_\w+",))


def _in_c(name: str) -> str:
    """As C++ can have a name: two underscores are its own, and one in front."""
    return re.sub(r"_{2,}", "_", in_ascii(name)).lstrip("_") or "own"


#: What C++ has. Macros are in capitals, whoever defines them, but for a few.
CPP = replace(
    words(
        """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t
char32_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
constinit continue decltype default delete do double dynamic_cast else enum explicit export extern
false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr
operator or or_eq private protected public register reinterpret_cast requires return short signed
sizeof static static_assert static_cast struct switch template this thread_local throw true try
typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
assert errno linux math_errhandling sched_priority unix
        """,
        r"[A-Z]{2,}\w*|M_\w+",
        r"_[A-Z]\w*|\w*__\w*",
        r"u?int\d+_t",
    ),
    plain=_in_c,
)

#: What Metal has besides, and what MLX puts before a kernel.
METAL = CPP | words(
    """
array as_type atomic bfloat coherent constant device fragment half imageblock intersection kernel
mesh metal object_data packed patch ptrdiff_t quadgroup ray_data sampler simdgroup size_t texture
thread threadgroup threadgroup_imageblock uchar uint ulong ushort vec vertex visible
instantiate_default_limit instantiate_float_limit instantiate_kernel instantiate_metal_math_funcs
instantiate_metal_simd_comm_funcs instantiate_metal_simd_reduction_funcs
bfloat16_t float16_t complex64_t complex_t
    """,
    r"(packed_)?(bool|char|uchar|short|ushort|int|uint|long|ulong|half|bfloat|float)\d(x\d)?",
)


def _in_kernels(name: str) -> str:
    """As kernels can have a name.

    MLX declares `w_shape`, `w_strides` and `w_ndim` as soon as these letters occur in a kernel that
    has a buffer `w`; and behind `_i` there is element i of a buffer.
    """
    found = re.sub(r"_(shape|strides|ndim)", lambda m: "_" + m[1].capitalize(), _in_c(name))
    found = found.strip("_") or "own"
    while re.fullmatch(r"\w+_i", found):
        found = found.removesuffix("_i") + "i"
    return found


#: The names that kernels for MLX have: those of Metal, and what bodies declare beside the buffers.
KERNELS = replace(
    METAL
    | words(
        """
T i size start starts maximum minimum lucidgen thread_position_in_grid threads_per_grid
stream streams element tensor philox random_words horner radius cosine draw_normal draw_uniform
        """,
        r"(new|flat)_\w+|(w|grad)_\d+|\w+_i",
    ),
    plain=_in_kernels,
)


def is_foreign(name: str) -> bool:
    """Whether a name is a word, a type or a macro of Metal's or of MLX's preamble.

    >>> is_foreign("half"), is_foreign("M_PI_F"), is_foreign("w_i")
    (True, True, False)
    """
    return name in METAL


def safe(name: str, taken: Iterable[str] = ()) -> str:
    """The name, or one like it that kernels for MLX can have.

    >>> safe("beta1"), safe("half"), safe("w_shape"), safe("w_i"), safe("m__2")
    ('beta1', 'own_half', 'w_Shape', 'wi', 'm_2')
    """
    return KERNELS.free(name, taken)


def renamed(
    program: Program, free: Callable[[str, Iterable[str]], str], others: Iterable[str] = ()
) -> tuple[Program, Mapping[str, str]]:
    """A program whose names a language can have, and the new name of every old one.

    Choices that are called after a hyperparameter or a state go on being.

    Parameters
    ----------
    program : Program
        As it leaves the passes.
    free : callable
        Takes a name and those taken to a name that the language can have, and that is none of them.
    others : iterable of str
        Names that stand beside the program's.
    """
    symbols = [*(i.symbol for i in program.inputs), *(let.target for let in program.lets)]
    old = list(dict.fromkeys([*map(series_of, symbols), *others, *program.choices]))
    new: dict[str, str] = {}
    taken = set(old)
    for name in old:
        kind, _, of = name.partition("_")
        if name in program.choices and kind in ("use", "first") and new.get(of, of) != of:
            new[name] = f"{kind}_{new[of]}"
        else:
            new[name] = free(name, taken)
        taken.add(new[name])
    if all(name == other for name, other in new.items()):
        return program, new
    swap = {
        s: symbol(str(s.name).replace(series_of(s), new[series_of(s)], 1))
        for s in symbols
        if new[series_of(s)] != series_of(s)
    }
    choices = tuple(new[name] for name in program.choices)

    def moved(of: sympy.Symbol) -> sympy.Symbol:
        return swap.get(of, of)

    def guard(of: Guard) -> Guard:
        return Guard(choices, of.table)

    lets = [
        replace(
            let, target=moved(let.target), value=replaced(let.value, swap), guard=guard(let.guard)
        )
        for let in program.lets
    ]
    changed = replace(
        program,
        choices=choices,
        inputs=tuple(replace(i, symbol=moved(i.symbol)) for i in program.inputs),
        outputs=tuple(
            replace(o, before=moved(o.before), after=moved(o.after), live=guard(o.live))
            for o in program.outputs
        ),
        series=tuple(new.get(name, name) for name in program.series),
        shapes=tuple((new[name], relation) for name, relation in program.shapes),
    )
    return changed.with_lets(lets), new
