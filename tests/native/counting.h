// Numbers that count what is done with them: include it before the emitted loops.

#pragma once

#include <cstdio>
#include <map>
#include <string>

#include "phases.h"

// The steps themselves are not wanted.
#undef LUCIDGEN_STEPS
#define LUCIDGEN_STEPS(rule)

namespace lucidgen {

inline std::map<std::string, int> counts;

struct Counted;

/// A number in an array. To read it gives a Counted, to write it takes one.
struct Stored {
    Stored() = default;
    explicit Stored(Counted);
};

/// A number in a register; its value does not matter.
struct Counted {
    Counted() = default;
    explicit Counted(int) {}
    explicit Counted(double) {}
    explicit Counted(Stored) { ++counts["read"]; }
    explicit operator double() const { return 0; }
    Counted(bool) {}  // a condition that is kept is a number, too
    explicit operator bool() const { return true; }
};

/// Margins are not counted: their numbers are read as they are.
struct Margins {
    Counted values[2];
    Counted* each[64];

    Margins() {
        for (Counted*& one : each) {
            one = values;
        }
    }
};

inline Stored::Stored(Counted) { ++counts["write"]; }

template <>
struct Arithmetic<Stored> {
    using type = Counted;
};

template <>
inline Counted finished<Counted>(Reduction, double, Index) {
    return Counted(0);
}

inline Counted count(const char* name) {
    ++counts[name];
    return Counted(0);
}

inline bool compare(const char* name) {
    ++counts[name];
    return true;
}

inline Counted operator+(Counted, Counted) { return count("add"); }
inline Counted& operator+=(Counted& sum, Counted) { return sum; }  // as a term of a sum
inline Counted operator-(Counted, Counted) { return count("sub"); }
inline Counted operator*(Counted, Counted) { return count("mul"); }
inline Counted operator/(Counted, Counted) { return count("div"); }
inline Counted operator-(Counted) { return count("neg"); }
inline bool operator>(Counted, Counted) { return compare("gt"); }
inline bool operator>=(Counted, Counted) { return compare("ge"); }
inline bool operator<(Counted, Counted) { return compare("lt"); }
inline bool operator<=(Counted, Counted) { return compare("le"); }
inline bool operator==(Counted, Counted) { return compare("eq"); }
inline bool operator!=(Counted, Counted) { return compare("ne"); }
inline Counted maximum(Counted, Counted) { return count("maximum"); }
inline Counted minimum(Counted, Counted) { return count("minimum"); }
inline Counted sign(Counted) { return count("sign"); }

/// What a rule that draws is told of the elements, behind its arrays; nothing for others.
template <typename Rule, bool = draws<Rule>>
struct ElementsOf {
    explicit ElementsOf(const std::uint32_t*) {}
    void put(void**) const {}
};
template <typename Rule>
struct ElementsOf<Rule, true> {
    mutable typename Rule::Elements elements;

    explicit ElementsOf(const std::uint32_t* stream) : elements{stream, nullptr, 0} {}
    void put(void** place) const { *place = &elements; }
};

/// Prints what one step on one element does.
template <typename Rule>
void run(const int* choices) {
    Stored arrays[16], grad;
    void* pointers[16];
    double scalars[64] = {};
    for (int k = 0; k < 16; ++k) {
        pointers[k] = arrays + k;
    }
    counts.clear();
    const std::uint32_t stream[4] = {};
    const ElementsOf<Rule> elements(stream);
    elements.put(pointers + 1 + Rule::states);
    chosen<Rule, Stored>(choices)(1, 0, pointers, &grad, scalars);
    for (const auto& [name, number] : counts) {
        std::printf("%s %d ", name.c_str(), number);
    }
    std::puts("");
}

/// Prints for each loop of one step how many arrays it reads and writes for one element.
template <typename Rule>
void run_phases(const int* choices) {
    Stored arrays[16], grad;
    void* pointers[16];
    double scalars[64] = {}, sums[16], sums_of_lines[16][2];
    double* lines[16];
    for (int k = 0; k < 16; ++k) {
        lines[k] = sums_of_lines[k];
    }
    const Margins margins;
    Counted found[32];
    const std::uint32_t stream[4] = {};
    const ElementsOf<Rule> elements(stream);
    for (int k = 0; k < 16; ++k) {
        pointers[k] = arrays + k;
    }
    elements.put(pointers + 1 + Rule::states);
    for (Index loop = 0; loop < Rule::loops; ++loop) {
        int reads = 0, writes = 0;
        for (Index size = 0; size < 2; ++size) {  // what is done before the elements is left out
            counts.clear();
            const auto phase = chosen_phases<Rule, Stored>(choices).phases[loop];
            if constexpr (has_margins<Rule>) {
                phase(Piece{0, 1, size, 0, 0, 0, 0, 0}, pointers, &grad, scalars, found,
                      margins.each, lines);
            } else {
                phase(size, 0, pointers, &grad, scalars, found, sums);
            }
            reads = counts["read"] - reads;
            writes = counts["write"] - writes;
        }
        std::printf("%d %d ", reads, writes);
    }
    std::puts("");
}

}  // namespace lucidgen

namespace std {

inline lucidgen::Counted sqrt(lucidgen::Counted) { return lucidgen::count("sqrt"); }
inline lucidgen::Counted abs(lucidgen::Counted) { return lucidgen::count("abs"); }
inline lucidgen::Counted cbrt(lucidgen::Counted) { return lucidgen::count("cbrt"); }
inline lucidgen::Counted exp(lucidgen::Counted) { return lucidgen::count("exp"); }
inline lucidgen::Counted log(lucidgen::Counted) { return lucidgen::count("log"); }
inline lucidgen::Counted tanh(lucidgen::Counted) { return lucidgen::count("tanh"); }
inline lucidgen::Counted pow(lucidgen::Counted, lucidgen::Counted) {
    return lucidgen::count("pow");
}

}  // namespace std
