"""Parameters and what belongs to them: groups, settings, options, states, buckets.

Owns which parameters there are, with which checked values, and what is kept for each. Does not own
steps or checkpoints.
"""

from .settings import Group

__all__ = ["Group"]
