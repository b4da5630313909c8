"""The targets: each a printer and a template.

`common.trees` fixes the order of arithmetic and `common.statements` the names and branches, for all
targets alike; what operations are called is in the table of `lucidgen.operations`. A target adds
only its language.
"""
