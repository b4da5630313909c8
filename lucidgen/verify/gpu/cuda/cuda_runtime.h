// What emitted CUDA needs of NVIDIA's headers, for a C++ compiler of the host: it runs grids block by
// block, and threads one after the other from barrier to barrier, now forwards, now backwards. The
// half types convert only where the text says so, which is stricter than CUDA.
#pragma once

#include <math.h>

#include <cstddef>
#include <cstdlib>

#include "../block.h"
#include "../halves.h"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __shared__ static
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

/// The number of the thread that runs.
inline struct {
    unsigned &x = standin::thread_index, y = 0, z = 0;
} threadIdx;
inline dim3 blockIdx(0, 0, 0), blockDim, gridDim;

inline void __syncthreads() { standin::block.wait(); }

typedef struct StandinStream* cudaStream_t;
enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9
};

/// Memory holds anything at first, here what is no number.
inline cudaError_t cudaMallocAsync(void** memory, std::size_t size, cudaStream_t) {
    *memory = std::malloc(size);
    if (!*memory) {
        return cudaErrorMemoryAllocation;
    }
    memset(*memory, 0xff, size);
    return cudaSuccess;
}
inline cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
    std::free(memory);
    return cudaSuccess;
}

struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    std::size_t dynamicSmemBytes;
    cudaStream_t stream;
};

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
    if (config->gridDim.x == 0 || config->gridDim.y == 0 || config->blockDim.x == 0 ||
        config->blockDim.x > 1024) {
        return cudaErrorInvalidConfiguration;
    }
    gridDim = config->gridDim;
    blockDim = config->blockDim;
    // One block more than asked for, which has nothing to do.
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y) {
        for (blockIdx.x = 0; blockIdx.x <= gridDim.x; ++blockIdx.x) {
            standin::block.run(blockDim.x, [&] { kernel(arguments...); });
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
