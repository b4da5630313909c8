"""What the compiler's output is held against.

`exact` is arithmetic to 50 digits, `programs` evaluates the intermediate form in it, `rounding`
bounds what floating-point numbers may add, `equivalence` runs emitted Python on symbols. Nothing
here is used to build.
"""
