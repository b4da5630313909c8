// What emitted CUDA needs of NVIDIA's headers, for a C++ compiler of the host: it runs grids thread
// by thread. The half types convert only where the text says so, which is stricter than CUDA.
#pragma once

#include <math.h>

#include <cstddef>

#include "../halves.h"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __launch_bounds__(threads)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct uint4 {
    unsigned x, y, z, w;
};

inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline unsigned __umulhi(unsigned x, unsigned y) { return unsigned(uint64_t(x) * y >> 32); }
inline unsigned __float_as_uint(float x) { return standin::bits(x); }
inline float __uint_as_float(unsigned bits) { return standin::number(bits); }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }

inline dim3 threadIdx(0, 0, 0), blockIdx(0, 0, 0), blockDim, gridDim;

typedef struct StandinStream* cudaStream_t;
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidConfiguration = 9 };

struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    std::size_t dynamicSmemBytes;
    cudaStream_t stream;
};

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
    if (config->gridDim.x == 0 || config->blockDim.x == 0 || config->blockDim.x > 1024) {
        return cudaErrorInvalidConfiguration;
    }
    gridDim = config->gridDim;
    blockDim = config->blockDim;
    // One block more than asked for, which has nothing to do.
    for (unsigned block = 0; block <= gridDim.x; ++block) {
        for (unsigned thread = 0; thread < blockDim.x; ++thread) {
            blockIdx.x = block;
            threadIdx.x = thread;
            kernel(arguments...);
        }
    }
    return cudaSuccess;
}

struct __half {
    uint16_t bits;
    __half() = default;
    explicit __half(float x) : bits(standin::to_half(x)) {}
    explicit operator float() const { return standin::from_half(bits); }
};

struct __nv_bfloat16 {
    uint16_t bits;
    __nv_bfloat16() = default;
    explicit __nv_bfloat16(float x) : bits(standin::to_bfloat(x)) {}
    explicit operator float() const { return standin::number(uint32_t(bits) << 16); }
};
