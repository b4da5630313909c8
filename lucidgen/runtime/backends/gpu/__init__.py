"""Kernels on a GPU, through MLX: Metal and CUDA.

Owns the languages' limits, the text that MLX is handed for a kernel, how tensors are packed into
calls, and the trial that a kernel must pass before its first use. Does not own the function for one
element that every kernel calls: that is generated, in a header a module.
"""

#: Stands for the kernels of whatever GPU MLX runs on, where it runs on one. In its place the name
#: of a language demands that MLX runs on its GPU.
ANY = "any"
