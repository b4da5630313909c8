// Runs emitted steps over tables of every kind, and exits with 1 if they disagree among themselves.
// The sanitizers that it is compiled with watch what it does.

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "adam.cpp"

using lucidgen::Index;

namespace {

/// Some tensors, their states and gradients, each in memory of its own that ends where it ends.
template <typename T>
struct Tensors {
    std::vector<std::vector<T>> owned;
    std::vector<void*> arrays;
    std::vector<Index> starts{0};

    Tensors(const std::vector<Index>& sizes, int states, int live) {
        for (Index size : sizes) {
            starts.push_back(starts.back() + size);
            for (int array = 0; array <= states; ++array) {
                owned.emplace_back(array <= live ? size : 0);
                for (std::size_t i = 0; i < owned.back().size(); ++i) {
                    owned.back()[i] = T(static_cast<float>((i * 7 + array * 3) % 11) / 4);
                }
                arrays.push_back(array <= live ? owned.back().data() : nullptr);
            }
        }
    }
};

template <typename T>
T gradient(Index i) {
    return T(static_cast<float>((i * 5) % 13) / 8 - 0.7f);
}

/// Whether gradients of any layout and any number of threads give what one thread gives.
template <typename Rule, typename T>
bool agree(int live, const int* choices, const double* scalars) {
    const std::vector<Index> sizes{0, 1, 70000, 12, 6, 40000};
    std::vector<std::vector<T>> plain, other;
    std::vector<std::vector<char>> bytes;
    std::vector<const char*> plain_grads, other_grads;
    for (Index size : sizes) {
        plain.emplace_back();
        for (Index i = 0; i < size; ++i) {
            plain.back().push_back(gradient<T>(i));
        }
        plain_grads.push_back(reinterpret_cast<const char*>(plain.back().data()));
    }
    other_grads = plain_grads;

    // 12 elements as a transposed 3 x 4, 6 backwards, 40000 in the middle of a word.
    std::vector<T> transposed(12), backwards(6);
    for (Index i = 0; i < 12; ++i) {
        transposed[i % 4 * 3 + i / 4] = plain[3][i];
    }
    for (Index i = 0; i < 6; ++i) {
        backwards[5 - i] = plain[4][i];
    }
    std::vector<char> shifted(40000 * sizeof(T) + 1);
    std::memcpy(shifted.data() + 1, plain[5].data(), 40000 * sizeof(T));
    other_grads[3] = reinterpret_cast<const char*>(transposed.data());
    other_grads[4] = reinterpret_cast<const char*>(backwards.data() + 5);
    other_grads[5] = shifted.data() + 1;
    const Index size = sizeof(T);
    const Index extents3[] = {3, 4}, strides3[] = {size, 3 * size};
    const Index extents4[] = {6}, strides4[] = {-size};
    const lucidgen::Layout layout3{2, extents3, strides3}, layout4{1, extents4, strides4};
    const lucidgen::Layout* layouts[] = {nullptr, nullptr, nullptr, &layout3, &layout4, nullptr};

    Tensors<T> one(sizes, Rule::states, live), two(sizes, Rule::states, live);
    const Index count = static_cast<Index>(sizes.size());
    for (int repeat = 0; repeat < 3; ++repeat) {
        lucidgen::Table table{count, one.starts.data(), one.arrays.data(), plain_grads.data(), -1,
                              nullptr};
        lucidgen::step<Rule, T>(table, scalars, choices, 1);
        table = {count, two.starts.data(), two.arrays.data(), other_grads.data(), -1, layouts};
        lucidgen::step<Rule, T>(table, scalars, choices, 3);
    }
    for (std::size_t k = 0; k < one.owned.size(); ++k) {
        if (one.owned[k].size() &&
            std::memcmp(one.owned[k].data(), two.owned[k].data(), one.owned[k].size() * size)) {
            return false;
        }
    }
    return true;
}

template <typename T>
bool all_agree() {
    const double scalars[] = {0.5, -1.0, 0.1, 0.9, 0.1, 0.999, 0.001, 0.01, 1e-8};
    const int plain[] = {0, 0, 0}, all[] = {1, 1, 1};
    return agree<lucidgen::adam_rule, T>(2, plain, scalars) &&
           agree<lucidgen::adam_rule, T>(3, all, scalars);
}

/// Whether every float that a bfloat16 holds survives, and one between two goes to the nearest.
bool bfloat16_rounds() {
    for (unsigned bits = 0; bits < 0x10000u; ++bits) {
        lucidgen::bfloat16 from;
        from.bits = static_cast<std::uint16_t>(bits);
        const float value = static_cast<float>(from);
        if (value == value && lucidgen::bfloat16(value).bits != bits) {
            return false;
        }
        const float back = static_cast<float>(lucidgen::bfloat16(value));
        if (value != value && back == back) {
            return false;
        }
    }
    return static_cast<float>(lucidgen::bfloat16(1.00390625f)) == 1.0f &&
           static_cast<float>(lucidgen::bfloat16(1.01171875f)) == 1.015625f &&
           static_cast<float>(lucidgen::bfloat16(1.005f)) == 1.0078125f;
}

}  // namespace

int main() {
    const bool found[] = {all_agree<float>(), all_agree<double>(), all_agree<lucidgen::bfloat16>(),
                          all_agree<lucidgen::float16>(), bfloat16_rounds()};
    for (bool good : found) {
        std::puts(good ? "agree" : "disagree");
    }
    return found[0] && found[1] && found[2] && found[3] && found[4] ? EXIT_SUCCESS : EXIT_FAILURE;
}
