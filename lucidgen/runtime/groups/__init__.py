"""Parameters and what belongs to them: groups, settings, options, states, buckets.

Owns which parameters there are, with which checked values, and what is kept for each. Does not own
steps or checkpoints.
"""

from .parameters import Parameter
from .settings import Group
from .states import States

__all__ = ["Group", "Parameter", "States"]
