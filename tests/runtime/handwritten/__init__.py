"""Optimizers written by hand in the layout of the compiler's output."""

from lucidgen.runtime import Optimizer

from .family import Adam, AdamW, Clipped, NAdam, SGD, Slow

__all__ = ["SGD", "Adam", "AdamW", "Clipped", "NAdam", "Optimizer", "Slow"]
