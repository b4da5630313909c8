"""Kernels on a GPU, through MLX: Metal and CUDA.

Owns the languages' limits, how tensors are packed into calls, and the trial that a kernel must pass
before its first use. Does not own the kernels' text, which is generated.
"""
