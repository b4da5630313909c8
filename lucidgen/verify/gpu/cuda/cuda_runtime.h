// What emitted CUDA needs of NVIDIA's headers, for a C++ compiler of the host: it runs grids block by
// block, and threads one after the other from barrier to barrier, now forwards, now backwards. The
// half types convert only where the text says so, which is stricter than CUDA.
#pragma once

#include <math.h>
#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

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

inline dim3 threadIdx(0, 0, 0), blockIdx(0, 0, 0), blockDim, gridDim;

namespace standin {

/// Runs the threads of a block. One that comes to a barrier waits there on its stack, until all
/// have come; on the next stack those go on that have not begun.
class Block {
  public:
    void run(unsigned count, const std::function<void()>& kernel) {
        threads = count;
        next = ended = 0;
        work = &kernel;
        std::vector<Stack*> waiting;
        while (next < threads) {
            if (waiting.size() == stacks.size()) {
                stacks.push_back(std::make_unique<Stack>());
            }
            now = stacks[waiting.size()].get();
            getcontext(&now->context);
            now->context.uc_stack.ss_sp = now->memory;
            now->context.uc_stack.ss_size = sizeof now->memory;
            now->context.uc_link = &home;
            makecontext(&now->context, begin, 0);
            waits = false;
            swapcontext(&home, &now->context);
            if (waits) {
                waiting.push_back(now);
            }
        }
        for (; !waiting.empty(); std::reverse(waiting.begin(), waiting.end())) {
            if (ended) {
                fail("some threads of a block do not come to a barrier");
            }
            std::vector<Stack*> left;
            for (Stack* each : waiting) {
                now = each;
                waits = false;
                threadIdx.x = now->thread;
                swapcontext(&home, &now->context);
                if (waits) {
                    left.push_back(now);
                }
                if (now->guard != ~0u) {
                    fail("a thread needs more memory than the stand-in gives it");
                }
            }
            if (left.empty()) {
                return;
            }
            waiting = left;
        }
    }

    void wait() {
        Stack* const own = now;
        own->thread = threadIdx.x;
        waits = true;
        swapcontext(&own->context, &home);
    }

  private:
    struct Stack {
        ucontext_t context;
        unsigned thread;
        unsigned guard = ~0u;  // what is behind the end of the memory
        char memory[1 << 15];  // each time that a thread goes on, the sanitizer looks at all of it
    };

    static void begin();

    static void fail(const char* what) {
        std::fprintf(stderr, "ERROR: %s\n", what);
        std::abort();
    }

    unsigned threads, next, ended;
    bool waits;
    ucontext_t home;
    Stack* now;
    std::vector<std::unique_ptr<Stack>> stacks;
    const std::function<void()>* work;
};

inline Block block;

inline void Block::begin() {
    while (block.next < block.threads) {
        threadIdx.x = block.next++;
        (*block.work)();
        ++block.ended;
    }
}

}  // namespace standin

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
