"""Metal kernels checked on a machine that has no Metal.

`text` takes what MLX assembles, `rules` reads it as clang does, `host` compiles it for this machine
and runs it over a grid, `machine` lets the runtime call kernels there, and `check` holds the
results against the oracle. What none of this can show: that Apple's compiler accepts the text, and
how fast it is.
"""
