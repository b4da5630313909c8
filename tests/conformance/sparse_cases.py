"""The cases of SparseAdam: the data are those of ``cases``, with gradients that lack rows."""

from __future__ import annotations

from cases import Case

OTHER = {"betas": (0.8, 0.99), "eps": 1e-3}

SPARSE_CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("SparseAdam-defaults", "SparseAdam", {}),
        Case("SparseAdam", "SparseAdam", {"lr": 0.01}),
        Case("SparseAdam-options", "SparseAdam", {"lr": 0.01, **OTHER, "maximize": True}),
        Case("SparseAdam-changing", "SparseAdam", {"lr": 0.01}, {20: OTHER}),
    )
}
