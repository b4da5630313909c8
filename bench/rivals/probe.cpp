// A memory probe: reads and writes what an optimizer step reads and writes, and next to no
// arithmetic. UPDATED is the number of arrays that are read and written, the weights among them.

using Size = long long;

extern "C" void probe(Size size, float* const* updated, const float* grad) {
    float* a[UPDATED];
    for (int k = 0; k < UPDATED; ++k) {
        a[k] = updated[k];
    }
#pragma omp parallel for simd schedule(static)
    for (Size i = 0; i < size; ++i) {
        const float g = grad[i];
        for (int k = 0; k < UPDATED; ++k) {
            a[k][i] += g;
        }
    }
}
