"""GPU kernels checked on a machine that has no GPU.

`text` takes what MLX assembles, `rules` reads Metal as clang does, `host` compiles texts for this
machine and runs them over a grid, `machine` lets the runtime call kernels there, and `check` holds
the results against the oracle. `cuda_host` and `cuda_check` do the same for complete CUDA files.
What none of this can show: that Apple's compiler accepts the text (nvcc is asked where it is
installed), what a GPU's own functions give, and how fast it all is.
"""
