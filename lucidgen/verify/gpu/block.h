// Threads that wait for each other, for a C++ compiler of the host: they run one after the other from
// barrier to barrier, now forwards, now backwards.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

namespace standin {

/// The number of the thread that runs.
inline unsigned thread_index = 0;

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
                thread_index = now->thread;
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
        own->thread = thread_index;
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
        thread_index = block.next++;
        (*block.work)();
        ++block.ended;
    }
}

}  // namespace standin
