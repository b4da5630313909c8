"""What pytorch_optimizer has in single precision, in double: AdamMini, and the norm of a group.

The library's AdamMini takes a model, goes by the names of its parameters, and keeps float32. Here a
matrix is called as the queries are, of which each head has one second moment, and has a head for
each row; other tensors are called as what is one block.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytorch_optimizer
import pytorch_optimizer.optimizer.adam_mini
import torch


class _Double:
    """The module torch with double for single precision."""

    float32 = torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def adam_mini(
    groups: list[dict[str, Any]], foreach: bool, by_row: bool = True, **options: Any
) -> Any:
    """The optimizer of one group with one parameter, where torch's default type is double."""
    pytorch_optimizer.optimizer.adam_mini.torch = _Double()  # type: ignore[attr-defined]
    (group,) = groups
    (weight,) = group["params"]
    heads = by_row and weight.ndim > 1
    name = "q_proj.weight" if heads else "others"
    model = SimpleNamespace(named_parameters=lambda: [(name, weight)])
    decay = {key: group[key] for key in group.keys() - {"params"}}
    made = pytorch_optimizer.AdamMini(model, foreach=foreach, **{**options, **decay})
    made.param_groups[0]["parameter_per_head"] = weight.numel() // len(weight) if heads else 0
    return made


def norm_in_double(groups: Any) -> torch.Tensor:
    """The squared norm of all gradients, which are in double precision."""
    grads = [p.grad for group in groups for p in group["params"] if p.grad is not None]
    return sum((grad.square().sum() for grad in grads), torch.zeros(1, dtype=torch.float64))
