"""The targets: each a table of operations, a printer and a template.

`operations` fixes the order of arithmetic and `statements` the names and branches, for all targets
alike; a target adds only its language.
"""
