// What a kernel's text needs of Metal, for clang alone: it is read, never run.
//
// Pointers and references keep their address spaces, so that a write to constant memory, or device
// memory where a thread's own is expected, is an error. A thread's own is the default one.
#pragma once

typedef unsigned char uint8_t;
typedef signed char int8_t;
typedef unsigned short uint16_t;
typedef short int16_t;
typedef unsigned int uint32_t;
typedef int int32_t;
typedef unsigned long uint64_t;
typedef long int64_t;
typedef unsigned long size_t;
typedef unsigned int uint;
typedef unsigned short ushort;
typedef unsigned char uchar;
typedef _Float16 half;
typedef __bf16 bfloat;
typedef half float16_t;
typedef bfloat bfloat16_t;

struct uint3 {
    uint x, y, z;
};

struct uint4 {
    uint x, y, z, w;
    uint4(uint x, uint y, uint z, uint w);
    // As in Metal, it is copied from any address space.
    uint4(const __attribute__((address_space(2))) uint4&);
    uint4(const uint4&);
};

template <typename To, typename From>
To as_type(From);

#define INFINITY __builtin_inff()

namespace metal {
enum class mem_flags { mem_none, mem_device, mem_threadgroup };
void threadgroup_barrier(mem_flags);
uint mulhi(uint, uint);
float abs(float);
float sign(float);
float copysign(float, float);
bool isnan(float);
bool isinf(float);
bool isfinite(float);
float max(float, float);
float min(float, float);
float clamp(float, float, float);
float fma(float, float, float);
namespace precise {
float acos(float);
float acosh(float);
float asin(float);
float asinh(float);
float atan(float);
float atan2(float, float);
float atanh(float);
float cos(float);
float cosh(float);
float exp(float);
float exp2(float);
float log(float);
float log10(float);
float log2(float);
float pow(float, float);
float rsqrt(float);
float sin(float);
float sinh(float);
float sqrt(float);
float tan(float);
float tanh(float);
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

using namespace metal;

#define __METAL_VERSION__ 310
#define device __attribute__((address_space(1)))
#define constant const __attribute__((address_space(2)))
#define threadgroup __attribute__((address_space(3)))
#define thread
#define kernel
#define buffer(n)
#define host_name(text)
