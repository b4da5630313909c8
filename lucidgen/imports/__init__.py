"""Which package `lucid.optim` is: ours, Lucid's own, or ours in front of it.

Owns `activate` and `deactivate`, and the aliases by which a class is one object under several
names. Does not own the generated package, nor any optimizer.
"""
