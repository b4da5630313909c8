"""Trees of MLX arrays: the idiom of mlx.optimizers, in steps that `mx.compile` can capture.

Owns the state as a tree of arrays, its update and its checks, and optimizers of several trees. MLX
is imported when a tree is first needed.
"""
