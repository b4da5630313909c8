// What kernels in groups of threads need of Metal besides: barriers.
#pragma once

#include "block.h"

namespace metal {

enum class mem_flags { mem_none, mem_device, mem_threadgroup };
inline void threadgroup_barrier(mem_flags) { standin::block.wait(); }

}  // namespace metal
