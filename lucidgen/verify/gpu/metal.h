// What a kernel's text needs of Metal, for a C++ compiler of the host: it runs the text.
//
// Address spaces are dropped here; `spaces.h` has them. The half types convert only where the text
// says so, which is stricter than Metal: a forgotten conversion does not compile.
#pragma once

#include "halves.h"

typedef unsigned int uint;
typedef unsigned short ushort;
typedef unsigned char uchar;

struct uint3 {
    uint x, y, z;
};

struct uint4 {
    uint x, y, z, w;
    uint4(uint x, uint y, uint z, uint w) : x(x), y(y), z(z), w(w) {}
};

template <typename To, typename From>
inline To as_type(From value) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To found;
    std::memcpy(&found, &value, sizeof found);
    return found;
}

struct half {
    uint16_t bits;
    half() = default;
    explicit half(float x) : bits(standin::to_half(x)) {}
    explicit operator float() const { return standin::from_half(bits); }
};

struct bfloat {
    uint16_t bits;
    bfloat() = default;
    explicit bfloat(float x) : bits(standin::to_bfloat(x)) {}
    explicit operator float() const { return standin::number(uint32_t(bits) << 16); }
};

typedef half float16_t;
typedef bfloat bfloat16_t;

namespace metal {

inline uint mulhi(uint x, uint y) { return uint(uint64_t(x) * y >> 32); }
inline float abs(float x) { return std::fabs(x); }
inline float sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : std::isnan(x) ? 0.0f : x; }
inline float copysign(float x, float y) { return std::copysign(x, y); }
inline bool isnan(float x) { return std::isnan(x); }
inline bool isinf(float x) { return std::isinf(x); }
inline bool isfinite(float x) { return std::isfinite(x); }
// As in Metal, these two prefer a number to a nan.
inline float max(float x, float y) { return std::fmax(x, y); }
inline float min(float x, float y) { return std::fmin(x, y); }
inline float clamp(float x, float low, float high) { return std::fmin(std::fmax(x, low), high); }
inline float fma(float x, float y, float z) { return std::fma(x, y, z); }

namespace precise {
inline float acos(float x) { return std::acos(x); }
inline float acosh(float x) { return std::acosh(x); }
inline float asin(float x) { return std::asin(x); }
inline float asinh(float x) { return std::asinh(x); }
inline float atan(float x) { return std::atan(x); }
inline float atan2(float y, float x) { return std::atan2(y, x); }
inline float atanh(float x) { return std::atanh(x); }
inline float cos(float x) { return std::cos(x); }
inline float cosh(float x) { return std::cosh(x); }
inline float exp(float x) { return std::exp(x); }
inline float exp2(float x) { return std::exp2(x); }
inline float log(float x) { return std::log(x); }
inline float log10(float x) { return std::log10(x); }
inline float log2(float x) { return std::log2(x); }
inline float pow(float x, float y) { return std::pow(x, y); }
inline float rsqrt(float x) { return 1.0f / std::sqrt(x); }
inline float sin(float x) { return std::sin(x); }
inline float sinh(float x) { return std::sinh(x); }
inline float sqrt(float x) { return std::sqrt(x); }
inline float tan(float x) { return std::tan(x); }
inline float tanh(float x) { return std::tanh(x); }
}  // namespace precise

using precise::acos;
using precise::acosh;
using precise::asin;
using precise::asinh;
using precise::atan;
using precise::atan2;
using precise::atanh;
using precise::cos;
using precise::cosh;
using precise::exp;
using precise::exp2;
using precise::log;
using precise::log10;
using precise::log2;
using precise::pow;
using precise::rsqrt;
using precise::sin;
using precise::sinh;
using precise::sqrt;
using precise::tan;
using precise::tanh;

}  // namespace metal

// MLX's preamble opens this namespace: a text may not depend on that, nor break under it.
using namespace metal;

#define __METAL_VERSION__ 310
#define device
#define constant
#define thread
#define threadgroup
#define kernel
#define buffer(n)
#define host_name(text)
