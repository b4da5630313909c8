// Runs emitted steps over tables of every kind, and exits with 1 if they disagree among themselves.
// The sanitizers that it is compiled with watch what it does.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "adam.cpp"

// Of the rules with phases, and of that with rows and columns, only what is used here.
#undef LUCIDGEN_RULE
#undef LUCIDGEN_STEPS
#define LUCIDGEN_STEPS(rule)
#include "adafactor.cpp"
#include "novograd.cpp"

using lucidgen::Index;
using lucidgen::Shape;
using lucidgen::Type;

namespace {

/// How many numbers an array of a rule has.
template <typename Rule>
Index extent(const Shape& shape, [[maybe_unused]] int array) {
    if constexpr (lucidgen::has_phases<Rule>) {
        return shape.count(Rule::kinds[array]);
    } else {
        return shape.count(lucidgen::Of::element);
    }
}

/// Some tensors, their states and gradients, each in memory of its own that ends where it ends.
template <typename Rule, typename T>
struct Tensors {
    std::vector<std::vector<T>> owned;
    std::vector<void*> arrays;
    std::vector<Index> starts{0};

    Tensors(const std::vector<Shape>& shapes, int live) {
        for (const Shape& shape : shapes) {
            starts.push_back(starts.back() + shape.count(lucidgen::Of::element));
            for (int array = 0; array <= Rule::states; ++array) {
                owned.emplace_back(array > live ? 0 : extent<Rule>(shape, array));
                for (std::size_t i = 0; i < owned.back().size(); ++i) {
                    owned.back()[i] = T(static_cast<float>((i * 7 + array * 3) % 11) / 4);
                }
                arrays.push_back(array <= live ? owned.back().data() : nullptr);
            }
        }
    }
};

/// Gradients that every type has.
template <typename T>
std::vector<std::vector<T>> gradients(const std::vector<Index>& sizes) {
    std::vector<std::vector<T>> found;
    for (Index size : sizes) {
        found.emplace_back();
        for (Index i = 0; i < size; ++i) {
            const float value = static_cast<float>((i * 5) % 13) / 8 - 0.75f;
            found.back().emplace_back();
            lucidgen::convert(&found.back().back(), &value, 1);
        }
    }
    return found;
}

template <typename T>
std::vector<const char*> pointers(const std::vector<std::vector<T>>& arrays) {
    std::vector<const char*> found;
    for (const std::vector<T>& array : arrays) {
        found.push_back(reinterpret_cast<const char*>(array.data()));
    }
    return found;
}

/// A size at which loops that wait for each other have several threads for each.
template <typename Rule>
constexpr Index waits = lucidgen::has_phases<Rule> ? 4 * lucidgen::fair + 1 : 70000;

/// Whether gradients of type G, any layout and any number of threads give what one thread gives.
template <typename Rule, typename T, typename G>
bool agree(Type own, Type type, int repeats, int live, const int* choices) {
    const double scalars[] = {0.5, -1.0, 0.1, 0.9, 0.1, 0.999, 0.001, 0.01, 1e-8};
    // Two are worth several threads each; with phases, one of them is shared by these.
    const std::vector<Shape> shapes =
        lucidgen::has_margins<Rule>
            ? std::vector<Shape>{{1, 0, 3},  {1, 1, 1}, {1, 257, 4 * lucidgen::fair / 256},
                                 {1, 3, 4},  {2, 3, 1}, {4, 5, 2000}}
            : std::vector<Shape>{{1, 1, 0},  {1, 1, 1}, {1, 1, waits<Rule>},
                                 {1, 1, 12}, {1, 1, 6}, {1, 1, 40000}};
    std::vector<Index> sizes;
    for (const Shape& shape : shapes) {
        sizes.push_back(shape.count(lucidgen::Of::element));
    }
    const std::vector<std::vector<T>> plain = gradients<T>(sizes);
    const std::vector<std::vector<G>> other = gradients<G>(sizes);
    const std::vector<const char*> plain_grads = pointers(plain);
    std::vector<const char*> other_grads = pointers(other);
    const std::vector<Type> plain_types(sizes.size(), own), other_types(sizes.size(), type);

    // 12 elements as a transposed 3 x 4, 6 backwards, 40000 in the middle of a word.
    std::vector<G> transposed(12), backwards(6);
    for (Index i = 0; i < 12; ++i) {
        transposed[i % 4 * 3 + i / 4] = other[3][i];
    }
    for (Index i = 0; i < 6; ++i) {
        backwards[5 - i] = other[4][i];
    }
    std::vector<char> shifted(40000 * sizeof(G) + 1);
    std::memcpy(shifted.data() + 1, other[5].data(), 40000 * sizeof(G));
    other_grads[3] = reinterpret_cast<const char*>(transposed.data());
    other_grads[4] = reinterpret_cast<const char*>(backwards.data() + 5);
    other_grads[5] = shifted.data() + 1;
    const Index size = sizeof(G);
    const Index extents3[] = {3, 4}, strides3[] = {size, 3 * size};
    const Index extents4[] = {6}, strides4[] = {-size};
    const lucidgen::Layout layout3{2, extents3, strides3}, layout4{1, extents4, strides4};
    const lucidgen::Layout* layouts[] = {nullptr, nullptr, nullptr, &layout3, &layout4, nullptr};

    Tensors<Rule, T> one(shapes, live), two(shapes, live);
    const Index count = static_cast<Index>(sizes.size());
    for (int repeat = 0; repeat < repeats; ++repeat) {
        lucidgen::Table table{count, one.starts.data(),  one.arrays.data(), plain_grads.data(),
                              -1,    plain_types.data(), nullptr,           nullptr,
                              nullptr, &shapes[0].matrices};
        lucidgen::step<Rule, T>(table, scalars, choices, 1);
        table = {count, two.starts.data(),  two.arrays.data(), other_grads.data(),
                 -1,    other_types.data(), layouts,           nullptr,
                 nullptr, &shapes[0].matrices};
        lucidgen::step<Rule, T>(table, scalars, choices, 3);
    }
    for (std::size_t k = 0; k < one.owned.size(); ++k) {
        if (one.owned[k].size() &&
            std::memcmp(one.owned[k].data(), two.owned[k].data(), one.owned[k].size() * sizeof(T))) {
            return false;
        }
    }
    return true;
}

const int plain[] = {0, 0, 0, 0, 0}, all[] = {1, 1, 1, 1, 1};

template <typename T>
bool loops_agree(Type own) {
    using Rule = lucidgen::adam_rule;
    return agree<Rule, T, T>(own, own, 3, 2, plain) && agree<Rule, T, T>(own, own, 3, 3, all) &&
           agree<Rule, T, float>(own, Type::f32, 1, 3, all) &&
           agree<Rule, T, double>(own, Type::f64, 1, 3, all) &&
#ifdef __FLT16_MANT_DIG__
           agree<Rule, T, lucidgen::float16>(own, Type::f16, 1, 3, all) &&
#endif
           agree<Rule, T, lucidgen::bfloat16>(own, Type::bf16, 1, 3, all);
}

template <typename T>
bool phases_agree(Type own) {
    using Rule = lucidgen::novograd_rule;
    return agree<Rule, T, T>(own, own, 2, 2, plain) &&
           agree<Rule, T, double>(own, Type::f64, 1, 2, all);
}

template <typename T>
bool matrices_agree(Type own) {
    using Rule = lucidgen::adafactor_rule;
    return agree<Rule, T, T>(own, own, 2, 2, all) &&
           agree<Rule, T, double>(own, Type::f64, 1, 2, all);
}

/// Whether every half is read as what IEEE 754 says it is.
bool float16_is_read() {
    for (unsigned bits = 0; bits < 0x10000u; ++bits) {
        const auto narrow = static_cast<std::uint16_t>(bits);
        lucidgen::float16 from;
        std::memcpy(&from, &narrow, sizeof from);
        float value, expected;
        lucidgen::convert(&value, &from, 1);
        const int exponent = bits >> 10 & 31u;
        const float digits = static_cast<float>(bits & 1023u);
        if (exponent == 31) {
            expected = bits & 1023u ? NAN : INFINITY;
        } else {
            expected = std::ldexp(exponent ? digits + 1024 : digits, (exponent ? exponent : 1) - 25);
        }
        expected = bits & 0x8000u ? -expected : expected;
        const bool both_are_nan = value != value && expected != expected;
        if (!both_are_nan && std::memcmp(&value, &expected, sizeof value)) {
            return false;
        }
    }
    return true;
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
    const bool found[] = {
        loops_agree<float>(Type::f32),
        loops_agree<double>(Type::f64),
        loops_agree<lucidgen::bfloat16>(Type::bf16),
        phases_agree<float>(Type::f32),
        matrices_agree<float>(Type::f32),
#ifdef __FLT16_MANT_DIG__
        loops_agree<lucidgen::float16>(Type::f16),
        phases_agree<lucidgen::float16>(Type::f16),
        matrices_agree<lucidgen::float16>(Type::f16),
#endif
        float16_is_read(),
        bfloat16_rounds(),
    };
    bool all = true;
    for (bool good : found) {
        std::puts(good ? "agree" : "disagree");
        all = all && good;
    }
    return all ? EXIT_SUCCESS : EXIT_FAILURE;
}
