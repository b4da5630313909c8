// A memory probe: what an optimizer step reads and writes, and next to no arithmetic.

using Size = long long;

extern "C" void probe(Size size, float* w, const float* grad, float* m, float* v) {
    if (m && v) {
#pragma omp parallel for simd schedule(static)
        for (Size i = 0; i < size; ++i) {
            m[i] += grad[i];
            v[i] -= grad[i];
            w[i] += grad[i];
        }
    } else {
#pragma omp parallel for simd schedule(static)
        for (Size i = 0; i < size; ++i) {
            w[i] += grad[i];
        }
    }
}
