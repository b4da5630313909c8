"""What the compiler's output is held against.

`setting` is what a user chooses, `oracle` evaluates equations under it to 50 digits, `replay`
drives classes next to it, `steps` and `gpu` are the checks that targets name for `lucidgen verify`,
and `report` is what they say.
`exact` is arithmetic to 50 digits, `programs` evaluates the intermediate form in it, `rounding`
bounds what floating-point numbers may add, `equivalence` runs emitted Python on symbols,
`symbolic` compares what it gives with the equations, and `random_specs` draws what nobody thought
of. Nothing here is used to build.
"""
