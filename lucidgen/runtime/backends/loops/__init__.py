"""Loops in C++ over the CPU's memory, of NumPy and of MLX arrays.

Owns compiling them with the system's compiler, keeping them, and handing them pointers. Does not
own their text, which is generated, nor `multi_tensor.h`, which is a template.
"""
