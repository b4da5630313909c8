// The half types of GPUs as integers, for a C++ compiler of the host: conversions that round to the
// nearest, between two neighbours to the even one.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace standin {

inline uint32_t bits(float x) {
    uint32_t u;
    std::memcpy(&u, &x, sizeof u);
    return u;
}

inline float number(uint32_t u) {
    float x;
    std::memcpy(&x, &u, sizeof x);
    return x;
}

/// An integer divided by a power of two, rounded to the nearest, ties to the even one.
inline uint32_t shifted(uint32_t u, uint32_t by) {
    const uint32_t rest = u & ((1u << by) - 1u), half = 1u << (by - 1u);
    const uint32_t whole = u >> by;
    return whole + ((rest > half || (rest == half && (whole & 1u))) ? 1u : 0u);
}

inline uint16_t to_half(float x) {
    const uint32_t u = bits(x), sign = (u >> 16) & 0x8000u, magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return uint16_t(sign | 0x7e00u);
    }
    if (magnitude >= 0x47800000u) {
        return uint16_t(sign | 0x7c00u);
    }
    if (magnitude < 0x33000000u) {
        return uint16_t(sign);
    }
    const uint32_t exponent = magnitude >> 23;
    if (exponent < 113u) {
        const uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
        return uint16_t(sign | shifted(significand, 126u - exponent));
    }
    return uint16_t(sign | shifted(magnitude - (112u << 23), 13u));
}

inline float from_half(uint16_t h) {
    const uint32_t sign = uint32_t(h & 0x8000u) << 16, exponent = (h >> 10) & 31u;
    const uint32_t significand = h & 0x3ffu;
    if (exponent == 31u) {
        return number(sign | 0x7f800000u | (significand << 13));
    }
    if (exponent == 0u) {
        const float x = std::ldexp(float(significand), -24);
        return sign ? -x : x;
    }
    return number(sign | ((exponent + 112u) << 23) | (significand << 13));
}

inline uint16_t to_bfloat(float x) {
    const uint32_t u = bits(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
        return uint16_t((u >> 16) | 0x40u);
    }
    return uint16_t(shifted(u, 16u));
}

}  // namespace standin
