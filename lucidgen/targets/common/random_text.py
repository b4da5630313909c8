"""Random numbers in languages of kernels: Philox 4x32-10 and what is made of its words, as text.

Owns the functions `draw_normal` and `draw_uniform`, for one element, and those that they call; what
the numbers are is in `lucidgen.runtime.rules.philox`. Products and sums are rounded each by itself,
so that the numbers are the same everywhere. The loops in C++ have their own header.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """How a language spells what the functions need.

    `function` comes before each function and `exact` at the top of those that compute; `element` is
    the type that counts elements, `above` the upper word of a number of that type; the rest are
    functions or expressions of their operands.
    """

    function: str
    exact: str
    uint: str
    element: str
    above: str
    words: str
    high: str
    bits: str
    number: str
    product: str
    total: str
    root: str


_TEXT = """\
/// Philox 4x32-10 (Salmon et al. 2011): the words of a counter become random under a key.
{function} uint4 philox(uint4 words, {uint} key, {uint} other_key) {{
    for (int round = 0; round < 10; ++round) {{
        const {uint} first = {high}(0xD2511F53u, words.x);
        const {uint} third = {high}(0xCD9E8D57u, words.z);
        words = {words}(third ^ words.y ^ key, 0xCD9E8D57u * words.z,
                      first ^ words.w ^ other_key, 0xD2511F53u * words.x);
        key += 0x9E3779B9u;
        other_key += 0xBB67AE85u;
    }}
    return words;
}}

/// The words of elements 4 b to 4 b + 3, of which `element` is one, in a stream.
{function} uint4 random_words(
    uint4 stream, {uint} draw, {element} element) {{
    const {element} block = element / 4;
    const {uint} low = {uint}(block), high = {above};
    const uint4 counter = {words}(low, high, stream.z + draw, stream.w);
    return philox(counter, stream.x, stream.y);
}}

/// The sum times x, plus a coefficient: each is rounded by itself.
{function} float horner(float sum, float x, float coefficient) {{{exact}
    const float scaled = {product};
    return {total};
}}

/// sqrt(-2 ln u) for u = (the upper 24 bits + 1) / 2**24: -2 ln(1 + x) / x is a polynomial between
/// the roots of 1/2 and 2, to which u is brought by a power of 2.
{function} float radius(uint32_t word) {{{exact}
    const uint32_t bits = {bits}(float((word >> 8) + 1u));
    const uint32_t exponent = (bits - 0x3F3504F3u) >> 23;
    const float x = {number}(bits - (exponent << 23)) - 1.0f;
    float value = horner(0.15661648f, x, -0.2603831f);
    value = horner(value, x, 0.2642452f);
    value = horner(value, x, -0.28321442f);
    value = horner(value, x, 0.33220685f);
    value = horner(value, x, -0.40006414f);
    value = horner(value, x, 0.5000314f);
    value = horner(value, x, -0.66666603f);
    value = horner(value, x, 0.99999976f);
    value = horner(value, x, -2.0f);
    const float whole = float(24u - exponent) * 1.3862944f;
    return {root}(horner(value, x, whole));
}}

/// cos(2 pi f) for the fraction f that the upper 24 bits are, as the sine of what lacks to a
/// quarter: sin(2 pi x) / x is a polynomial in x * x up to there.
{function} float cosine(uint32_t word) {{{exact}
    const int32_t turn = int32_t(word) >> 8;
    const float x = float(4194304 - (turn < 0 ? -turn : turn)) / 16777216.0f;
    const float square = x * x;
    float value = horner(39.536705f, square, -76.54978f);
    value = horner(value, square, 81.601006f);
    value = horner(value, square, -41.341656f);
    value = horner(value, square, 6.283185f);
    return x * value;
}}

/// A standard normal number (Box & Muller 1958).
{function} float draw_normal(
    uint4 stream, {uint} draw, {element} element) {{
    const uint4 words = random_words(stream, draw, element);
    const bool is_later = element % 4 >= 2;
    const {uint} turn = is_later ? words.w : words.y;
    const float length = radius(is_later ? words.z : words.x);
    return length * cosine(element % 2 == 0 ? turn : turn - 0x40000000u);
}}

/// A uniform number, 0 <= u < 1: the upper 24 bits of the element's word.
{function} float draw_uniform(
    uint4 stream, {uint} draw, {element} element) {{
    const uint4 words = random_words(stream, draw, element);
    const {uint} first = element % 4 == 0 ? words.x : words.y;
    const {uint} second = element % 4 == 2 ? words.z : words.w;
    return float((element % 4 < 2 ? first : second) >> 8) / 16777216.0f;
}}"""


def functions(spelling: Spelling) -> str:
    """The text of the functions in a language."""
    given = vars(spelling) | {"exact": f"\n{spelling.exact}" if spelling.exact else ""}
    text = _TEXT.format(**given)
    return text.replace("uint32_t", spelling.uint).replace("int32_t", "int")
