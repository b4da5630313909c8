// A memory probe: reads and writes what a loop of a step reads and writes, and next to no arithmetic.
// READS is the number of arrays that are read, WRITES how many of these are written, too.

using Size = long long;

extern "C" float probe(Size size, float* const* arrays) {
    float* a[READS];
    for (int k = 0; k < READS; ++k) {
        a[k] = arrays[k];
    }
    float last = 0;
#pragma omp parallel for simd schedule(static) reduction(+ : last)
    for (Size i = 0; i < size; ++i) {
        float sum = 0;
        for (int k = WRITES; k < READS; ++k) {
            sum += a[k][i];
        }
        for (int k = 0; k < WRITES; ++k) {
            a[k][i] += sum;
        }
        if (WRITES == 0) {
            last += sum;
        }
    }
    return last;
}
