"""What updates arrays: NumPy, compiled MLX functions, kernels on a GPU, compiled loops in C++.

Owns calling what was generated, on arrays that are known to be good, and the memory that it needs
for that; `protocol` says what a backend is. Does not own which ones a user allows
(`kernel_choice`), the checks before a step, nor the arithmetic on scalars.
"""
