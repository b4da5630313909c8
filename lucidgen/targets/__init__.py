"""The targets: each a printer, templates, and one object that says all about it.

`registry.targets` lists them, with those of other packages; `common.target.Target` is what one is.
Others ask these two and name no target. Does not own how a package is laid out, nor how code is
checked: a target says who checks it.

`common.trees` fixes the order of arithmetic and `common.statements` the names and branches, for all
targets alike; what operations are called is in the table of `lucidgen.operations`. A target adds
only its language.
"""
