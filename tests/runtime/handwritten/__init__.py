"""Optimizers written by hand in the layout of the compiler's output."""

from lucidgen.runtime import Optimizer

from .family import SGD, Adam, AdamW, Clipped, NAdam, Slow

__all__ = ["SGD", "Adam", "AdamW", "Clipped", "NAdam", "Optimizer", "Slow"]
